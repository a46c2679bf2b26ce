"""Runs in the dispatcher's journal: found again as they were, and what they refer to kept as long as they are open."""

import msgspec
import pytest

from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.model import RunPlan, Workflow
from swarm_tui.domain.workflows.run import Run
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Task

WORKFLOW = msgspec.convert({"workflow": "w", "steps": {"a": {"type": "noop"}}}, Workflow)


def made(run_id: str, ended: float | None = None) -> Run:
    run = Run(RunPlan(run_id=run_id, workflow=WORKFLOW, inputs={"x": 1}, digest="d", by="me", created_at=1.0))
    if ended is not None:
        run.record.state, run.record.ended_at = "complete", ended
    return run


def job(task_id: str, run_id: str = "") -> Job:
    task = Task(task_id=task_id, type="noop")
    return Job(
        task=task,
        digest="",
        seq=1,
        created_at=1.0,
        updated_at=1.0,
        state=TaskState.COMPLETE,
        ended_at=2.0,
        run_id=run_id,
    )


def test_a_run_is_found_again_as_it_was_and_only_its_record_is_written_anew() -> None:
    journal = Journal(None)
    run = made("r")
    journal.commit([job("r.a", "r")], [], runs=[run])
    run.begin("a", 1, 5.0)
    journal.commit([], [], runs=[run])
    (found,) = journal.runs.open()
    assert (found.plan, found.record) == (run.plan, run.record)
    assert [each.task_id for each in journal.jobs_of("r")] == ["r.a"]
    assert journal.runs.has_tasks("r")
    assert not journal.runs.has_tasks("r.")
    assert journal.runs.find("other") is None


@pytest.mark.parametrize(("ended", "kept"), [(None, ["r.a"]), (3.0, [])])
def test_what_an_open_run_refers_to_is_not_forgotten(ended: float | None, kept: list[str]) -> None:
    journal = Journal(None)
    journal.commit([job("r.a", "r"), job("plain")], [], runs=[made("r", ended)])
    journal.prune(1e9, days=1, keep=0)
    assert [each.task_id for each in journal.search(None, None, 10, 0)] == kept
    assert (journal.runs.find("r") is None) == (ended is not None)


def test_runs_are_listed_newest_first_by_state() -> None:
    journal = Journal(None)
    journal.commit([], [], runs=[made("a"), made("b", 2.0)])
    assert [run.run_id for run in journal.runs.search("running", 10, 0)] == ["a"]
    assert {run.run_id for run in journal.runs.search(None, 10, 0)} == {"a", "b"}
