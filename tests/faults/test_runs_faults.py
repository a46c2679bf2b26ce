"""Runs of workflows in real processes that are killed: each goes on where it was, ends once, and does no step twice."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from swarm_tui.config.model import Dialect
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.model import RunRecord
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.run_bodies import RunEnded, RunNew, RunStarted, new_run
from tests.conftest import RealBroker
from tests.faults.engine_swarm import FaultySwarm
from tests.faults.producer import pause
from tests.wait import until

RUNS = 12
STEPS: dict[str, Any] = {
    "plan": {"type": "noop", "payload": {"echo": [1, 2, 3]}},
    "each": {"type": "noop", "needs": ["plan"], "each": "{plan.result.echo}", "payload": {"seconds": 0.05}},
    "join": {"type": "noop", "needs": ["each"], "payload": {"echo": "{each.state}"}},
    "skip": {"type": "noop", "needs": ["plan"], "when": "{inputs.no}"},
    "tell": {"type": "noop", "needs": ["join", "skip"], "on": "always"},
}


@pytest.fixture
def swarm(make_broker: Callable[..., RealBroker], tmp_path: Path) -> Iterator[FaultySwarm]:
    made = FaultySwarm(make_broker(), tmp_path, seed=int(os.environ.get("SWARM_FAULT_SEED", "1")))
    yield made
    made.close()


def age(pid: int) -> float:
    """Seconds since the process began."""
    return time.time() - psutil.Process(pid).create_time()


def records(swarm: FaultySwarm) -> dict[str, RunRecord]:
    """The runs, read beside the dispatcher."""
    db = sqlite3.connect(f"file:{swarm.dispatch}?mode=ro", uri=True, timeout=5)
    try:
        rows = db.execute("SELECT run_id, record FROM run").fetchall()
    finally:
        db.close()
    return {run_id: msgspec.msgpack.decode(raw, type=RunRecord) for run_id, raw in rows}


@pytest.mark.drill
@pytest.mark.parametrize(("dialect", "result"), [("seed", {"done": True}), ("mqtt-v1", {"by": "s0", "type": "noop"})])
def test_an_agent_of_another_dialect_does_steps(
    make_broker: Callable[..., RealBroker], tmp_path: Path, dialect: Dialect, result: dict[str, Any]
) -> None:
    """What it says is referred to; it fails a step; it is killed with one in hand, and does that again."""
    swarm = FaultySwarm(make_broker(), tmp_path, workers=1, foreign=1, dialect=dialect, heartbeat=0.5)
    theirs = {"type": "noop", "assigned_to": "s0"}
    steps = {
        "before": {"type": "noop", "assigned_to": "w0", "payload": {"echo": [0.0, 0.1]}},
        "each": {**theirs, "needs": ["before"], "each": "{before.result.echo}", "payload": {"seconds": "{item}"}},
        "after": {"type": "noop", "assigned_to": "w0", "needs": ["each"], "payload": {"echo": "{each.result}"}},
        "killed": {**theirs, "needs": ["after"], "payload": {"seconds": 5.0}},
        "bad": {**theirs, "needs": ["killed"], "payload": {"fail": True}, "retry": {"max_attempts": 1}},
        "undo": {**theirs, "needs": ["bad"], "on": "failure"},
    }
    try:
        until(lambda: swarm.led, 30, "the dispatcher to lead")
        until(lambda: age(swarm.processes["s0"].pid) > 3.0, 30, "an agent that is not new")
        swarm.operator.run(new_run("r", {"workflow": "w", "steps": steps}, {}))
        until(lambda: swarm.runs()["r.killed"] == 1, 30, f"the step that is to be cut off; {swarm.story()}")
        # One that names no process, and is back within two seconds of taking it, may be the one that took it.
        offered = swarm.jobs()["r.killed"].attempts[-1].offered_at
        until(lambda: time.time() > offered + 2.5, 5, "the step to be old enough")
        swarm.kill("s0")
        swarm.revive()
        until(lambda: records(swarm)["r"].state != "running", 60, "the run's end")
        jobs, run = swarm.jobs(), records(swarm)["r"]
        states = {name: step.state for name, step in run.steps.items()}
        # The seed knows of no failure that a payload asks for.
        bad, undo = ("failed", "complete") if dialect == "mqtt-v1" else ("complete", "skipped")
        wanted = dict.fromkeys(("before", "each", "after", "killed"), "complete")
        assert states == {**wanted, "bad": bad, "undo": undo}, swarm.story()
        assert jobs["r.after"].result == {"echo": [result, result]}
        assert swarm.runs()["r.killed"] == 2
        assert all(times == 1 for task_id, times in swarm.runs().items() if task_id != "r.killed")
    finally:
        swarm.close()


@pytest.mark.drill
def test_no_run_is_lost_and_no_step_done_twice_when_processes_are_killed(swarm: FaultySwarm) -> None:
    started: set[str] = set()
    ended: Counter[str] = Counter()

    def hear(event: object) -> None:
        body = event.body if isinstance(event, Event) else None
        if isinstance(body, RunStarted):
            started.add(body.run_id)
        elif isinstance(body, RunEnded):
            ended[body.run_id] += 1

    swarm.operator.on_event(hear)
    until(lambda: swarm.led, 30, "the dispatcher to lead")
    inputs = {"no": {"type": "boolean", "default": False}}
    workflow = {"workflow": "w", "inputs": inputs, "steps": STEPS}
    again = {f"r{n}": swarm.operator.run(RunNew(run_id=f"r{n}", workflow=workflow)) for n in range(RUNS)}
    for victim in ("w0", "tm", "after-commit", "w1", "broker", "w2", "before-commit", "tm", "after-publish"):
        pause(0.4)
        if victim == "broker":
            swarm.broker.kill()
            swarm.broker.start()
        elif "-" in victim:
            swarm.kill_at(victim)
        else:
            swarm.kill(victim)
        swarm.revive()
        for run_id, repeat in again.items():
            if run_id not in started:
                repeat()
    swarm.flag.unlink(missing_ok=True)

    def over() -> bool:
        swarm.revive()
        for run_id, repeat in again.items():
            if run_id not in started:
                repeat()
        pause(0.2)
        return len(started) == RUNS and all(run.state != "running" for run in records(swarm).values())

    until(over, 90, "all runs to end")
    runs, jobs = records(swarm), swarm.jobs()
    assert set(runs) == set(again)
    wanted = {**dict.fromkeys(STEPS, "complete"), "skip": "skipped"}
    for run_id, run in runs.items():
        assert (run.state, {name: step.state for name, step in run.steps.items()}) == ("complete", wanted), run_id
    assert len(jobs) == RUNS * 7
    for job in jobs.values():
        wins = sum(attempt.outcome == "complete" for attempt in job.attempts)
        assert wins == (job.state is TaskState.COMPLETE), f"{job.task_id}: {wins} outcomes"
    print(f"{RUNS} runs, {len(jobs)} tasks, kills {dict(swarm.kills)}")
