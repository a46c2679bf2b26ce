"""Random operations on a real swarm: it always converges to its layout, and never runs anything twice."""

import contextlib
import functools
import os
import random
import secrets
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from swarm_tui.supervisor import processes
from swarm_tui.tmux.errors import TmuxError
from tests.conftest import RealBroker, pick_port
from tests.e2e.supervised_swarm import Swarm, sleeper
from tests.wait import until

NAMES = ["a", "b", "c"]
CREW = ["testing-01", "testing-02", "testing-03"]
LONG = 25.0


class Watcher(threading.Thread):
    """Looks from outside, all the time, for two live processes of one agent: sleepers that carry our mark."""

    def __init__(self, mark: str) -> None:
        super().__init__(daemon=True)
        self.line = f"sleep\0{mark}\0".encode()
        self.doubles: list[tuple[str, int]] = []
        self._done = threading.Event()

    def count(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if Path(entry.path, "cmdline").read_bytes() == self.line:
                        found[_agent_of(Path(entry.path, "environ").read_bytes())] += 1
        return found

    def run(self) -> None:
        while not self._done.wait(0.02):
            self.doubles += [(name, number) for name, number in self.count().items() if number > 1]

    def end(self) -> None:
        self._done.set()
        self.join()


def _agent_of(environ: bytes) -> str:
    told = dict(word.partition(b"=")[::2] for word in environ.split(b"\0"))
    return told.get(b"SWARM_AGENT_ID", b"nobody").decode()


class Storm:
    """A swarm of sleepers under a storm; their command line is a mark that no other storm has."""

    def __init__(self, folder: Path) -> None:
        mark = str(10**6 + secrets.randbelow(10**9))
        self.broker = RealBroker(pick_port(), folder / "broker").start()
        agents = [sleeper(name, command=["sleep", mark]) for name in NAMES]
        agents.append({"role": "testing", "min": 1, "max": len(CREW), "command": ["sleep", mark]})
        self.swarm = Swarm(folder, self.broker.port, agents)
        self.stopped: set[str] = set()
        self.crew = CREW[:1]
        self.swarm.up(fails=True, wait="0")
        self.watcher = Watcher(mark)
        self.watcher.start()
        self.converges()

    @property
    def there(self) -> list[str]:
        """Who is to be there, stopped ones too."""
        return NAMES + self.crew

    def differs(self) -> str:
        """Where the swarm is not as its layout and the commands say; empty when it is."""
        panes, rows = self.swarm.panes(), self.swarm.rows()
        if set(rows) != set(self.there) or not set(panes) <= set(rows):
            return f"rows {sorted(rows)}, panes {sorted(panes)}, to be {self.there}"
        for name in self.there:
            pane, row = panes.get(name), rows[name]
            if name in self.stopped:
                if row.state != "stopped" or row.pid is not None:
                    return f"{name} is to be stopped: {row}"
            elif pane is None or pane.dead or row.pid != pane.pid:
                return f"{name} is to run: {row}, {pane}"
        living = self.watcher.count()
        wanted = Counter(set(self.there) - self.stopped)
        return "" if living == wanted else f"processes {dict(living)}, to be {sorted(wanted)}"

    def converges(self) -> None:
        """Within LONG; and nothing was ever there twice."""
        last = ["nothing is known"]

        def whole() -> bool:
            try:
                last[0] = self.differs()
            except TmuxError as error:
                last[0] = str(error)
            return not last[0]

        try:
            until(whole, LONG, "the swarm to be as its layout says")
        except AssertionError as error:
            events = "\n".join(str(event) for event in self.swarm.saved().events[-25:])
            raise AssertionError(f"{error}: {last[0]}\n{events}") from None
        assert self.watcher.doubles == [], f"two at once: {self.watcher.doubles[:5]}"

    def asks(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command of a person, given again as long as no supervisor answers."""

        def answered() -> "subprocess.CompletedProcess[str] | None":
            done = self.swarm.run(words[0], "--swarm", self.swarm.name, *words[1:])
            return None if "no supervisor" in done.stderr else done

        return until(answered, LONG, " ".join(words))  # type: ignore[return-value]

    def kill(self, name: str, number: signal.Signals) -> None:
        """Signal an agent's process, if it has any."""
        row = self.swarm.rows().get(name)
        if row is not None and row.pid is not None and processes.is_alive(row.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(row.pid, number)

    def kill_the_supervisor(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.swarm.supervisor(), signal.SIGKILL)

    def close(self) -> None:
        self.watcher.end()
        self.swarm.close()
        self.broker.stop()


def told(act: Callable[..., None]) -> Callable[..., None]:
    """A step that is written down, to be done later."""

    @functools.wraps(act)
    def step(machine: "Machine", **drawn: Any) -> None:
        machine.steps.append((act, drawn))

    return step


class Machine(RuleBasedStateMachine):
    """What can happen to a swarm: hypothesis writes the steps, `perform` does them.

    What is drawn never depends on how the swarm is: `pick` counts round who is there then. So hypothesis need not
    repeat a failure, which would be another storm and prove nothing.
    """

    picks = st.integers(0, 59)
    storm: Storm

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Callable[..., None], dict[str, Any]]] = []

    @property
    def kinds(self) -> int:
        return len({act for act, _ in self.steps})

    def perform(self, folder: Path) -> None:
        """Do the steps to a swarm of their own, which converges after each."""
        self.storm = Storm(folder)
        done: list[str] = []
        try:
            for act, drawn in self.steps:
                done.append(f"{act.__name__} {drawn or ''}")
                act(self, **drawn)
                self.storm.converges()
        except Exception as error:
            error.add_note("after these steps:\n" + "\n".join(f"{n} {step}" for n, step in enumerate(done, 1)))
            raise
        finally:
            self.storm.close()

    def pick(self, number: int) -> str:
        there = self.storm.there
        return there[number % len(there)]

    @rule(pick=picks, number=st.sampled_from([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV]))
    @told
    def kill_an_agent(self, pick: int, number: signal.Signals) -> None:
        self.storm.kill(self.pick(pick), number)

    @rule()
    @told
    def kill_all_agents(self) -> None:
        for name in self.storm.there:
            self.storm.kill(name, signal.SIGKILL)

    @rule()
    @told
    def kill_the_supervisor(self) -> None:
        self.storm.kill_the_supervisor()

    @rule(pick=picks)
    @told
    def kill_a_pane(self, pick: int) -> None:
        self.tmux("kill-pane", pick)

    @rule(pick=picks)
    @told
    def kill_a_window(self, pick: int) -> None:
        self.tmux("kill-window", pick)

    @rule(pick=picks)
    @told
    def rename_a_window(self, pick: int) -> None:
        self.tmux("rename-window", pick, "other | name")

    @rule(pick=picks, width=st.integers(20, 300), height=st.integers(5, 100))
    @told
    def resize_a_window(self, pick: int, width: int, height: int) -> None:
        self.tmux("resize-window", pick, "-x", str(width), "-y", str(height), flags_first=True)

    @rule()
    @told
    def kill_the_control_window(self) -> None:
        swarm = self.storm.swarm
        former = swarm.supervisor()
        with contextlib.suppress(TmuxError):
            swarm.tmux.run("kill-window", "-t", f"={swarm.name}:control")
        # Killed once more before it has made another window, only `up` could make one.
        until(lambda: swarm.supervisor() != former, what="a successor in a window of its own")

    @rule()
    @told
    def kill_the_server(self) -> None:
        # Only a live supervisor can make all again; without one it is for `up` to do.
        self.storm.swarm.supervisor()
        with contextlib.suppress(TmuxError):
            self.storm.swarm.tmux.run("kill-server")

    @rule(pick=picks)
    @told
    def stop_or_start(self, pick: int) -> None:
        storm, name = self.storm, NAMES[pick % len(NAMES)]
        if name in storm.stopped:
            # A sleeper never registers, so `start` is not waited for.
            storm.asks("start", name, "--wait", "0.2")
        else:
            done = storm.asks("stop", name, "--wait", "20")
            assert done.returncode == 0, done.stderr
        storm.stopped ^= {name}

    @rule(pick=picks)
    @told
    def restart(self, pick: int) -> None:
        name = self.pick(pick)
        if name not in self.storm.stopped:
            self.storm.asks("restart", name, "--wait", "0.2")

    @rule(number=st.integers(1, len(CREW)))
    @told
    def scale(self, number: int) -> None:
        done = self.storm.asks("scale", "testing", str(number))
        assert done.returncode == 0, done.stderr
        self.storm.crew = CREW[:number]

    @rule()
    @told
    def up_again(self) -> None:
        # What a person stopped stays stopped; sleepers never register, so it fails.
        self.storm.swarm.up(fails=True, wait="0")

    def tmux(self, command: str, pick: int, *more: str, flags_first: bool = False) -> None:
        with contextlib.suppress(TmuxError):
            pane = self.storm.swarm.panes().get(self.pick(pick))
            if pane is not None and flags_first:
                self.storm.swarm.tmux.run(command, *more, "-t", pane.pane_id)
            elif pane is not None:
                self.storm.swarm.tmux.run(command, "-t", pane.pane_id, *more)


def ride(steps: int, folder: Path) -> None:
    """Do the most varied of many runs of so many steps: the first that hypothesis writes do one thing over and over."""
    written: list[Machine] = []

    def machine() -> Machine:
        written.append(Machine())
        return written[-1]

    rehearsals = settings(
        max_examples=60,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(machine, settings=rehearsals)  # type: ignore[no-untyped-call,arg-type]
    chosen = max((one for one in written if len(one.steps) == steps), key=lambda one: one.kinds)
    assert chosen.kinds > 3
    chosen.perform(folder)
    print(f"{steps} steps: {dict(Counter(act.__name__ for act, _ in chosen.steps))}")


@pytest.mark.parametrize("part", range(2))
def test_a_short_storm_ends_in_the_layout(part: int, tmp_path: Path) -> None:
    ride(25, tmp_path)


@pytest.mark.drill
@pytest.mark.parametrize("part", range(20))
def test_a_long_storm_ends_in_the_layout(part: int, tmp_path: Path) -> None:
    ride(50, tmp_path)


def kills(storm: Storm, times: int) -> None:
    """SIGKILL the supervisor again and again, at random moments, while agents die too."""
    for number in range(times):
        name = NAMES[number % len(NAMES)]
        storm.kill(name, signal.SIGKILL)
        threading.Event().wait(random.uniform(0, 0.15))
        storm.kill_the_supervisor()
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


def test_what_a_killed_supervisor_was_about_to_end_is_ended(tmp_path: Path, real_broker: RealBroker) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done", "{agent_id}"]
    agents = [
        sleeper("a", command=stubborn),
        {"role": "testing", "min": 1, "max": 2, "command": stubborn},
    ]
    swarm = Swarm(tmp_path, real_broker.port, agents, supervisor={"term_wait": 1.0})
    try:
        swarm.up(fails=True, wait="0")
        swarm.run("scale", "--swarm", swarm.name, "testing", "2")
        swarm.await_row("testing-02", lambda row: row.pid is not None)
        swarm.run("stop", "--swarm", swarm.name, "a", "--wait", "0.1")
        swarm.run("scale", "--swarm", swarm.name, "testing", "1", "--wait", "0.1")
        for name in ("a", "testing-02"):
            swarm.await_row(name, lambda row: row.state in ("draining", "stopped"))
        swarm.kill(swarm.supervisor())
        swarm.await_row("a", lambda row: row.state == "stopped" and row.pid is None)
        until(lambda: set(swarm.rows()) == {"a", "testing-01"}, what="testing-02 to be let go")
        until(lambda: set(swarm.panes()) <= {"a", "testing-01"}, what="its pane to go")
        assert swarm.rows()["testing-01"].pid is not None
    finally:
        swarm.close()
