"""Acts on tasks from the shell: what is said of one that was asked to stop and has not yet."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from msgspec.structs import replace

from swarm_tui.cli.common import FAILED
from swarm_tui.cli.task_acts import RETRY, _one
from swarm_tui.domain.fleet import Fleet
from swarm_tui.protocol.bodies import TaskAct
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.topics import Kind

STOPPING = TaskRow(task_id="t", type="x", state="running", cancel_requested_at=1.0, cancel_within=25.0)


class Dispatcher:
    """Answers as the dispatcher does before the act and after it."""

    def __init__(self, before: TaskRow, after: TaskRow) -> None:
        self.rows = [before, after]
        self.acts: list[Kind] = []
        self.operator = self
        self.fleet = Fleet("s")

    def load_tasks(self, query: str, args: dict[str, object]) -> list[TaskRow]:
        return [self.rows[bool(self.acts)]]

    def act(self, kind: Kind, body: TaskAct) -> str:
        self.acts.append(kind)
        return "1"

    def on_event(self, callback: object) -> None:
        """Nothing else is heard here."""

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        return condition()


@pytest.mark.parametrize(
    ("after", "code", "words"),
    [
        (replace(STOPPING, runs_again=True), 0, "runs again once it has"),
        (replace(STOPPING, state="queued", cancel_requested_at=None), 0, ""),
        (STOPPING, FAILED, "is running"),
        (replace(STOPPING, state="held", cancel_requested_at=None), FAILED, "is held"),
    ],
)
def test_a_cancel_that_has_not_landed_is_taken_back_by_a_retry(after: TaskRow, code: int, words: str) -> None:
    dispatcher = Dispatcher(STOPPING, after)
    found, state, text = _one(cast(Any, dispatcher), RETRY, "t", "")
    assert dispatcher.acts == [Kind.TASK_REDRIVE]
    assert (found, state) == (code, after.state)
    assert words in text


def test_what_runs_and_was_not_asked_to_stop_is_not_retried() -> None:
    runs = replace(STOPPING, cancel_requested_at=None)
    dispatcher = Dispatcher(runs, runs)
    assert _one(cast(Any, dispatcher), RETRY, "t", "")[0] == FAILED
    assert dispatcher.acts == []


def test_what_cannot_be_retried_is_told_which_tasks_can() -> None:
    queued = replace(STOPPING, state="queued", cancel_requested_at=None)
    assert _one(cast(Any, Dispatcher(queued, queued)), RETRY, "t", "")[2] == (
        "is queued: `retry` is for tasks that are cancelled, dead, expired, failed, held, skipped"
    )


@pytest.mark.parametrize("heard", [True, False])
def test_a_retry_that_failed_again_before_anybody_looked_was_a_retry(heard: bool) -> None:
    dead = TaskRow(task_id="t", type="x", state="dead", attempt=1, error="exit status 1", updated_at=1.0)
    again = replace(dead, attempt=2, updated_at=2.0)
    dispatcher = Dispatcher(dead, dead if heard else again)
    if heard:
        dispatcher.fleet.load([again], 2.0)
    assert _one(cast(Any, dispatcher), RETRY, "t", "") == (0, "dead", "ran again, and is dead: exit status 1")


def test_a_retry_that_did_nothing_says_so() -> None:
    dead = TaskRow(task_id="t", type="x", state="dead", attempt=1, error="exit status 1", updated_at=1.0)
    assert _one(cast(Any, Dispatcher(dead, dead)), RETRY, "t", "")[0] == FAILED
