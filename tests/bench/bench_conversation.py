"""What a conversation with an AI agent costs, and how soon an ask is seen and an answer heeded, in a real swarm.

`python -m tests.bench.bench_conversation`. The CLI is the small ACP agent: its own time is a tenth of a second a turn.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from swarm_tui.cli.common import target
from swarm_tui.cli.follow import Follower
from swarm_tui.config.own_process import own_argv
from swarm_tui.protocol.ask_bodies import AskAnswer
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.topics import Kind
from swarm_tui.tmux.server import Tmux
from tests.bench.bars import bar
from tests.conftest import pick_port
from tests.e2e.conversation_swarm import AGENT, talker
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

ROUNDS, TURNS, PAUSE = 15, 20, 0.1


@contextmanager
def swarm(folder: Path) -> Iterator[tuple[Swarm, Follower]]:
    """A swarm with one worker that converses, and a person."""
    entry = talker("w0", folder / "home", allow=["Bash(true*)", "Bash(sleep*)"])
    made = Swarm(folder, pick_port(), [own("tm", "task-manager"), entry], workdir=str(folder))
    person: Follower | None = None
    try:
        made.up()
        person = Follower(target(made.name), 20.0)
        until(lambda: person is not None and person.fleet.dispatcher is not None, 20, "somebody to lead")
        yield made, person
    finally:
        if person is not None:
            person.operator.close()
        made.run("down", made.name, "--now")
        made.close()


def submit(person: Follower, task_id: str, prompt: str) -> None:
    person.operator.submit(Task(task_id=task_id, type="agent-cli", payload={"prompt": prompt}))


def asks(made: Swarm, person: Follower, folder: Path) -> bool:
    """From the CLI's question to its row on the screen, and from a person's answer to the tool."""
    screen = Tmux(f"{made.socket}-screen")
    argv = ["env", f"XDG_STATE_HOME={os.environ['XDG_STATE_HOME']}", *own_argv("swarm_tui")]
    screen.run("new-session", "-d", "-x", "200", "-y", "50", "-s", "screen", *argv)
    try:
        until(lambda: "w0" in "\n".join(screen.capture("screen", 50)), 30, "the screen")
        seen, heeded = [], []
        for n in range(ROUNDS):
            asked, ran = folder / f"asked-{n}", folder / f"ran-{n}"
            submit(person, f"ask-{n}", f"[[note {asked}]] [[run date +%s.%N > {ran}]] [[say ok]]")
            until(asked.exists, 20, "it asks")
            until(lambda ran=ran: ran.name in "\n".join(screen.capture("screen", 50)), 20, "the row")  # type: ignore[misc]
            seen.append(time.time() - float(asked.read_text()))
            (row,) = person.fleet.asks.open.values()
            answered = time.time()
            person.operator.act(Kind.ASK_ANSWER, AskAnswer(outcome="allow"), row.ask_id)
            until(lambda ran=ran: ran.exists() and ran.read_text().strip(), 20, "the tool")  # type: ignore[misc]
            heeded.append(float(ran.read_text()) - answered)
            until(lambda: not person.fleet.asks.open, 10, "the answer's record")
        row_ok = bar("ask: to its row on the screen, median", statistics.median(seen) * 1000, 300, "ms")
        return bar("answer: to the tool that runs, median", statistics.median(heeded) * 1000, 300, "ms") and row_ok
    finally:
        screen.run("kill-server")


def bare(folder: Path, prompt: str) -> float:
    """Seconds that the same CLI takes for the prompt with nothing but a pipe and a yes at its other end."""
    home = folder / "bare"
    home.mkdir(exist_ok=True)
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(AGENT), "claude"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "ACP_AGENT_HOME": str(home)}, text=True,
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None

        def say(message: dict[str, Any]) -> None:
            assert program.stdin is not None
            program.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            program.stdin.flush()

        def hear(wanted: int) -> dict[str, Any]:
            assert program.stdout is not None
            for line in program.stdout:
                message: dict[str, Any] = json.loads(line)
                if message.get("method") == "session/request_permission":
                    say({"id": message["id"], "result": {"outcome": {"outcome": "selected", "optionId": "yes-1"}}})
                elif message.get("id") == wanted:
                    return message
            raise AssertionError("it ended")

        say({"id": 1, "method": "initialize", "params": {}})
        hear(1)
        say({"id": 2, "method": "session/new", "params": {"cwd": str(folder), "mcpServers": []}})
        session = hear(2)["result"]["sessionId"]
        text = [{"type": "text", "text": prompt}]
        say({"id": 3, "method": "session/prompt", "params": {"sessionId": session, "prompt": text}})
        hear(3)
        program.stdin.close()
        program.wait(10)
    return time.monotonic() - began


def process_of(agent_id: str) -> psutil.Process:
    """The agent itself: its pane's own process is a small leader, with the same command line."""
    found = [one for one in psutil.process_iter(["cmdline"]) if agent_id in (one.info["cmdline"] or [])]
    return max(found, key=lambda one: one.memory_info().rss)


def overhead(made: Swarm, person: Follower, folder: Path) -> bool:
    """What the machinery adds: to the CLI's time, and to its agent's memory."""
    prompt = " ".join(f"[[run sleep {PAUSE} # {n}]]" for n in range(TURNS)) + " [[say ok]]"
    agent = process_of("w0")
    idle, peak, ratios = agent.memory_info().rss, 0, []
    for n in range(3):
        alone = bare(folder, prompt)
        submit(person, f"long-{n}", prompt.replace("sleep", f"sleep  {' ' * n}"))
        began = 0.0

        def state(n: int = n) -> str:
            view = person.fleet.tasks.get(f"long-{n}")
            return "" if view is None else view.state.value

        until(lambda: state() in ("running", "complete"), 30, "it runs")
        while state() != "complete":
            peak = max(peak, agent.memory_info().rss)
            time.sleep(0.02)
            began += 0.02
            assert began < 120, state()
        view = person.fleet.tasks[f"long-{n}"]
        ratios.append((view.duration or 0.0) / 1000 / alone - 1)
    print(f"agent {idle / 1e6:.1f} MB idle, {peak / 1e6:.1f} MB at most; the bare CLI takes {alone:.2f} s")
    time_ok = bar("conversation: time over the bare CLI, median", statistics.median(ratios) * 100, 10, "%")
    return bar("conversation: the agent's memory over idle", (peak - idle) / 1e6, 40, "MB") and time_ok


def main() -> int:
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-talk-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("state", "run", "cache", "config"):
            (folder / part).mkdir(mode=0o700)
        os.environ |= {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder / "run"),
                       "XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}  # fmt: skip
        os.environ.pop("TMUX", None)
        with swarm(folder) as (made, person):
            met = [overhead(made, person, folder), asks(made, person, folder)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
