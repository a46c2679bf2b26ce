"""As `up --detach` starts it, with tasks on their way: the supervisor dies, the machine sleeps, the disk fills."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.config.paths import broker_dir
from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.states import TaskState
from tests.conftest import pick_port
from tests.e2e.supervised_swarm import Swarm, own
from tests.faults.producer import Producer, pause
from tests.wait import until

WORKERS = 3
#: Says in a file which task it runs, works, and has a result.
WORK = """
import json, os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(os.environ["SWARM_TASK_ID"] + "\\n")
time.sleep(float(sys.argv[2]))
print(json.dumps({"result": {"done": True}}))
"""
Make = Callable[[], tuple[Swarm, Producer]]


def runs(swarm: Swarm) -> Counter[str]:
    """How often each task was begun."""
    log = swarm.folder / "runs"
    return Counter(log.read_text().split()) if log.exists() else Counter()


def everything(swarm: Swarm) -> list[psutil.Process]:
    """Every process of the swarm: tmux first, which wakes what is stopped in its panes; then what they started."""
    found = {process.pid: process for process in swarm.processes()}
    for process in list(found.values()):
        with suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    broker = EmbeddedBroker(swarm.port, broker_dir(swarm.port)).pid()
    if broker is not None:
        found[broker] = psutil.Process(broker)
    return sorted(found.values(), key=lambda process: (process.name().startswith("tmux") is False, process.pid))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[tuple[Swarm, Producer]] = []

    def build() -> tuple[Swarm, Producer]:
        (tmp_path / "work.py").write_text(WORK)
        command = [sys.executable, str(tmp_path / "work.py"), str(tmp_path / "runs"), "{payload.seconds}"]
        handlers = {"demo.work": {"command": command, "max_attempts": 20}}
        agents = [own("tm", "task-manager"), *(own(f"w{n}", handlers=handlers) for n in range(WORKERS))]
        swarm = Swarm(tmp_path, pick_port(), agents)
        swarm.up()
        producer = Producer(f"mqtt://127.0.0.1:{swarm.port}", swarm.name, swarm.state.dispatch, "demo.work")
        made.append((swarm, producer))
        until(lambda: producer.led, 30, "the dispatcher to lead")
        return swarm, producer

    yield build
    for swarm, producer in made:
        for process in everything(swarm):
            with suppress(psutil.Error):
                process.resume()
        producer.leave()
        with suppress(subprocess.TimeoutExpired):
            swarm.run("down", swarm.name, "--now")
        swarm.close()


def check(swarm: Swarm, producer: Producer, jobs: dict[str, Job], *, twice: int) -> None:
    """accepted = ended, each in one recorded outcome, and no more second runs than `twice`."""
    second = sum(times - 1 for times in runs(swarm).values())
    print(f"{producer.figures(jobs)}, {sum(runs(swarm).values())} runs of the work")
    assert producer.queued == set(jobs) == set(runs(swarm))
    for job in jobs.values():
        assert job.state is TaskState.COMPLETE, f"{job.task_id}: {job.state}: {job.reason}"
        assert sum(attempt.outcome == "complete" for attempt in job.attempts) == 1
    assert second <= twice


@pytest.mark.drill
def test_the_supervisor_is_killed_while_tasks_flow(make: Make) -> None:
    """Its agents live on without it, and so does what they work on."""
    swarm, producer = make()
    pids = swarm.pids()
    for number in range(150):
        producer.publish(f"t{number}", 0.1)
        if number % 30 == 15:
            before = swarm.supervisor()
            swarm.kill(before)
            producer.kills["supervisor"] += 1
            until(lambda before=before: swarm.supervisor() != before, 20, "another supervisor")  # type: ignore[misc]
        pause(0.02)
    check(swarm, producer, producer.settle(120), twice=0)
    assert swarm.pids() == pids
    assert len({pid for pid in pids.values() if pid}) == WORKERS + 1


def kill(swarm: Swarm, victim: str) -> None:
    """Kill a part of the swarm, as it runs now; what is not there at this moment is dead enough."""
    if victim == "broker":
        pid = EmbeddedBroker(swarm.port, broker_dir(swarm.port)).pid()
    else:
        pid = swarm.supervisor() if victim == "supervisor" else swarm.pids().get(victim)
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)


def under_fire(swarm: Swarm, producer: Producer, rng: Random, *, publishes: int, each: int, seconds: float) -> None:
    """Publish so many, and after each so many kill a part of the swarm: every part once, in any order, again and again.

    A publisher waits as long as the command line does by default.
    """
    parts = ["broker", "supervisor", "tm", *(f"w{n}" for n in range(WORKERS))]
    left: list[str] = []
    for number in range(publishes):
        producer.publish(f"t{number}", rng.choice([0.0, 0.1, 0.3]), accept_timeout=30.0)
        if number % each == each - 1:
            left = left or rng.sample(parts, len(parts))
            victim = left.pop()
            kill(swarm, victim)
            producer.kills[victim] += 1
        pause(seconds)
    jobs = producer.settle(120)
    given_up = [f"{p.task_id}: {p.reason}" for p in producer.publications if not p.accepted]
    assert not given_up, f"{len(given_up)} of {publishes} were not accepted: {given_up[:5]}"
    assert len(jobs) == publishes
    # Whoever only listens misses what is said while the broker is gone: what the publishers were told counts.
    producer.queued = {publication.task_id for publication in producer.publications}
    check(swarm, producer, jobs, twice=sum(producer.kills.values()) * WORKERS)


def test_every_publish_is_accepted_though_each_part_is_killed(make: Make) -> None:
    """The short form of the drills below."""
    swarm, producer = make()
    under_fire(swarm, producer, Random(1), publishes=24, each=4, seconds=0.1)


@pytest.mark.drill
def test_every_publish_is_accepted_while_all_parts_are_killed_at_random(make: Make) -> None:
    """SWARM_FAULT_SEED draws the order again."""
    seed = int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns())))
    print(f"SWARM_FAULT_SEED={seed}")
    swarm, producer = make()
    under_fire(swarm, producer, Random(seed), publishes=200, each=10, seconds=0.3)


@pytest.mark.drill
def test_every_publish_of_the_command_line_is_accepted_while_all_parts_are_killed_at_random(make: Make) -> None:
    """SWARM_FAULT_SEED draws the order again. Each publish is a process of its own, with its defaults."""
    seed = int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns())))
    print(f"SWARM_FAULT_SEED={seed}")
    swarm, producer = make()
    rng, parts = Random(seed), ["broker", "supervisor", "tm", *(f"w{n}" for n in range(WORKERS))]

    def publish(number: int) -> tuple[int, str]:
        words = ("publish", "demo.work", "-p", "seconds=0.1", "--task-id", f"c{number}", "--swarm", swarm.name)
        done = swarm.run(*words, limit=120.0)
        return done.returncode, f"c{number}: {done.stderr.strip()}"

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(publish, number) for number in range(200)]
        while not all(each.done() for each in waiting):
            victim = rng.choice(parts)
            kill(swarm, victim)
            producer.kills[victim] += 1
            pause(rng.uniform(2.0, 4.0))
    refused = [said for code, said in (each.result() for each in waiting) if code]
    assert not refused, f"{len(refused)} of 200 were not accepted: {refused[:5]}"
    # Whoever only listens misses what is said while the broker is gone.
    producer.queued = {f"c{number}" for number in range(200)}
    jobs = producer.settle(120)
    check(swarm, producer, jobs, twice=sum(producer.kills.values()) * WORKERS)


@pytest.mark.drill
def test_the_machine_sleeps_while_tasks_flow(make: Make) -> None:
    """All stand still for two leases, the broker too: nobody is taken for dead for that, and nothing runs twice."""
    swarm, producer = make()
    pids = swarm.pids()
    seconds = float(os.environ.get("SWARM_DRILL_SLEEP", "60"))
    for number in range(60):
        producer.publish(f"t{number}", 0.5)
    until(lambda: len(runs(swarm)) > 6, 30, "some of them to run")
    stopped = everything(swarm)
    for process in stopped:
        process.suspend()
    pause(seconds)
    assert all(process.status() == psutil.STATUS_STOPPED for process in stopped)
    for process in reversed(stopped):
        process.resume()
    for number in range(60, 80):
        producer.publish(f"t{number}", 0.0)
    check(swarm, producer, producer.settle(120), twice=0)
    assert swarm.pids() == pids


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 12 MB that holds all state; without the right to mount one the test is skipped."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root mounts a small disk")
    monkeypatch.setenv("XDG_STATE_HOME", str(disk))
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.drill
def test_the_disk_fills_while_tasks_flow(small_disk: Path, make: Make) -> None:
    """Journal, record, logs and the broker's files are on it. Nothing accepted is lost, and it says so meanwhile."""
    swarm, producer = make()
    for number in range(20):
        producer.publish(f"t{number}", 0.3)
    until(lambda: len(producer.queued) == 20, 20, "the first to be accepted")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    for number in range(20, 40):
        producer.publish(f"t{number}", 0.0)
        pause(0.05)
    until(lambda: any("cannot be written" in alert for alert in producer.alerts), 30, "an alert")
    accepted = len(producer.queued)
    pause(5.0)
    print(f"{accepted} of 40 accepted when the alert came, {len(producer.queued)} while the disk was full")
    assert len(producer.queued) == accepted
    shown = swarm.run("status", swarm.name)
    assert (shown.returncode, "MB left: make room on it" in shown.stderr) == (0, True)
    refused = swarm.run("publish", "demo.work", "-p", "seconds=0", "--swarm", swarm.name, "--accept-timeout", "2")
    assert (refused.returncode, "its journal" in refused.stderr) == (1, True), refused.stderr
    pane = swarm.tmux.run("capture-pane", "-p", "-t", swarm.panes()["tm"].pane_id)
    assert "cannot be written" in " ".join(word for line in pane for word in line.split())
    filler.unlink()
    until(lambda: any("can be written again" in alert for alert in producer.alerts), 60, "the end of the alert")
    check(swarm, producer, producer.settle(120), twice=WORKERS)
