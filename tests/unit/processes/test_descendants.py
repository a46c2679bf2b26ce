"""Processes by pid and start time, and programs that die with who started them."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.processes import descendants as module
from swarm_tui.processes.descendants import descendants, dying_with_us, process_info, signal_process
from tests.wait import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells of processes")


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    module.setpriv.cache_clear()
    yield
    module.setpriv.cache_clear()


def test_children_are_found_below_their_parents(tmp_path: Path) -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
    try:
        found = until(lambda: f if len(f := descendants(child.pid)) == 1 else None, what="the grandchild")
        until(lambda: found[0].command == "sleep 60", what="its name")
        assert (found[0].parent, found[0].session) == (child.pid, child.pid)
        below = [info.pid for info in descendants(os.getpid())]
        assert below.index(child.pid) < below.index(found[0].pid)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def test_another_process_of_that_pid_is_not_signalled() -> None:
    child = subprocess.Popen(["sleep", "60"])
    info = process_info(child.pid)
    assert info is not None
    earlier = module.ProcessInfo(info.pid, info.parent, info.group, info.session, info.started - 1, zombie=False)
    assert not signal_process(earlier, signal.SIGKILL)
    assert child.poll() is None
    assert signal_process(info, signal.SIGKILL)
    assert child.wait(5) == -signal.SIGKILL
    assert not signal_process(info, signal.SIGKILL)


@pytest.mark.parametrize(
    "script",
    [
        "echo \"setpriv: unrecognized option '--pdeathsig'\" >&2; exit 1",
        "exit 127",
        "kill -9 $$",
    ],
)
def test_a_setpriv_that_cannot_do_it_is_not_used(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "setpriv"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert dying_with_us(["git", "status"]) == ["git", "status"]


def test_without_setpriv_the_program_runs_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dying_with_us(["x"]) == ["x"]
