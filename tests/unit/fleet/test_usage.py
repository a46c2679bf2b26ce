"""What the screen adds up of a task's attempts is what the dispatcher's record says of them."""

from itertools import permutations

import pytest

from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.topics import Kind as K
from tests.unit.fleet.swarm import Paper


def worked(paper: Paper, attempt: int, usage: b.JsonObject, session: str = "s") -> Event:
    said = b.Progress(task_id="t", agent_id="a1", attempt=attempt, usage=usage, session=session, turn=1)
    return paper.event("a1", K.TASK_PROGRESS, said)


def shown(paper: Paper) -> b.JsonObject:
    usage = paper.fleet.tasks["t"].usage
    return {name: usage.get(name) for name in ("tokens_in", "cost", "partial")}


KILLED: b.JsonObject = {"tokens_in": 100, "logged": True}
SETTLES: b.JsonObject = {"tokens_in": 300, "cost": 0.5, "logged": True, "settles": "s"}


@pytest.mark.parametrize("order", permutations(range(3)))
def test_what_a_later_attempt_settles_is_known_in_whatever_order_it_is_heard(order: tuple[int, ...]) -> None:
    paper = Paper()
    done = b.Complete(task_id="t", agent_id="a1", attempt=2, usage=SETTLES)
    said = [worked(paper, 1, KILLED), worked(paper, 2, SETTLES), paper.event("a1", K.TASK_COMPLETE, done)]
    for number in order:
        paper.fleet.apply(said[number], paper.now)
    assert shown(paper) == {"tokens_in": 400, "cost": 0.5, "partial": None}


def test_what_was_cut_off_is_more_than_it_told_until_another_settles_it() -> None:
    paper = Paper()
    paper.fleet.apply(worked(paper, 1, {"tokens_in": 100, "cost": 0.1}), paper.now)
    assert shown(paper) == {"tokens_in": 100, "cost": 0.1, "partial": None}
    paper.fleet.apply(worked(paper, 2, {"tokens_in": 5, "cost": 0.1}), paper.now)
    assert shown(paper) == {"tokens_in": 105, "cost": 0.2, "partial": True}
    paper.fleet.apply(worked(paper, 2, {"tokens_in": 30, "cost": 0.2, "settles": "s"}), paper.now)
    assert shown(paper) == {"tokens_in": 130, "cost": pytest.approx(0.3), "partial": None}


def test_a_cost_that_its_own_agent_did_not_know_at_its_end_is_settled_by_nobody() -> None:
    paper = Paper()
    paper.fleet.apply(worked(paper, 1, KILLED), paper.now)
    failed = b.Failed(task_id="t", agent_id="a1", attempt=1, usage=KILLED, retryable=True)
    paper.fleet.apply(paper.event("a1", K.TASK_FAILED, failed), paper.now)
    paper.fleet.apply(worked(paper, 2, SETTLES), paper.now)
    assert shown(paper) == {"tokens_in": 400, "cost": None, "partial": None}


@pytest.mark.parametrize("first", [False, True], ids=["the row last", "the row first"])
def test_the_record_of_an_attempt_and_what_was_heard_of_it_are_one(first: bool) -> None:
    paper = Paper()
    row = TaskRow(
        task_id="t", type="x", state=TaskState.RUNNING, attempt=2, agent_id="a1", created_at=1.0, updated_at=2.0,
        spent=[{"attempt": 1, "session": "s", **KILLED, "partial": True}, {"attempt": 2, "session": "s"}],
    )  # fmt: skip
    if first:
        paper.fleet.load([row], paper.now)
    paper.fleet.apply(worked(paper, 2, SETTLES), paper.now)
    if not first:
        paper.fleet.load([row], paper.now)
    assert shown(paper) == {"tokens_in": 400, "cost": 0.5, "partial": None}
