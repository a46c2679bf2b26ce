"""People's acts: cancel, redrive, approve, deny, halt, resume. The record says whose they were, and when."""

from swarm_tui.domain.dispatch import freshness, metering
from swarm_tui.domain.dispatch.accept import run_again, why_undeclared
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.needs import why_not_again
from swarm_tui.domain.dispatch.outcomes import cancelled, stop
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting import enqueue, wake
from swarm_tui.domain.states import GIVEN, TaskState
from swarm_tui.protocol.bodies import Alert, Cleared, Halt, Queued, TaskAct
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

_AGAIN = frozenset(
    {
        TaskState.HELD,
        TaskState.RETRY_WAIT,
        TaskState.FAILED,
        TaskState.DEAD,
        TaskState.CANCELLED,
        TaskState.EXPIRED,
        TaskState.SKIPPED,
    }
)


def act(turn: Turn, event: Event, body: TaskAct) -> None:
    """Carry out tasks/cancel, tasks/redrive, tasks/approve, tasks/deny: each once, by its id."""
    if freshness.is_said_again(turn, event):
        return
    job = turn.state.jobs.get(body.task_id)
    if event.expires_at is not None and event.expires_at < turn.wall:
        _refuse(turn, event, body, f"it expired {turn.wall - event.expires_at:.0f} s ago, before it could be heard")
    elif job is None:
        _refuse(turn, event, body, "no such task")
    elif event.kind is Kind.TASK_CANCEL:
        cancel(turn, job, body.reason or "an operator cancelled it", turn.who(event))
    elif event.kind is Kind.TASK_REDRIVE:
        _redrive(turn, event, body, job)
    elif job.state is not TaskState.AWAITING_APPROVAL:
        _refuse(turn, event, body, f"it is {job.state}, not awaiting-approval")
    elif event.kind is Kind.TASK_DENY:
        turn.hop(job, "denied", by=turn.who(event), detail=body.reason)
        cancelled(turn, job, body.reason or "denied", turn.who(event))
    else:
        _approve(turn, event, body, job)


def _refuse(turn: Turn, event: Event, body: TaskAct, why: str) -> None:
    what = event.kind.value.removeprefix("tasks/")
    message = f"{what} of {body.task_id} by {turn.who(event)} was refused: {why}"
    turn.note(message)
    turn.say(Kind.ALERT, Alert(severity="warning", message=message, task_id=body.task_id, name=f"act:{event.id}"))


def cancel(turn: Turn, job: Job, reason: str, by: str | None) -> None:
    """End the job: at once when it waits, by an order to its agent when it runs."""
    if job.cancelling is not None and job.rerun_by:
        # It is being ended, and was to run again: no more.
        job.rerun_by = ""
        turn.hop(job, "cancelling", agent_id=job.agent_id, by=by, detail=reason)
        turn.save(job)
    if job.ended or job.cancelling is not None:
        return
    attempt = job.current
    if job.state not in GIVEN or attempt is None:
        cancelled(turn, job, reason, by)
        return
    job.cancelling, job.cancel_at = reason, turn.wall
    turn.hop(job, "cancelling", agent_id=job.agent_id, by=by, detail=reason)
    turn.save(job)
    await_end(turn, job)
    stop(turn, job, attempt, reason)


def await_end(turn: Turn, job: Job) -> None:
    """Give the job's agent `cancel_wait` seconds to end it; then it is cancelled without its word."""
    lease = turn.state.leases[job.task_id]
    lease.cancel_until = turn.now + turn.state.settings.cancel_wait
    wake(turn, job, lease.cancel_until)


def _redrive(turn: Turn, event: Event, body: TaskAct, job: Job) -> None:
    if why := why_not_again(turn, job):
        _refuse(turn, event, body, why)
        return
    if job.cancelling is not None:
        _withdraw(turn, event, job)
        return
    if job.state not in _AGAIN:
        _refuse(turn, event, body, f"it is {job.state}")
        return
    if why := why_undeclared(turn, job.task.type):
        _refuse(turn, event, body, f"{why}; start one, or give the layout a handler for it")
        return
    if job.task.expires_at is not None and job.task.expires_at <= turn.wall:
        _refuse(turn, event, body, "its expires_at has passed: publish it anew")
        return
    metering.waive(job)
    turn.hop(job, "redriven", by=turn.who(event), detail=body.reason)
    run_again(turn, job, body.reason)


