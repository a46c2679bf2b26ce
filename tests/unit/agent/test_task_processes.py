"""What a task's programs leave behind ends with the task, and with the agent, unless the layout keeps it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.running_attempt import attempt_token
from swarm_tui.processes.descendants import process_info
from swarm_tui.processes.marks import end_marked, find_marked
from tests.wait import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells of processes")

#: An agent's executor and one task after another, each by a shell script; a line of JSON for each end.
AGENT = """
import asyncio, json, os, sys, time
from swarm_tui.agent.executor import Executor
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.protocol.bodies import Task
from swarm_tui.testing.attempt import Done, KitMail

state, children, stop, *scripts = sys.argv[1:]

class Reports:
    mail = KitMail(Done(), [], {})
    def __init__(self): self.done = asyncio.Event()
    def ended(self, attempt, outcome):
        print(json.dumps({"result": outcome.result, "error": outcome.error, "at": time.monotonic()}), flush=True)
        self.done.set()
    def __getattr__(self, name): return lambda *args: None

async def main():
    loop = asyncio.get_running_loop()
    for number, script in enumerate(scripts):
        handler = HandlerSpec(command=[script], options={"shell": True}, children=children)
        spec = RunSpec(agent_id="w", role="general", swarm="s", broker=Broker(), workdir=state, state_dir=state,
            handlers={"job": handler})
        reports = Reports()
        if not number: executor = Executor(spec, reports)
        executor._reports = reports
        attempt = RunningAttempt(HeldLease(task=Task(task_id=f"t{number}", type="job"), epoch=1), spec)
        executor.start(attempt)
        if stop == "cancel":
            while not os.path.exists(state + "/pids"): await asyncio.sleep(0.01)
            executor.stop(attempt, "cancelled")
        await reports.done.wait()
    if stop == "leave": executor.close()
    else: await asyncio.sleep(60)

asyncio.run(main())
"""
#: Leave a child that moved to a session of its own; one that forked twice; one that shed its environment as well.
LEAVES = """
setsid sleep 600 & echo $! > a
(setsid sh -c 'sleep 600 & echo $! > b' &)
(setsid env -i /bin/sh -c '/bin/sleep 600 & echo $! > c' &)
while [ ! -s a ] || [ ! -s b ] || [ ! -s c ]; do sleep 0.01; done
cat a b c > pids.new; mv pids.new pids
"""


class Life:
    """One agent's process, and the pids that its scripts wrote down."""

    def __init__(self, folder: Path, *scripts: str, children: str = "end", stop: str = "") -> None:
        self.folder = folder
        argv = [sys.executable, "-c", AGENT, str(folder), children, stop, *scripts]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=folder)

    def ends(self) -> dict[str, Any]:
        """The next task's end."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def pids(self, number: int = 3) -> list[int]:
        path = self.folder / "pids"
        until(lambda: path.exists() and len(path.read_text().split()) == number, 20, "the pids")
        return [int(word) for word in path.read_text().split()]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def lives(pid: int) -> bool:
    info = process_info(pid)
    return info is not None and not info.zombie


def gone(pids: list[int], limit: float = 3.0) -> None:
    until(lambda: not any(map(lives, pids)), limit, f"the end of {[pid for pid in pids if lives(pid)]}")


def test_what_left_its_session_and_its_parent_ends_with_its_task(tmp_path: Path) -> None:
    life = Life(tmp_path, LEAVES)
    try:
        assert life.ends()["error"] is None
        ended = time.monotonic()
        pids = life.pids()
        gone(pids)
        assert time.monotonic() - ended < 3
        # The agent took them in, and buries them.
        until(lambda: not any(process_info(pid) for pid in pids), 5, "their burial")
    finally:
        life.close()


def test_a_cancel_ends_the_whole_tree(tmp_path: Path) -> None:
    life = Life(tmp_path, LEAVES + "exec sleep 600", stop="cancel")
    try:
        assert life.ends()["error"] == "it was cancelled"
        gone(life.pids())
    finally:
        life.close()


def test_a_killed_agent_leaves_nothing_that_kept_its_mark(tmp_path: Path) -> None:
    life = Life(tmp_path, LEAVES + "exec sleep 600")
    pids = life.pids()
    life.close()
    gone(pids[:2], 5)
    os.kill(pids[2], signal.SIGKILL)


def test_an_agent_that_leaves_takes_all_with_it(tmp_path: Path) -> None:
    life = Life(tmp_path, LEAVES, stop="leave")
    life.ends()
    assert life.process.wait(10) == 0
    gone(life.pids())
    life.close()


def test_what_the_layout_keeps_lives_on_and_is_named(tmp_path: Path) -> None:
    keeps = "sleep 600 >/dev/null 2>&1 & echo $! > pids.new; mv pids.new pids"
    life = Life(tmp_path, keeps, "true", children="keep", stop="leave")
    kept: list[int] = []
    try:
        result = life.ends()["result"]
        kept = life.pids(1)
        assert result["kept"] == [{"pid": kept[0], "command": "sleep 600"}]
        assert "kept" not in life.ends()["result"]
        life.process.wait(10)
        assert end_marked(str(tmp_path)) == 0
        assert lives(kept[0])
    finally:
        life.close()
        for pid in kept:
            os.kill(pid, signal.SIGKILL)


def test_what_a_failed_task_started_is_not_kept(tmp_path: Path) -> None:
    fails = "setsid sleep 600 >/dev/null 2>&1 & echo $! > pids.new; mv pids.new pids; exit 1"
    life = Life(tmp_path, fails, children="keep")
    try:
        assert "exit status 1" in life.ends()["error"]
        gone(life.pids(1))
    finally:
        life.close()


def test_the_mark_finds_what_an_agent_left_and_nothing_else(tmp_path: Path) -> None:
    def start(root: Path, kind: str, agent: str, token: str) -> subprocess.Popen[bytes]:
        value = f"{kind}:{str(root).replace(':', '%3A')}:{agent}:{token}"
        return subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"], "SWARM_TASK_MARK": value})

    here, there = tmp_path / "a", tmp_path / "a:b"
    token = attempt_token("t1", 1, 1)
    mine = start(here, "end", "w", token)
    other = start(here, "end", "v", token)
    kept = start(here, "keep", "w", token)
    strangers = start(there, "end", "w", token)
    try:
        until(lambda: len(find_marked(str(here))) == 3, what="its marks")
        assert end_marked(str(here), lambda one: one.agent_id == "w" and not one.keep) == 1
        assert mine.wait(5) == -signal.SIGKILL
        assert end_marked(str(here)) == 1
        assert other.wait(5) == -signal.SIGKILL
        assert kept.poll() is None
        assert strangers.poll() is None
        assert end_marked(str(there)) == 1
    finally:
        for process in (mine, other, kept, strangers):
            process.kill()
            process.wait()
