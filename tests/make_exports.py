"""Make the exports of a real swarm that tests read: `python -m tests.make_exports FOLDER`, after `make clis`.

Eight agents in tmux on a broker of their own, one of them Claude's CLI before a scripted model, off the network. Two
spans of their life become files: `asks.swarm` (an AI agent asks, is allowed and denied; tasks fail; the layout is
changed) and `runs.swarm` (a workflow fails at a step and is retried; an agent is killed, the broker too; a halt; mail).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.conftest import pick_port
from tests.fake_model import serve
from tests.real_clis import CLIS, ROOT, off_the_network
from tests.wait import until

SWARM = "shop"
LAYOUT: dict[str, Any] = {
    "swarm": SWARM,
    "workdir": ".",
    "agents": [
        {"role": "task-manager", "id": "task-manager-01"},
        {"role": "monitoring", "id": "monitoring-01"},
        {"role": "testing", "id": "testing-01"},
        {"role": "code-review", "id": "code-review-01"},
        {"role": "docs", "id": "docs-01"},
        {"role": "security", "id": "security-01"},
        {
            "role": "general", "id": "builder",
            "handlers": {
                "site.build": {"command": ["sh", "-c", "for n in 1 2 3; do echo page $n of 3; sleep 0.4; done"]},
                "site.check": {"command": ["sh", "-c", "echo '3 links are broken' >&2; exit 3"], "max_attempts": 2},
                "site.wait": {"command": ["sleep", "{payload.seconds}"]},
            },
        },
        {
            "role": "general", "id": "coder",
            "handlers": {"code.generate": {"timeout": 120, "options": {"cli": "claude"}}},
        },
    ],
}  # fmt: skip
WORKFLOW = """workflow: publish-site
inputs: {ready: {type: string, default: no}}
steps:
  test:  {type: testing.run, payload: {path: tests}}
  build: {type: site.build}
  check: {type: site.ready, needs: [test, build], retry: {max_attempts: 1}}
  tell:  {type: site.build, needs: [check]}
