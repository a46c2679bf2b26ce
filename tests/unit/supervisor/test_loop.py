"""The loop: timers in order, exits from the kernel, words from other threads, and standing still noticed."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from swarm_tui.supervisor import loop as loops
from swarm_tui.supervisor.loop import Loop


class Ground:
    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.stalls: list[float] = []
        self.seen: list[str] = []
        self.loop = Loop(self.errors.append, self.stalls.append)

    def note(self, word: str) -> None:
        self.seen.append(word)

    def end(self, word: str) -> None:
        self.note(word)
        self.loop.stop()


@pytest.fixture
def ground() -> Iterator[Ground]:
    made = Ground()
    yield made
    made.loop.close()


def test_timers_run_in_the_order_of_their_time(ground: Ground) -> None:
    ground.loop.after(0.03, lambda: ground.end("c"))
    ground.loop.after(0.01, lambda: ground.note("a"))
    ground.loop.after(0.02, lambda: ground.note("b"))
    ground.loop.after(0.015, lambda: ground.note("never")).cancel()
    ground.loop.run()
    assert ground.seen == ["a", "b", "c"]


@pytest.mark.parametrize("polled", [False, True])
def test_an_exit_is_heard_without_being_a_parent(ground: Ground, polled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if polled:
        monkeypatch.delattr(os, "pidfd_open")
    shell = subprocess.Popen(["sh", "-c", "sleep 30 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    with shell.stdout, shell:
        pid = int(shell.stdout.readline())
        ground.loop.watch(pid, lambda: ground.end("ended"))
        ground.loop.after(0.01, lambda: os.kill(pid, signal.SIGKILL))
        ground.loop.after(5.0, ground.loop.stop)
        ground.loop.run()
    assert ground.seen == ["ended"]


def test_a_process_that_is_gone_already_is_heard_too(ground: Ground) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    ground.loop.watch(process.pid, lambda: ground.end("ended"))
    ground.loop.run()
    assert ground.seen == ["ended"]


def test_another_thread_wakes_it(ground: Ground) -> None:
    thread = threading.Thread(target=lambda: ground.loop.post(lambda: ground.end("posted")))
    ground.loop.after(10.0, lambda: ground.end("late"))
    thread.start()
    ground.loop.run()
    thread.join()
    assert ground.seen == ["posted"]


def test_one_mistake_does_not_end_it(ground: Ground) -> None:
    def mistake() -> None:
        raise ValueError("no")

    ground.loop.post(mistake)
    ground.loop.post(lambda: ground.end("goes on"))
    ground.loop.run()
    assert ground.seen == ["goes on"]
    assert [str(error) for error in ground.errors] == ["no"]


def test_a_sleep_of_the_machine_is_noticed_before_timers_run(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.loop.after(0.01, lambda: ground.end("timer"))
    monkeypatch.setattr(loops, "_asleep", lambda: 120.0)
    ground.loop.run()
    assert len(ground.stalls) == 1
    assert ground.stalls[0] > 100


def test_being_stopped_ourselves_is_noticed(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.loop.stall = 0.05
    select = ground.loop._selector.select

    def late(limit: float | None) -> object:
        time.sleep(0.2)
        return select(0)

    monkeypatch.setattr(ground.loop._selector, "select", late)
    ground.loop.after(0.01, lambda: ground.end("timer"))
    ground.loop.run()
    assert len(ground.stalls) == 1


def test_being_stopped_in_the_middle_of_work_is_noticed(ground: Ground) -> None:
    ground.loop.stall = 0.05
    ground.loop.after(0.0, lambda: time.sleep(0.2))
    ground.loop.after(0.01, lambda: ground.note("on time"))
    ground.loop.after(0.3, lambda: ground.end("timer"))
    ground.loop.run()
    assert len(ground.stalls) == 1
    assert ground.stalls[0] > 0.1
