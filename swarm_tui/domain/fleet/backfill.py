"""The dispatcher's record of a task, merged into what was heard of it: gaps are filled, newer facts stay."""

from msgspec.structs import replace

from swarm_tui.domain.fleet.task_facts import KEPT_FIRST_HOPS, MAX_HOPS, AttemptEnd, DispatcherWord, TaskFacts
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.merge_bodies import MergeState
from swarm_tui.protocol.rows import Hop, TaskRow
from swarm_tui.protocol.text import clean


def merge(task: TaskFacts, row: TaskRow, state: TaskState) -> None:
    """Take the row, which says that the task was in `state` at `row.updated_at`."""
    task.accepted = True
    task.give(row.agent_id)
    if task.type == "?":
        task.type, task.priority = clean(row.type, 128), row.priority
    task.payload = task.payload or row.payload
    task.payload_hash = task.payload_hash or row.payload_hash
    task.max_attempts = task.max_attempts if task.max_attempts is not None else row.max_attempts
    task.assigned_to = task.assigned_to or row.assigned_to
    task.created_at = min(task.created_at or row.created_at, row.created_at)
    task.reason = task.reason or clean(row.reason, 500)
    task.errors = task.errors or tuple(clean(line, 1000) for line in row.errors)
    for line in row.late:
        task.keep_late(clean(line, 500))
    task.cancel_requested_at = task.cancel_requested_at or row.cancel_requested_at
    task.runs_again = task.runs_again or row.runs_again
    _usage(task, row)
    _merge(task, row)
    _hops(task, row)
    if task.started_at is None:
        task.started_at = next((hop.at for hop in reversed(row.hops) if hop.what == "started"), None)
    if task.reported is None and row.progress is not None and row.attempt >= task.attempt:
        task.progress_of = (row.attempt, row.updated_at)
        task.reported, task.message = row.progress, clean(row.message, 300)
    _fact(task, row, state)


def _merge(task: TaskFacts, row: TaskRow) -> None:
    if task.merge is None and row.merge is not None:
        task.merge = clean_merge(row.merge)


def clean_merge(merge: MergeState) -> MergeState:
    """Return it with no word that speaks to a terminal."""
    return replace(
        merge,
        state=clean(merge.state, 40),
        target=clean(merge.target, 300),
        reason=clean(merge.reason, 2000),
        commit=clean(merge.commit, 64),
        checks={clean(name, 128): clean(said, 300) for name, said in list(merge.checks.items())[:50]},
    )


def _usage(task: TaskFacts, row: TaskRow) -> None:
    for one in row.spent:
        if isinstance(attempt := one.get("attempt"), int):
            # What the record has of an attempt before the last one, and does not call partial, is all of it.
            told, session = attempt < row.attempt and not one.get("partial"), one.get("session")
            task.use(attempt, one, clean(session, 200) if isinstance(session, str) else "", told=told)
    if not row.spent and task.uses is None:
        task.use(row.attempt, row.usage)


def _hops(task: TaskFacts, row: TaskRow) -> None:
    """Put the record's steps, with their times, in place of what was heard of them; what came since stays."""
    if not row.hops:
        return
    told = [
        Hop(
            at=hop.at,
            what=clean(hop.what, 40),
            agent_id=hop.agent_id,
            attempt=hop.attempt,
            by=None if hop.by is None else clean(hop.by, 160),
            detail=clean(hop.detail, 500),
        )
        for hop in row.hops
    ]
    since = [hop for hop in task.hops if hop.what == "progress" or hop.at > told[-1].at]
    if len(told) > MAX_HOPS:
        del told[KEPT_FIRST_HOPS : len(told) - MAX_HOPS + KEPT_FIRST_HOPS]
    task.hops = told
    for hop in since:
        task.hop(hop)
    task.hops.sort(key=lambda hop: hop.at)


def _fact(task: TaskFacts, row: TaskRow, state: TaskState) -> None:
    """The row's state as the fact that a live message would have brought."""
    answer = AttemptEnd(
        row.attempt,
        row.agent_id,
        row.updated_at,
        result=row.result,
        duration=row.duration,
        error=None if row.error is None else clean(row.error, 2000),
    )
    if state is TaskState.COMPLETE:
        if task.success is None or row.attempt > task.success.attempt:
            task.success = answer
        return
    if row.error is not None and task.failure is None and state is not TaskState.RUNNING:
        task.failure = answer
    if state is TaskState.RUNNING:
        hops = [hop.at for hop in row.hops if hop.what == "started" and hop.attempt == row.attempt]
        task.begin(row.attempt, row.agent_id or "", min([row.updated_at, *hops]), row.updated_at)
        state = TaskState.ASSIGNED
    task.hear(DispatcherWord(row.attempt, row.updated_at, state, row.agent_id))
