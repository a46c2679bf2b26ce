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
def services() -> Iterator[Ground]:
    made = Ground()
    yield made
    made.loop.close()


def test_timers_run_in_the_order_of_their_time(services: Ground) -> None:
    services.loop.after(0.03, lambda: services.end("c"))
    services.loop.after(0.01, lambda: services.note("a"))
    services.loop.after(0.02, lambda: services.note("b"))
    services.loop.after(0.015, lambda: services.note("never")).cancel()
    services.loop.run()
    assert services.seen == ["a", "b", "c"]


@pytest.mark.parametrize("polled", [False, True])
def test_an_exit_is_heard_without_being_a_parent(
    services: Ground, polled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if polled:
        monkeypatch.delattr(os, "pidfd_open")
    shell = subprocess.Popen(["sh", "-c", "sleep 30 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    with shell.stdout, shell:
        pid = int(shell.stdout.readline())
        services.loop.watch(pid, lambda: services.end("ended"))
        services.loop.after(0.01, lambda: os.kill(pid, signal.SIGKILL))
        services.loop.after(5.0, services.loop.stop)
        services.loop.run()
    assert services.seen == ["ended"]


def test_a_process_that_is_gone_already_is_heard_too(services: Ground) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    services.loop.watch(process.pid, lambda: services.end("ended"))
    services.loop.run()
    assert services.seen == ["ended"]


def test_a_watch_that_is_over_ends_no_other_that_has_its_number(services: Ground) -> None:
    programs = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    try:
        over = services.loop.watch(programs[0].pid, lambda: services.note("first"))
        over()
        services.loop.watch(programs[1].pid, lambda: services.end("second"))
        over()
        programs[1].kill()
        services.loop.after(5.0, lambda: services.end("nothing came"))
        services.loop.run()
    finally:
        for program in programs:
            program.kill()
            program.wait()
    assert services.seen == ["second"]


def test_another_thread_wakes_it(services: Ground) -> None:
    thread = threading.Thread(target=lambda: services.loop.post(lambda: services.end("posted")))
    services.loop.after(10.0, lambda: services.end("late"))
    thread.start()
    services.loop.run()
    thread.join()
    assert services.seen == ["posted"]


def test_one_mistake_does_not_end_it(services: Ground) -> None:
    def mistake() -> None:
        raise ValueError("no")

    services.loop.post(mistake)
    services.loop.post(lambda: services.end("goes on"))
    services.loop.run()
    assert services.seen == ["goes on"]
    assert [str(error) for error in services.errors] == ["no"]


def test_a_sleep_of_the_machine_is_noticed_before_timers_run(services: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    services.loop.after(0.01, lambda: services.end("timer"))
    monkeypatch.setattr(loops, "_asleep", lambda: 120.0)
    services.loop.run()
    assert len(services.stalls) == 1
    assert services.stalls[0] > 100


def test_being_stopped_ourselves_is_noticed(services: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    services.loop.stall = 0.05
    select = services.loop._selector.select

    def late(limit: float | None) -> object:
        time.sleep(0.2)
        return select(0)

    monkeypatch.setattr(services.loop._selector, "select", late)
    services.loop.after(0.01, lambda: services.end("timer"))
    services.loop.run()
    assert len(services.stalls) == 1


def test_being_stopped_in_the_middle_of_work_is_noticed(services: Ground) -> None:
    services.loop.stall = 0.05
    services.loop.after(0.0, lambda: time.sleep(0.2))
    services.loop.after(0.01, lambda: services.note("on time"))
    services.loop.after(0.3, lambda: services.end("timer"))
    services.loop.run()
    assert len(services.stalls) == 1
    assert services.stalls[0] > 0.1
