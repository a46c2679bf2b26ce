"""`down` does not hang on a supervisor that does not go round."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.config.model import Broker, Layout
from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor import down_alone, processes, state_file
from swarm_tui.supervisor.down_alone import SupervisorWatch
from swarm_tui.supervisor.host_access import UpError, beat
from swarm_tui.supervisor.plan import DownRequest, Plan, down_path, read_down, request_down
from swarm_tui.supervisor.state_file import Saved
from swarm_tui.tmux.server import Tmux
from tests.wait import until


class StuckSwarm:
    def __init__(self, folder: Path) -> None:
        self.state = StateDir(folder).create()
        layout = Layout(swarm="s", broker=Broker(url="mqtt://127.0.0.1:1"), agents=[])
        self.plan = Plan(layout=layout, path="", workdir="/", host="h", session="s")
        self.tmux = Tmux(f"none-{secrets.token_hex(4)}")
        self.said: list[str] = []
        # Deaf to SIGTERM, as one that is stuck.
        self.process = subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 1000"])
        pid = self.process.pid
        saved = Saved(pid=pid, start_time=processes.start_time(pid), boot=state_file.boot_id())
        state_file.save(self.state, saved)

    def watch(self, *, now: bool) -> SupervisorWatch:
        return SupervisorWatch(self.state, self.tmux, self.plan, now=now, say=self.said.append)

    def beat_long_ago(self) -> None:
        beat(self.state)
        ago = time.monotonic() - 1000
        os.utime(self.state.root / "supervisor.beat", (ago, ago))

    def dead(self) -> bool:
        return self.process.poll() is not None


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[StuckSwarm]:
    stuck = StuckSwarm(tmp_path)
    yield stuck
    stuck.process.kill()
    stuck.process.wait()


def test_one_that_stands_still_goes_on(stuck: StuckSwarm) -> None:
    beat(stuck.state)
    stuck.process.send_signal(signal.SIGSTOP)
    until(lambda: processes.is_stopped(stuck.process.pid))
    stuck.watch(now=False).go_on()
    until(lambda: not processes.is_stopped(stuck.process.pid))
    assert "stood still; it is told to go on" in stuck.said[0]


def test_one_that_is_stuck_is_said_and_with_now_killed(stuck: StuckSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(down_alone, "ALONE_AFTER_NOW", 0.2)
    stuck.beat_long_ago()
    with pytest.raises(UpError, match="is stuck"):
        stuck.watch(now=False).go_on()
    watch = stuck.watch(now=True)
    watch.go_on()
    assert not watch.gave_up()
    until(lambda: watch.gave_up() or stuck.dead(), what="its end")
    assert until(stuck.dead)
    assert any("is killed" in line for line in stuck.said)
    until(watch.gave_up, what="that nobody comes back")


def test_one_that_goes_round_is_let_do_its_work(stuck: StuckSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(down_alone, "ALONE_AFTER_NOW", 0.2)
    watch = stuck.watch(now=True)
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        beat(stuck.state)
        assert not watch.gave_up()
        time.sleep(0.02)
    assert not stuck.dead()


def test_now_may_be_said_later(stuck: StuckSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ALONE_AFTER_NOW", 0.2), ("LOOK_EVERY", 0.0)):
        monkeypatch.setattr(down_alone, name, value)
    stuck.beat_long_ago()
    watch = stuck.watch(now=False)
    assert not watch.gave_up()
    request_down(stuck.state, DownRequest(now=True))
    until(lambda: watch.gave_up() or stuck.dead(), what="its end")


@pytest.mark.parametrize("now", [True, False])
def test_a_full_disk_takes_the_request(now: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = StateDir(tmp_path).create()

    def full(*words: object, **more: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    request_down(state, DownRequest(now=now))
    assert down_path(state).stat().st_size == 0
    assert read_down(state) == DownRequest(now=now)
