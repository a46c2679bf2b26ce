"""Random operations on a real swarm: it always converges to its layout, and never runs anything twice."""

import contextlib
import os
import random
import signal
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from swarm_tui.supervisor import processes
from swarm_tui.tmux.errors import TmuxError
from tests.conftest import RealBroker, pick_port
from tests.e2e.supervisor_ground import Swarm, sleeper
from tests.wait import until

NAMES = ["a", "b", "c"]
LONG = 25.0


class Watcher(threading.Thread):
    """Looks from outside, all the time, for two live processes of one agent."""

    def __init__(self, marks: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.marks = {mark.encode(): name for name, mark in marks.items()}
        self.doubles: list[tuple[str, int]] = []
        self._done = threading.Event()

    def count(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
                    if words[0] == b"sleep" and len(words) > 1 and words[1] in self.marks:
                        found[self.marks[words[1]]] += 1
        return found

    def run(self) -> None:
        while not self._done.wait(0.02):
            self.doubles += [(name, number) for name, number in self.count().items() if number > 1]

    def end(self) -> None:
        self._done.set()
        self.join()


class Storm:
    """A swarm of sleepers under a storm, each with a mark of its own in its command line."""

    def __init__(self, folder: Path) -> None:
        base = random.randrange(10**6, 10**9)
        self.marks = {name: str(base + number) for number, name in enumerate(NAMES)}
        self.broker = RealBroker(pick_port(), folder / "broker").start()
        agents = [sleeper(name, command=["sleep", self.marks[name]]) for name in NAMES]
        self.swarm = Swarm(folder, self.broker.port, agents)
        self.stopped: set[str] = set()
        self.swarm.up(fails=True, wait="0")
        self.watcher = Watcher(self.marks)
        self.watcher.start()
        self.converges()

    def converges(self) -> None:
        def whole() -> bool:
            panes, rows = self.swarm.panes(), self.swarm.rows()
            for name in NAMES:
                pane, row = panes.get(name), rows.get(name)
                if name in self.stopped:
                    if row is None or row.state != "stopped" or row.pid is not None:
                        return False
                elif pane is None or row is None or pane.dead or row.pid != pane.pid:
                    return False
            return self.watcher.count() == Counter(set(NAMES) - self.stopped)

        until(lambda: _quietly(whole), LONG, "the swarm to be as its layout says")
        assert self.watcher.doubles == []

    def close(self) -> None:
        self.watcher.end()
        self.swarm.close()
        self.broker.stop()


def _quietly(condition: object) -> bool:
    try:
        return bool(condition())  # type: ignore[operator]
    except TmuxError:
        return False


class Machine(RuleBasedStateMachine):
    """What can happen to a swarm."""

    names = st.sampled_from(NAMES)

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="storm-")
        self.storm = Storm(Path(self.folder.name))

    def teardown(self) -> None:
        if hasattr(self, "storm"):
            self.storm.close()
            self.folder.cleanup()

    @rule(name=names, number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def kill_an_agent(self, name: str, number: signal.Signals) -> None:
        row = self.storm.swarm.rows().get(name)
        if row is not None and row.pid is not None and processes.is_alive(row.pid):
            os.kill(row.pid, number)

    @rule()
    def kill_the_supervisor(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.storm.swarm.supervisor(), signal.SIGKILL)

    @rule(name=names)
    def kill_a_pane(self, name: str) -> None:
        self.tmux("kill-pane", name)

    @rule(name=names)
    def kill_a_window(self, name: str) -> None:
        self.tmux("kill-window", name)

    @rule(name=names)
    def rename_a_window(self, name: str) -> None:
        self.tmux("rename-window", name, "other | name")

    @rule(name=names, width=st.integers(20, 300), height=st.integers(5, 100))
    def resize_a_window(self, name: str, width: int, height: int) -> None:
        self.tmux("resize-window", name, "-x", str(width), "-y", str(height), flags_first=True)

    @rule()
    def kill_the_control_window(self) -> None:
        swarm = self.storm.swarm
        former = swarm.supervisor()
        with contextlib.suppress(TmuxError):
            swarm.tmux.run("kill-window", "-t", f"={swarm.name}:control")
        # Killed once more before it has made another window, only `up` could make one.
        until(lambda: swarm.supervisor() != former, what="a successor in a window of its own")

    @rule()
    def kill_the_server(self) -> None:
        # Only a live supervisor can make all again; without one it is for `up` to do.
        self.storm.swarm.supervisor()
        with contextlib.suppress(TmuxError):
            self.storm.swarm.tmux.run("kill-server")

    @rule(name=names)
    def stop_or_start(self, name: str) -> None:
        storm = self.storm
        command = "start" if name in storm.stopped else "stop"
        # A sleeper never registers, so `start` is not waited for.
        storm.swarm.run(command, "--swarm", storm.swarm.name, name, "--wait", "0.2" if command == "start" else "20")
        storm.stopped ^= {name}

    @rule(name=names)
    def restart(self, name: str) -> None:
        if name not in self.storm.stopped:
            self.storm.swarm.run("restart", "--swarm", self.storm.swarm.name, name, "--wait", "0.2")

    def tmux(self, command: str, name: str, *more: str, flags_first: bool = False) -> None:
        with contextlib.suppress(TmuxError):
            pane = self.storm.swarm.panes().get(name)
            if pane is not None and flags_first:
                self.storm.swarm.tmux.run(command, *more, "-t", pane.pane_id)
            elif pane is not None:
                self.storm.swarm.tmux.run(command, "-t", pane.pane_id, *more)

    @invariant()
    def it_converges(self) -> None:
        if hasattr(self, "storm"):
            self.storm.converges()


def weather(steps: int) -> settings:
    """One run of so many steps: what a swarm does depends on time, so no run can be compared with another."""
    return settings(
        max_examples=1,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )


def test_a_short_storm_ends_in_the_layout() -> None:
    run_state_machine_as_test(Machine, settings=weather(8))  # type: ignore[no-untyped-call]


@pytest.mark.drill
def test_a_long_storm_ends_in_the_layout() -> None:
    for _ in range(20):
        run_state_machine_as_test(Machine, settings=weather(50))  # type: ignore[no-untyped-call]


def kills(storm: Storm, times: int) -> None:
    """SIGKILL the supervisor again and again, at random moments, while agents die too."""
    for number in range(times):
        name = NAMES[number % len(NAMES)]
        row = storm.swarm.rows().get(name)
        if row is not None and row.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(row.pid, signal.SIGKILL)
        threading.Event().wait(random.uniform(0, 0.15))
        with contextlib.suppress(ProcessLookupError):
            os.kill(storm.swarm.supervisor(), signal.SIGKILL)
    storm.converges()


def test_killing_the_supervisor_as_it_works_doubles_and_loses_nobody(tmp_path: Path) -> None:
    storm = Storm(tmp_path)
    try:
        kills(storm, 5)
    finally:
        storm.close()


@pytest.mark.drill
def test_killing_the_supervisor_fifty_times(tmp_path: Path) -> None:
    storm = Storm(tmp_path)
    try:
        kills(storm, 50)
    finally:
        storm.close()
