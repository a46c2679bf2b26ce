"""Runs of workflows in real processes that are killed: each goes on where it was, ends once, and does no step twice."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.model import RunRecord
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.run_bodies import RunEnded, RunNew, RunStarted
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


def records(swarm: FaultySwarm) -> dict[str, RunRecord]:
    """The runs, read beside the dispatcher."""
    db = sqlite3.connect(f"file:{swarm.dispatch}?mode=ro", uri=True, timeout=5)
    try:
        rows = db.execute("SELECT run_id, record FROM run").fetchall()
    finally:
        db.close()
    return {run_id: msgspec.msgpack.decode(raw, type=RunRecord) for run_id, raw in rows}


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