"""


class Life:
    """A swarm in a folder of its own, lived by its commands."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.work = folder, folder / "shop"
        self.layout = {**LAYOUT, "broker": {"url": f"mqtt://127.0.0.1:{pick_port()}"}}
        self.env = {
            **os.environ, "HOME": str(folder), "USER": "ada", "LOGNAME": "ada", "TMUX_TMPDIR": str(folder / "tmux"),
            "SWARM_CLIS": CLIS, "ANTHROPIC_BASE_URL": model, "ANTHROPIC_API_KEY": "k",
        }  # fmt: skip
        for name in ("STATE", "CONFIG", "CACHE", "RUNTIME"):
            made = folder / name.lower()
            made.mkdir(mode=0o700)
            self.env["XDG_RUNTIME_DIR" if name == "RUNTIME" else f"XDG_{name}_HOME"] = str(made)
        (folder / "tmux").mkdir(mode=0o700)

    def project(self) -> None:
        """Make the project that the swarm works on: one test that passes, and one that does not."""
        (self.work / "tests").mkdir(parents=True)
        (self.work / "shop.py").write_text("def price(amount):\n    return amount * 3\n")
        tests = "from shop import price\n\n\ndef test_one():\n    assert price(1) == 3\n"
        (self.work / "tests" / "test_shop.py").write_text(tests)
        (self.work / "publish-site.yml").write_text(WORKFLOW)
        git = ["git", "-C", str(self.work), "-c", "user.name=ada", "-c", "user.email=ada@example.invalid"]
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "A shop"]):
            subprocess.run([*git, *words], check=True)

    def say(self, *words: str, ok: bool = True) -> str:
        """Run a command of ours, and return what it printed."""
        argv = [sys.executable, "-m", "swarm_tui", *words]
        done = subprocess.run(
            argv, cwd=self.work, env={**self.env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        print(f"$ swarm-tui {' '.join(words)} → {done.returncode} {done.stderr.strip()[-200:]}", file=sys.stderr)
        assert done.returncode == 0 or not ok, done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self.say(*words, "--swarm", SWARM, "--json"))

    def up(self) -> None:
        """Bring it up, or take up a layout that changed."""
        (self.work / "shop.yml").write_text(json.dumps(self.layout))
        self.say("up", "shop.yml", "--detach")

    def publish(self, task_type: str, *more: str, ok: bool = True) -> str:
        """Publish, and return the task's id."""
        return self.say("publish", task_type, *more, "--swarm", SWARM, ok=ok).split()[0]

    def ended(self, task_id: str) -> Any:
        """Wait for the end of a task."""
        over = ("complete", "failed", "dead", "cancelled")
        return until(lambda: (row := self.json("tasks", task_id))["state"] in over and row, 120, f"{task_id} to end")

    def asked(self) -> str:
        """Wait until somebody asks, and return the ask's id."""
        rows = until(lambda: self.json("asks"), 120, "an ask")
        return str(rows[0]["ask_id"])

    def pid(self, agent_id: str) -> int:
        """Return the process of an agent."""
        agents = self.json("status")["agents"]
        return next(int(row["pid"]) for row in agents if row["agent_id"] == agent_id)


def asks(life: Life) -> None:
    """An AI agent asks, tasks fail, and the layout is changed."""
    for n in range(2):
        life.publish("site.build", "-p", f"page={n}")
    life.publish("testing.run", "-p", "path=tests")
    first = life.publish("code.generate", "-p", "prompt=mark it as done [[run touch done.txt]] [[say Done.]]")
    life.say("answer", life.asked(), "allow", "--swarm", SWARM)
    life.ended(first)
    life.ended(life.publish("site.check", ok=False))
    second = life.publish("code.generate", "-p", "prompt=push it [[run git push origin main]] [[say Pushed.]]")
    life.say("answer", life.asked(), "deny", "--reason", "nothing is pushed from here", "--swarm", SWARM)
    life.ended(second)
    builder = life.layout["agents"][6]
    builder["handlers"]["site.build"]["timeout"] = 30
    builder["handlers"]["site.ready"] = {"command": ["test", "-e", "ready"]}
    life.layout["agents"] = [each for each in life.layout["agents"] if each["role"] != "docs"]
    life.layout["agents"][2:3] = [{"role": "testing", "min": 1, "max": 2}]
    life.layout["policy"] = {"approve": ["deployment.*"], "budget": {"day": 5}}
    life.up()
    life.ended(life.publish("site.build"))


def runs(life: Life) -> None:
    """A workflow fails and is retried, an agent and the broker are killed, and the swarm is halted."""
    run = life.say("run", "publish-site.yml", "--swarm", SWARM, ok=False).split()[0]
    until(lambda: life.json("runs", run)["state"] == "failed", 60, "the run to fail")
    (life.work / "ready").touch()
    life.say("retry", run, "--swarm", SWARM)
    until(lambda: life.json("runs", run)["state"] == "complete", 60, "the run to end well")
    held = life.publish("site.wait", "-p", "seconds=1")
    until(lambda: life.json("tasks", held)["state"] == "running", 60, "it to run")
    os.kill(life.pid("builder"), signal.SIGKILL)
    life.ended(held)
    life.say("send", "code-review-01", "look at shop.py first", "--swarm", SWARM)
    life.publish("code.review")
    panes = subprocess.run(
        ["tmux", "-L", "swarm-tui", "list-panes", "-a", "-F", "#{pane_pid} #{pane_start_command}"],
        env=life.env, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    os.kill(next(int(line.split()[0]) for line in panes.splitlines() if "mosquitto" in line), signal.SIGKILL)
    until(lambda: life.say("status", SWARM, ok=False) and life.json("status")["broker"]["connected"], 60, "a broker")
    life.say("halt", "--swarm", SWARM)
    life.say("resume", "--swarm", SWARM)
    life.ended(life.publish("site.build"))


def make(out: Path) -> None:
    """Let it live, and write both files."""
    folder = Path(tempfile.mkdtemp(prefix="shop-"))
    with serve() as model:
        life = Life(folder, model)
        try:
            life.project()
            life.up()
            for name, part in (("asks", asks), ("runs", runs)):
                since = time.time()
                part(life)
                file = out / f"{name}.swarm"
                life.say("export", "--swarm", SWARM, "--from", f"{time.time() - since:.0f}s", str(file.resolve()))
                print(f"{file}: {file.stat().st_size:,} bytes", file=sys.stderr)
        finally:
            life.say("down", SWARM, "--now", ok=False)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if "--here" in sys.argv:
        make(Path(sys.argv[1]))
    else:
        again = f"ip link set lo up; exec {sys.executable} -m tests.make_exports {sys.argv[1]} --here"
        sys.exit(subprocess.run([*off_the_network(), "bash", "-c", again], cwd=ROOT, check=False).returncode)
