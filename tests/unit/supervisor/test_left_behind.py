"""What `down` ends beyond the agents: processes that left their session, by their mark."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from swarm_tui.config.paths import StateDir
from swarm_tui.processes.marks import VARIABLE, find_marked, mark
from swarm_tui.supervisor import locks
from swarm_tui.supervisor.stray_processes import end_left_behind
from tests.wait import until


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells of processes")
def test_down_ends_what_left_its_session_but_for_what_is_kept_or_in_use(tmp_path: Path) -> None:
    state = StateDir(tmp_path)

    def start(agent: str, *, keep: bool = False) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], VARIABLE: mark(str(tmp_path), agent, "a1", keep=keep)}
        return subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)

    left, kept, used = start("gone"), start("gone", keep=True), start("by-hand")
    held = locks.take(state.lock("by-hand"))
    assert held is not None
    try:
        until(lambda: len(find_marked(str(tmp_path))) == 3, what="the marks")
        assert end_left_behind(state) == 1
        assert left.wait(5) == -signal.SIGKILL
        assert kept.poll() is None
        assert used.poll() is None
    finally:
        locks.release(held)
        for process in (left, kept, used):
            process.kill()
            process.wait()