def _withdraw(turn: Turn, event: Event, job: Job) -> None:
    """Take back a cancel that is on its way: the order cannot be called back, but the job can run again after it."""
    job.rerun_by = turn.who(event)
    turn.hop(job, "withdrawn", by=turn.who(event), detail="it runs again once it has stopped")
    turn.save(job)


def _approve(turn: Turn, event: Event, body: TaskAct, job: Job) -> None:
    if not _is_person(turn.who(event)):
        _refuse(turn, event, body, "only an operator approves")
    elif job.approve_by is not None and turn.wall >= job.approve_by:
        _refuse(turn, event, body, "it came too late")
    elif body.payload_hash != job.payload_hash:
        _refuse(turn, event, body, "it does not name the hash of this task's payload")
    elif (why := _counts_not(turn, job, turn.who(event))) is not None:
        _refuse(turn, event, body, why)
    else:
        _yes(turn, job, turn.who(event), body.reason)


def _is_person(who: str) -> bool:
    return who.startswith("operator:")


def _counts_not(turn: Turn, job: Job, who: str) -> str | None:
    """Return why the approval of `who` is no further one of those that the job needs; None when it is."""
    if turn.state.settings.approvers < 2:
        return None
    if not turn.state.settings.proved:
        return "two persons are told apart by proof alone, and nothing is proved here"
    if identity_of(who) not in map(identity_of, job.approvals):
        return None
    same = next(other for other in job.approvals if identity_of(other) == identity_of(who))
    here = "" if same == who else f", and {who} has the same keys"
    return f"{same} approved it already{here}: another person must, by an identity of their own"


def identity_of(who: str) -> str:
    """Return by which keys an operator proves: all who sit at the swarm's own host have the swarm's."""
    name, at, host = who.partition("@")
    return f"@{host}" if at else name


def _yes(turn: Turn, job: Job, who: str, reason: str) -> None:
    """Take in one approval that counts; with the last the job may run."""
    job.approvals.append(who)
    turn.hop(job, "approved", by=who, detail=reason)
    if (left := turn.state.settings.approvers - len(job.approvals)) > 0:
        told = f"approved by {', '.join(job.approvals)}; {left} more {'person' if left == 1 else 'persons'} must"
        job.reason = told
        turn.save(job)
        turn.verdict(Kind.TASK_HELD, job, told, state=TaskState.AWAITING_APPROVAL)
        return
    job.approved_by, job.approve_by, job.queued_at = ", ".join(job.approvals), None, turn.wall
    position = enqueue(turn, job)
    turn.hop(job, "queued")
    turn.say(Kind.TASK_QUEUED, Queued(task_id=job.task_id, position=position or None), job=job)


def halt(turn: Turn, event: Event) -> None:
    """Hear halt: nothing is given away and everything open is cancelled, once for each halt; empty lifts it."""
    state = turn.state
    body = event.body
    if state.halted is not None and freshness.proves_nothing(turn, body):
        return
    if not isinstance(body, Cleared) and freshness.is_old_order(turn, event):
        return
    if isinstance(body, Cleared) or (isinstance(body, Halt) and body.lifted):
        if state.halted is not None:
            turn.note("the halt is lifted" + (f" by {turn.who(event)}" if isinstance(body, Halt) else ""))
        # One said again byte for byte is another halt, also without an id of its own.
        state.halted, state.halt_id = None, ""
        return
    assert isinstance(body, Halt)
    state.halted = body.reason or "halted"
    if event.id == state.halt_id:
        return
    state.halt_id = event.id
    turn.note(f"halted by {turn.who(event)}: {state.halted}")
    # A run's step that waits for others is skipped with its run.
    waits = TaskState.BLOCKED
    for job in [job for job in state.jobs.values() if not job.ended and not (job.run_id and job.state is waits)]:
        cancel(turn, job, f"halt: {state.halted}", turn.who(event))
