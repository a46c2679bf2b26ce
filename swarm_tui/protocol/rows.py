"""Rows of an operator's query: what the dispatcher answers, `tasks --json` prints, and the screen opens with."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from swarm_tui.protocol.merge_bodies import MergeState


class Hop(Struct, kw_only=True, gc=False):
    """A step of a task: `at` is seconds since the epoch, `what` a state or an act (`published`, `queued`)."""

    at: float
    what: str
    agent_id: str | None = None
    attempt: int | None = None
    by: str | None = None
    """The person who did it, where it was one."""
    detail: str = ""


class TaskRow(Struct, kw_only=True):
    """A task. Times are seconds since the epoch, `duration` milliseconds of the last attempt."""

    task_id: str
    type: str
    state: str
    priority: str = "medium"
    attempt: int = 0
    agent_id: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    duration: float | None = None
    progress: float | None = None
    result: Any = None
    error: str | None = None
    message: str = ""
    reason: str = ""
    waits: str = ""
    """Why it waits for more than its turn, as things were when this was asked for."""
    assigned_to: str | None = None
    max_attempts: int | None = None
    payload: dict[str, Any] = {}
    hops: list[Hop] = []
    approvals: list[str] = []
    """Names of those who approved it, as their proofs say."""
    payload_hash: str | None = None
    """Of a task that waits for approval: what an approval must name."""
    errors: list[str] = []
    """Errors of the attempts that did not succeed, oldest first."""
    cancel_requested_at: float | None = None
    """When it was asked to stop, while it is in an agent's hands and has not."""
    cancel_within: float | None = None
    """Seconds from then after which it is cancelled at the latest."""
    runs_again: bool = False
    """True where the cancel was taken back: it runs again once it has stopped."""
    late: list[str] = []
    """Answers that came after they counted: kept, never applied."""
    needs: list[str] = []
    """Tasks that must have succeeded before it begins."""
    usage: dict[str, Any] = {}
    """Of all attempts: `tokens_in`, `tokens_out`, `tokens_cached`, `tokens`, and `cost` (US dollars) if it is known."""
    spent: list[dict[str, Any]] = []
    """The same by attempt, with `attempt`, `agent_id`, `turn` and `session`."""
    run_id: str = ""
    """The run whose step it is."""
    step: str = ""
    merge: MergeState | None = None
    """The merge of its work, once somebody asked for one."""


class AskRow(Struct, kw_only=True):
    """An ask that waits for an answer. Times are seconds since the epoch."""

    ask_id: str
    task_id: str
    agent_id: str
    tool: str
    title: str
    since: float
    expires_at: float
    attempt: int = 0
    input: dict[str, Any] = {}
    diff: str | None = None
    rule: str = ""
    """The rule that an answer of `always` stands for."""


def ask_rows(rows: Iterable[Any]) -> list[AskRow]:
    """Return the rows of a reply that are asks; what is of another shape is passed over."""
    found = []
    for row in rows:
        try:
            found.append(msgspec.convert(row, AskRow))
        except msgspec.ValidationError:
            continue
    return found


class StepRow(Struct, kw_only=True):
    """A step of a run. Times are seconds since the epoch; None while it has not begun, or not ended."""

    step: str
    type: str
    state: str
    task_id: str | None = None
    """Of a step that is done once: its task, which is `blocked` before its turn."""
    needs: list[str] = []
    count: int | None = None
    """Of a step that is done for each of several items: the number of them."""
    done: int = 0
    """Number of its tasks that have ended."""
    failed: int = 0
    reason: str = ""
    began_at: float | None = None
    ended_at: float | None = None
    tasks: list[str] = []
    """Ids of its tasks, as far as there are any: one for each item."""
    result: Any = None
    """Its task's result, of several a list; of one run alone."""
    error: str | None = None


class RunRow(Struct, kw_only=True):
    """A run of a workflow. Times are seconds since the epoch."""

    run_id: str
    workflow: str
    state: str
    """`running`, or its outcome: `complete`, `failed`, `cancelled`."""
    created_at: float = 0.0
    updated_at: float = 0.0
    ended_at: float | None = None
    by: str = ""
    reason: str = ""
    inputs: dict[str, Any] = {}
    steps: list[StepRow] = []


class ScheduleRow(Struct, kw_only=True):
    """A schedule of the layout. Times are seconds since the epoch."""

    name: str
    cron: str
    timezone: str = "UTC"
    what: str = ""
    overlap: str = "skip"
    missed: str = "one"
    next_at: float | None = None
    last_at: float | None = None
    last: str = ""
    """The task or run of the last firing."""
    paused: bool = False
    fired: int = 0
    skipped: int = 0
    reason: str = ""


class MailReceipt(Struct, kw_only=True):
    """A receiver's part of a message: `waiting`, `delivered`, `read`, `answered` or `dead`, since when."""

    agent_id: str
    state: str
    at: float = 0.0
    answer_id: str | None = None
    reason: str = ""


class MailRow(Struct, kw_only=True, rename={"sender": "from"}):
    """A message. Times are seconds since the epoch."""

    message_id: str
    sender: str
    to: str
    text: str
    reply_to: str | None = None
    expects_answer: bool = False
    task_id: str | None = None
    accepted_at: float = 0.0
    expires_at: float | None = None
    receipts: list[MailReceipt] = []


def state_counts(values: Iterable[object]) -> dict[str, int] | None:
    """Return how many tasks are in each state, as the answer to `counts` says; None of an answer that says none."""
    row = next(iter(values), None)
    if not isinstance(row, dict):
        return None
    return {str(state): count for state, count in row.items() if isinstance(count, int) and count >= 0}


Row = TypeVar("Row", TaskRow, RunRow, ScheduleRow, MailRow)


def task_rows(values: Iterable[object]) -> list[TaskRow]:
    """Return the tasks among the rows of an answer, as JSON gives them; a value that is no task is left out."""
    return _rows(values, TaskRow)


def run_rows(values: Iterable[object]) -> list[RunRow]:
    """Return the runs among the rows of an answer; a value that is no run is left out."""
    return _rows(values, RunRow)


def schedule_rows(values: Iterable[object]) -> list[ScheduleRow]:
    """Return the schedules among the rows of an answer; a value that is none is left out."""
    return _rows(values, ScheduleRow)


def mail_rows(values: Iterable[object]) -> list[MailRow]:
    """Return the messages among the rows of an answer; a value that is none is left out."""
    return _rows(values, MailRow)


def _rows(values: Iterable[object], kind: type[Row]) -> list[Row]:
    rows: list[Row] = []
    for value in values:
        try:
            rows.append(msgspec.convert(value, kind, strict=False))
        except msgspec.ValidationError:
            continue
    return rows
