"""Real processes, killed at random and at named points: what was accepted ends, each in one recorded outcome."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.states import TaskState
from tests.conftest import RealBroker
from tests.faults.engine_swarm import POINTS, FaultySwarm
from tests.faults.producer import pause
from tests.wait import until


@pytest.fixture
def make_swarm(make_broker: Callable[..., RealBroker], tmp_path: Path) -> Iterator[Callable[..., FaultySwarm]]:
    made: list[FaultySwarm] = []

    def make(**more: Any) -> FaultySwarm:
        made.append(FaultySwarm(make_broker(), tmp_path, **more))
        return made[-1]

    yield make
    for swarm in made:
        swarm.close()


def check(swarm: FaultySwarm, jobs: dict[str, Job]) -> None:
    """accepted = ended, each once, none unexpected."""
    assert swarm.queued <= set(jobs)
    assert all(publication.accepted for publication in swarm.publications)
    for job in jobs.values():
        assert job.state is TaskState.COMPLETE, f"{job.task_id}: {job.state}: {job.reason}"
        assert sum(attempt.outcome == "complete" for attempt in job.attempts) == 1


def begin(swarm: FaultySwarm) -> None:
    """Let the dispatcher lead before anything else happens, as `up` does."""
    until(lambda: swarm.led, 30, "the dispatcher to lead")
    swarm.publish("first", 0.0)
    until(lambda: "first" in swarm.queued, 30, "the first task to be accepted")


def test_nothing_accepted_is_lost_when_processes_are_killed(make_swarm: Callable[..., FaultySwarm]) -> None:
    swarm = make_swarm(seed=int(os.environ.get("SWARM_FAULT_SEED", "1")))
    begin(swarm)
    victims = ["w0", "tm", "after-commit", "w1", "broker", "w2", "after-publish"]
    for number in range(42):
        swarm.publish(f"t{number}", swarm.rng.choice([0.0, 0.05, 0.3]))
        if number % 6 == 5:
            victim = victims[number // 6]
            if victim in POINTS:
                swarm.kill_at(victim)
            elif victim == "broker":
                swarm.broker.kill()
                swarm.broker.start()
            else:
                swarm.kill(victim)
            swarm.revive()
        pause(0.05)
    jobs = swarm.settle(60)
    print(swarm.figures(jobs))
    check(swarm, jobs)


def test_a_full_disk_accepts_nothing_and_loses_nothing(make_swarm: Callable[..., FaultySwarm]) -> None:
    swarm = make_swarm(workers=1)
    begin(swarm)
    swarm.publish("before", 1.0)
    until(lambda: "before" in swarm.queued, 20, "what came before to be accepted")
    swarm.fill_disk(True)
    for number in range(5):
        swarm.publish(f"t{number}", 0.0)
    until(lambda: any("cannot be written" in alert for alert in swarm.alerts), 20, "an alert")
    assert swarm.queued == {"first", "before"}
    swarm.fill_disk(False)
    jobs = swarm.settle(60)
    check(swarm, jobs)
    assert len(jobs) == 7
    until(lambda: any("can be written again" in alert for alert in swarm.alerts), 20, "the end of the alert")


def age(swarm: FaultySwarm, agent_id: str) -> float:
    """Seconds since the agent's process began."""
    return time.time() - psutil.Process(swarm.processes[agent_id].pid).create_time()


def begun(swarm: FaultySwarm, task_id: str) -> str | None:
    """The foreign agent that began the task last."""
    logs = {agent_id: swarm.runs_of(agent_id) for agent_id in swarm.foreign}
    return next((a for a, log in logs.items() if log.exists() and task_id in log.read_text().split()), None)


def foreign_agents(swarm: FaultySwarm, *, count: int, long: float, limit: float) -> None:
    """Each is recorded once, and none runs twice but what the killed one held; what runs long keeps its lease."""
    until(lambda: swarm.led, 30, "the dispatcher to lead")
    # One that is killed within two seconds of its start, and is back as soon, cannot be told from itself.
    until(lambda: all(age(swarm, agent_id) > 3.0 for agent_id in swarm.foreign), 30, "agents that are not new")
    swarm.publish("long", long)
    swarm.publish("held", 2.0)
    for number in range(count):
        swarm.publish(f"t{number}", 0.02)
        if number == count // 2:
            killed = until(lambda: begun(swarm, "held"), 30, "the agent that is to be killed")
            assert killed is not None
            swarm.kill(killed)
    jobs = swarm.settle(limit)
    check(swarm, jobs)
    assert len(jobs) == count + 2
    twice = {task_id for task_id, times in swarm.runs().items() if times > 1}
    print(f"{len(jobs)} tasks by {len(swarm.foreign)} agents of the seed's, {sum(swarm.runs().values())} runs")
    assert twice == {"held"}
    assert swarm.runs()["held"] == 2


