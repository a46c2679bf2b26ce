"""Talks to the real agent CLIs against a scripted model server: `python -m tests.real_clis [NAME…]`, in JSON lines.

`--write FILE` has each talk where nothing but loopback is, and writes what came of it into the page's table.

`work`, `killed` or `spoken` among the names: the first case alone, that of a kill, or those in which a person speaks or
cancels. To be run where
nothing but loopback is (`unshare -n bash -c 'ip link set lo up; …'`): the CLIs call home.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from swarm_tui.agent.conversation.permits import Rules
from swarm_tui.agent.conversation.programs import cache_folder, find, swarm_server
from swarm_tui.agent.conversation.run import Told, converse
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.handlers.base import HandlerError, ResumePoint
from swarm_tui.agent.handlers.models.agent_cli import AgentCli
from swarm_tui.agent.handlers.models.cli_spec import known_clis
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.testing.attempt import context, start
from tests import measured_clis
from tests.fake_model import serve

NAMES = ("claude", "codex", "gemini", "opencode")
DEADLINE = 100.0
SPOKEN, WORK, KILLED = "spoken", "work", "killed"
#: Where `make clis` has put them, as it is before a test has folders of its own.
CLIS = str(cache_folder())
ROOT = Path(__file__).parents[1]


def installed(name: str) -> bool:
    """Return whether the CLI is here, with what speaks ACP for it: on the PATH, or where `make clis` puts it."""
    acp = known_clis()[name].acp
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(CLIS) / "node_modules" / ".bin")])
    return acp is not None and shutil.which(acp.argv[0], path=places) is not None


def off_the_network() -> list[str]:
    """Return what a command begins with that is to see loopback alone; empty where that cannot be made here."""
    for argv in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*argv, "true"], check=False, capture_output=True).returncode == 0
        ):
            return argv
    return []


def rows_of(*words: str, limit: float, module: str = "tests.real_clis") -> list[dict[str, Any]]:
    """Return what each case came to, in a network namespace of its own."""
    inner = f"ip link set lo up; exec {sys.executable} -m {module} {' '.join(words)}"
    done = subprocess.run(
        [*off_the_network(), "bash", "-c", inner],
        cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False, env={**os.environ, "SWARM_CLIS": CLIS},
    )  # fmt: skip
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows, done.stderr[-2000:]
    return rows


def home_of(folder: Path, base: str, key: str) -> dict[str, str]:
    """Return the environment of all four, with their settings written into a home of their own."""
    home = folder / "home"
    for name in (".codex", ".gemini", ".config/opencode"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / ".codex/config.toml").write_text(
        'model = "fake"\nmodel_provider = "fake"\n[model_providers.fake]\nname = "fake"\n'
        f'base_url = "{base}/v1"\nwire_api = "responses"\nenv_key = "OPENAI_API_KEY"\nsupports_websockets = false\n'
    )
    (home / ".gemini/settings.json").write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
    fake = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": f"{base}/v1", "apiKey": key}}
    provider = {"provider": {"fake": {**fake, "models": {"fake": {}}}}, "model": "fake/fake"}
    (home / ".config/opencode/opencode.json").write_text(json.dumps(provider))
    return {
        "HOME": str(home), "CODEX_HOME": str(home / ".codex"), "ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": key,
        "OPENAI_API_KEY": key, "GEMINI_API_KEY": key, "GOOGLE_GEMINI_BASE_URL": base,
    }  # fmt: skip


class Run:
    """Runs the cases of one CLI, one after another."""

    def __init__(self, name: str, folder: Path, base: str) -> None:
        self.name, self.folder, self.base = name, folder, base
        self.asked: list[Question] = []
        self.asked_at: list[float] = []
        self.pids: list[int] = []

    async def talk(
        self, prompt: str, *, key: str = "k", mode: Any = "edit", base: str | None = None, answer: str = "allow",
        says: str = "", resume: ResumePoint | None = None, deadline: float = DEADLINE,
        **settings: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Return how it went: `code` (`""` for a success), `seconds`, and what came of it."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ.pop(name, None)
        os.environ.update(home_of(self.folder, base or self.base, key))
        cli = known_clis()[self.name]
        assert cli.acp is not None
        made = context({}, workdir=work)
        loop = asyncio.get_running_loop()
        made.deadline = loop.time() + deadline
        made.resume = resume
        made._spawned = self.pids.append
        self.asked, self.asked_at, peak = [], [], 0

        async def ask(question: Question) -> AskAnswer:
            self.asked.append(question)
            return AskAnswer(outcome=answer, by="operator:ada@here")  # type: ignore[arg-type]

        hears: list[Any] = []
        made._ask = ask
        made._attend = lambda hear, interrupt: hears.append(hear)
        began = time.monotonic()
        talking = asyncio.ensure_future(
            converse(
                made, self.name, cli.acp, prompt, settings=Settings(mode=mode, mcp=swarm_server(made), **settings),
                rules=Rules(mode=mode),
                folder=work,
                passed=cli.passed, install=cli.install,
            )
        )  # fmt: skip
        while not talking.done():
            await asyncio.wait({talking}, timeout=0.2)
            peak = max(peak, tree_memory(self.pids))
            if says and made.done.progress and hears:
                # Once it does something: a word in the middle of its turn.
                hears[-1](says)
                says = ""
        out: dict[str, Any] = {"seconds": round(time.monotonic() - began, 1), "mb": peak // 1_000_000}
        out["asked"] = [question.tool for question in self.asked]
        try:
            told: Told = await talking
            out |= {"code": "", **told.result()}
        except HandlerError as error:
            out |= {"code": error.code, "retryable": error.retryable, "why": str(error)[:300], **(error.result or {})}
        return out


def tree_memory(pids: list[int]) -> int:
    """Return bytes that the trees of these processes hold."""
    whole = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            whole += sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
        except psutil.Error:
            continue
    return whole


def tree_of(pids: list[int]) -> set[psutil.Process]:
    """Return the processes of these trees as they are now."""
    found: set[psutil.Process] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found |= {process, *process.children(recursive=True)}
    return found


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def after_cancel(run: "Run", seconds: float) -> dict[str, Any]:
    """Return how a task ended that was cancelled so many seconds after its start, and when the last of its tree did.

    In the real executor, which ends what a CLI leaves behind.
    """
    os.environ.update(home_of(run.folder, run.base, "k"))
    options = {"cli": run.name, "mode": "edit", "allow": ["Bash"]}
    payload = {"prompt": "again [[write f.txt hi]] [[run tail -f /dev/null]]"}
    tree: set[psutil.Process] = set()
    attempt = start(AgentCli, payload, options=options, workdir=run.folder / "work", timeout=DEADLINE)
    began, cancelled = time.monotonic(), 0.0
    ending = asyncio.ensure_future(attempt.ended())
    while not ending.done():
        await asyncio.wait({ending}, timeout=0.1)
        if not cancelled:
            tree |= tree_of([os.getpid()]) - {psutil.Process()}
        if not cancelled and time.monotonic() - began >= seconds:
            cancelled = time.monotonic()
            attempt.cancel()
    cancelled = cancelled or time.monotonic()
    while any(map(lives, tree)) and time.monotonic() - cancelled < 15:
        await asyncio.sleep(0.05)
    done = await ending
    left = [" ".join(process.cmdline())[:80] for process in tree if lives(process)]
    gone = round(time.monotonic() - cancelled, 1)
    return {"code": done.code or "", "seconds": round(cancelled - began, 1), "gone after": gone, "left": left,
            "processes": len(tree)}  # fmt: skip


def left_alive(work: str) -> list[str]:
    """Return the commands that still run in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.cwd().startswith(work):
                found.append(" ".join(process.cmdline())[:80])
        except psutil.Error:
            continue
    return found


