"""As `up --detach` starts it, with tasks on their way: the supervisor dies, the machine sleeps, the disk fills."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

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