def test_agents_of_the_seed_run_each_task_once(make_swarm: Callable[..., FaultySwarm]) -> None:
    """The killed one runs again at once, so that only its first heartbeat tells that it is another process."""
    foreign_agents(make_swarm(workers=0, foreign=3, heartbeat=2.5), count=40, long=3.0, limit=60)


def test_an_agent_of_the_sdks_dialect_gets_and_ends_its_tasks(make_swarm: Callable[..., FaultySwarm]) -> None:
    """It hears its tasks in its own words, and all that it says is read: its claim, progress, result and failure."""
    swarm = make_swarm(workers=0, foreign=1, dialect="mqtt-v1", heartbeat=0.5)
    until(lambda: swarm.led, 30, "the dispatcher to lead")
    swarm.publish("good", 0.1)
    swarm.publish("bad", 0.1, fail=True)
    swarm.publish("last", 0.0)
    jobs = swarm.settle(20)
    assert {task_id: job.state for task_id, job in jobs.items()} == {
        "good": TaskState.COMPLETE, "bad": TaskState.FAILED, "last": TaskState.COMPLETE,
    }  # fmt: skip
    assert jobs["good"].result == {"by": "s0", "type": "noop"}
    assert (jobs["bad"].error, jobs["bad"].attempt) == ("Provider timeout", 1)
    assert swarm.runs() == {"good": 1, "bad": 1, "last": 1}
    assert [hop.what for hop in jobs["good"].hops] == ["published", "queued", "assigned", "started", "complete"]


@pytest.mark.drill
def test_agents_of_the_seed_run_each_of_many_tasks_once(make_swarm: Callable[..., FaultySwarm]) -> None:
    """One of them takes longer than a lease."""
    foreign_agents(make_swarm(workers=0, foreign=3), count=200, long=45.0, limit=150)


@pytest.mark.drill
def test_a_swarm_under_fire_for_long(make_swarm: Callable[..., FaultySwarm]) -> None:
    """SWARM_DRILL_SECONDS of it, 1,200 by default."""
    swarm = make_swarm(seed=int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns()))), workers=5)
    begin(swarm)
    rng = swarm.rng
    end = time.monotonic() + float(os.environ.get("SWARM_DRILL_SECONDS", "1200"))
    stopped: list[tuple[float, str]] = []
    count = 0
    while time.monotonic() < end:
        for _ in range(rng.randrange(5)):
            count += 1
            swarm.publish(f"t{count}", rng.choice([0.0, 0.0, 0.1, 0.3, 3.0]))
        match rng.randrange(26):
            case 7:
                swarm.fill_disk(True)
            case 8:
                swarm.fill_disk(False)
            case 0 | 1 | 2:
                swarm.kill(rng.choice(swarm.ids))
            case 3 | 4:
                swarm.kill_at(rng.choice(POINTS))
            case 5:
                swarm.broker.kill()
                swarm.broker.start()
            case 6:
                victim = rng.choice(swarm.ids)
                if victim not in {name for _, name in stopped}:
                    os.kill(swarm.processes[victim].pid, signal.SIGSTOP)
                    stopped.append((time.monotonic() + rng.choice([5.0, 40.0]), victim))
        for when, name in [entry for entry in stopped if entry[0] <= time.monotonic()]:
            stopped.remove((when, name))
            if swarm.processes[name].poll() is None:
                os.kill(swarm.processes[name].pid, signal.SIGCONT)
        swarm.revive()
        pause(0.4)
    for _, name in stopped:
        if swarm.processes[name].poll() is None:
            os.kill(swarm.processes[name].pid, signal.SIGCONT)
    swarm.fill_disk(False)
    jobs = swarm.settle(300)
    print(swarm.figures(jobs))
    check(swarm, jobs)