async def work(run: Run) -> dict[str, dict[str, Any]]:
    """Return what comes of a prompt that writes a file and runs a command."""
    before = billed_calls(run.base, beside=True)
    out = {"write and run": await run.talk("please [[write a.txt hi]] [[run touch b.txt]] [[say All done.]]")}
    out["write and run"]["beside"] = billed_calls(run.base, beside=True) - before
    out["write and run"]["written"] = all((run.folder / "work" / name).exists() for name in ("a.txt", "b.txt"))
    return out


async def cases(run: Run) -> dict[str, dict[str, Any]]:
    """Return what each case came to."""
    out = await work(run)
    folder = run.folder / "work"
    # What each of them asks for: Codex runs commands in its own sandbox, Gemini refuses a path outside by itself.
    wish = "[[write ../c.txt hi]]" if run.name == "codex" else "[[run touch ../c.txt]]"
    out["refused"] = await run.talk(f"now {wish} [[say I did it.]]", answer="deny")
    out["refused"]["done"] = (run.folder / "c.txt").exists()
    out["read only"] = await run.talk("then [[write d.txt hi]] [[say ok]]", mode="read")
    out["read only"]["done"] = (folder / "d.txt").exists()
    began = time.time()
    # Long enough for it to be in its command, and not so long that Codex lets that be in the background (10 s).
    within = out["write and run"]["seconds"] + 3.0
    first = await run.talk("remember [[write e.txt hi]] [[run tail -f /dev/null]]", deadline=within)
    begun = time.monotonic()
    out["deadline"] = first
    while left_alive(str(folder)) and time.monotonic() - begun < 10:
        await asyncio.sleep(0.1)
    out["deadline"]["alive after"] = round(time.monotonic() - begun, 1)
    out["deadline"]["left"] = left_alive(str(folder))
    session = first.get("session")
    if session:
        point = ResumePoint(session=session, why="it took too long", cost=None, began=began)
        out["resume"] = await run.talk("and then [[say Hello again.]]", resume=point)
        out["resume"]["same"] = out["resume"].get("session") == session
    out["401"] = await run.talk("bad key [[say hello]]", key="bad")
    for status in (429, 529):
        out[str(status)] = await run.talk(
            f"fails {status} {run.name} [[status {status}]]", deadline=90.0, silent_after=45.0
        )
    out["network down"] = await run.talk("nobody there", base="http://127.0.0.1:9", deadline=90.0, silent_after=45.0)
    out |= await killed(run)
    out |= await spoken_to(run)
    return out


