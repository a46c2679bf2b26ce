"""Who does the dispatcher's work: one thread at a time, and nobody forgets what was heard meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from swarm_tui.agent.roles.task_manager.turn_scheduler import TurnScheduler
from swarm_tui.bus.port import Bus
from tests.wait import until


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody must be woken for does not happen by itself."""
    monkeypatch.setattr("swarm_tui.agent.roles.task_manager.turn_scheduler.LOOK", 60.0)


class Turning:
    """A bus of which only the turns count; the test takes them."""

    def __init__(self, *, shares: bool = True) -> None:
        self.shares = shares
        self.call: Callable[[], float] | None = None

    def on_turn(self, call: Callable[[], float] | None) -> bool:
        self.call = call
        return self.shares


class Desk:
    """Work that counts how many do it at once, and can be held up."""

    def __init__(self) -> None:
        self.todo = 0
        self.done = 0
        self.at_once = 0
        self.most = 0
        self.over = False
        self.fails = False
        self.go = threading.Event()
        self.go.set()

    def work(self) -> float | None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        todo, self.todo = self.todo, 0
        self.go.wait(10)
        self.done += todo
        self.at_once -= 1
        if self.fails:
            raise OSError("the disk is gone")
        return None if self.over else 60.0


@contextmanager
def running(bus: Turning, desk: Desk) -> Iterator[TurnScheduler]:
    turn_scheduler = TurnScheduler(cast(Bus, bus), desk.work)
    thread = threading.Thread(target=turn_scheduler.run, daemon=True)
    thread.start()
    until(lambda: bus.call is not None)
    yield turn_scheduler
    desk.over = True
    desk.go.set()
    turn_scheduler.nudge(surely=True)
    thread.join(10)
    assert not thread.is_alive()
    assert bus.call is None


def test_the_buss_thread_works_and_nobody_is_woken_for_it() -> None:
    bus, desk = Turning(), Desk()
    with running(bus, desk) as turn_scheduler:
        assert bus.call is not None
        until(lambda: desk.at_once == 0)
        assert bus.call() == 60.0
        desk.todo = 3
        turn_scheduler.nudge()
        assert not turn_scheduler._nudge.is_set()
        bus.call()
        assert desk.done == 3


def test_what_is_heard_while_the_other_thread_works_is_done_right_after() -> None:
    bus, desk = Turning(), Desk()
    with running(bus, desk) as turn_scheduler:
        call = cast(Any, bus.call)
        until(lambda: desk.at_once == 0)
        call()
        desk.go.clear()
        turn_scheduler.nudge(surely=True)
        until(lambda: desk.at_once == 1)
        desk.todo = 1
        call()
        desk.go.set()
        until(lambda: desk.done == 1)
        assert desk.most == 1


def test_a_bus_without_turns_leaves_the_work_to_the_dispatchers_thread() -> None:
    bus, desk = Turning(shares=False), Desk()
    with running(bus, desk) as turn_scheduler:
        desk.todo = 2
        turn_scheduler.nudge()
        until(lambda: desk.done == 2)


def test_what_the_work_raises_ends_the_dispatcher_and_not_the_bus() -> None:
    bus, desk = Turning(), Desk()
    desk.fails = True
    turn_scheduler = TurnScheduler(cast(Bus, bus), desk.work)
    with pytest.raises(OSError, match="the disk is gone"):
        turn_scheduler.run()
    assert bus.call is None


def test_the_buss_thread_learns_what_the_other_one_put_off() -> None:
    bus, desk = Turning(), Desk()
    with running(bus, desk) as turn_scheduler:
        until(lambda: desk.at_once == 0 and bus.call is not None)
        bus.call = None
        turn_scheduler.nudge(surely=True)
        until(lambda: bus.call is not None)
