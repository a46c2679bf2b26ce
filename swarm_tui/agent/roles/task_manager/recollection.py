"""Brings back from the dispatcher's journal what it has let go of and an event speaks of, before it decides."""

import msgspec

from swarm_tui.domain.dispatch.core import remember, remember_run
from swarm_tui.domain.dispatch.model import State
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Heartbeat, Task
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import MessageNew, MessageReceipt
from swarm_tui.protocol.run_bodies import RunAct, RunNew
from swarm_tui.protocol.topics import Kind

#: The name under which the journal keeps which tasks' merges are under way.
MERGES = "merges"


def recall_merges(state: State, journal: Journal) -> None:
    """Take up the merges that were under way, with the tasks whose work it is. Raises sqlite3.Error."""
    state.merges = msgspec.json.decode(journal.meta(MERGES) or "[]", type=list[str])
    for name in state.merges:
        if (job := journal.find(name)) is not None:
            remember(state, job)


def recall(state: State, journal: Journal, event: Event) -> None:
    """Bring back from the journal an ended job, run or message that the event speaks of. Raises sqlite3.Error."""
    body, names = event.body, []
    if isinstance(body, RunNew | RunAct):
        _run(state, journal, body.run_id)
    elif isinstance(body, MessageNew | MessageReceipt):
        _mail(state, journal, body)
    elif isinstance(body, Heartbeat):
        names = [entry.get("task_id") for entry in (*body.tasks, *body.finished)]
    elif event.kind is not Kind.TASK_ASSIGNED:
        names = [getattr(body, "task_id", None)]
    for name in names:
        if not isinstance(name, str) or name in state.jobs:
            continue
        key = body.idempotency_key if isinstance(body, Task) else None
        if key is not None and key in state.keys:
            continue
        job = journal.find(name, key)
        if job is not None:
            remember(state, job)
    if (needs := _needs(state, event)) is not None:
        for name in needs:
            if name not in state.jobs and (job := journal.find(name)) is not None:
                remember(state, job)


def _needs(state: State, event: Event) -> list[str] | None:
    """The tasks that the event's task needs, where that is to be decided about."""
    if isinstance(event.body, Task):
        return event.body.needs
    if event.kind is Kind.TASK_REDRIVE:
        job = state.jobs.get(getattr(event.body, "task_id", ""))
        return None if job is None else job.task.needs
    return None


def _run(state: State, journal: Journal, run_id: str) -> None:
    """Bring back an ended run, and its tasks: their results are referred to when it is retried."""
    run = state.runs.get(run_id) or journal.runs.find(run_id)
    if run is not None and run.ended:
        for job in journal.jobs_of(run_id):
            remember(state, job)
        remember_run(state, run)
    elif run is not None:
        return
    elif journal.runs.has_tasks(run_id):
        state.taken.add(run_id)
    else:
        state.taken.discard(run_id)


def _mail(state: State, journal: Journal, body: MessageNew | MessageReceipt) -> None:
    """Bring back a message, and the one that it answers."""
    answers = body.reply_to if isinstance(body, MessageNew) else None
    for message_id in filter(None, (body.message_id, answers)):
        if message_id not in state.post.mails and (mail := journal.mails.find(message_id)) is not None:
            state.post.remember(mail, state.last_now)