def billed_calls(base: str, *, beside: bool = False) -> int:
    """Return how often the server answered in a conversation; or `beside` it, for a title, a suggestion, a choice."""
    with urllib.request.urlopen(f"{base}/_log") as reply:
        rows = json.load(reply)
    asked = [row for row in rows if row.get("usage")]
    conversed = sum(bool(row["tools"]) and "suggestion" not in str(row["turns"][-1:]) for row in asked)
    return len(asked) - conversed if beside else conversed


async def killed(run: Run) -> dict[str, dict[str, Any]]:
    """Return what is known of a conversation's usage whose CLI is killed in a command, and that another goes on with.

    The second is told nothing of what the first one took, as after the death of its agent.
    """
    before, began = billed_calls(run.base), time.time()
    mark = f"tail -f /dev/null {run.folder}"
    talking = asyncio.ensure_future(run.talk(f"kept [[write k.txt hi]] [[run echo one]] [[run {mark}]]", deadline=60.0))
    while not talking.done() and not any(mark in one and one.startswith("tail") for one in left_alive(str(run.folder))):
        await asyncio.sleep(0.1)
    # Claude writes what happened a moment later.
    await asyncio.sleep(1.0)
    for process in tree_of(run.pids):
        with contextlib.suppress(psutil.Error):
            process.kill()
    first = await talking
    first["calls"] = billed_calls(run.base) - before
    point = ResumePoint(session=first["session"], why="killed", began=began, cut_off=True, calls=first["calls"])
    then = await run.talk("and then [[run echo two]] [[say Again.]]", resume=point)
    then["calls"] = billed_calls(run.base) - before
    return {"killed in a command": first, "gone on with after that": then}


async def spoken_to(run: Run) -> dict[str, dict[str, Any]]:
    """Return what comes of a cancel, in the first second and in the tenth, and of a word in the middle of a turn."""
    out: dict[str, dict[str, Any]] = {}
    # A turn that takes a while: gemini's client does not read the server's signs of life.
    slowly = "[[run sleep 4]]" if run.name == "gemini" else "[[slow 3]]"
    prompt = f"slowly [[write g.txt hi]] {slowly} [[say First.]]"
    said = await run.talk(prompt, says="and [[write h.txt hi]] [[say Second.]]")
    out["a word in its turn"] = {**said, "written": (run.folder / "work" / "h.txt").exists()}
    # Last: the executor ends all that is below this process.
    for moment in (1.0, 10.0):
        out[f"cancel at {moment:.0f} s"] = await after_cancel(run, moment)
    return out


async def main(names: list[str]) -> None:
    # Codex makes no programs for its sandbox below the folder for temporary files, and without them no command starts.
    place = tempfile.TemporaryDirectory(prefix="real-clis-", dir="/var/tmp", ignore_cleanup_errors=True)
    with place as folder, serve() as base:
        for name in names:
            acp = known_clis()[name].acp
            if acp is None or find(acp.argv[0]) is None:
                print(json.dumps({"cli": name, "missing": True}), flush=True)
                continue
            place = Path(folder) / name
            place.mkdir()
            (place / "work").mkdir()
            run = Run(name, place, base)
            parts = {SPOKEN: spoken_to, WORK: work, KILLED: killed}
            chosen = next((part for name, part in parts.items() if name in sys.argv), cases)
            for case, came in (await chosen(run)).items():
                print(json.dumps({"cli": name, "case": case, **came}), flush=True)


def write(page: Path, names: list[str]) -> None:
    """Run all cases of each CLI, and write what was measured into the page."""
    measured, versions = {}, {}
    for name in names:
        acp = known_clis()[name].acp
        program = find(acp.argv[0]) if acp is not None else None
        if program is None:
            raise SystemExit(f"{name} is not installed: make clis")
        print(f"{name} …", file=sys.stderr, flush=True)
        versions[name] = measured_clis.version(program)
        measured[name] = {row["case"]: row for row in rows_of(name, limit=900)}
    block = measured_clis.table(measured, versions, measured_clis.today())
    page.write_text(measured_clis.written(page.read_text(), block))


if __name__ == "__main__" and sys.argv[1:2] == ["--write"]:
    write(Path(sys.argv[2]), sys.argv[3:] or list(NAMES))
elif __name__ == "__main__":
    asyncio.run(main([name for name in sys.argv[1:] if name not in (SPOKEN, WORK, KILLED)] or list(NAMES)))
