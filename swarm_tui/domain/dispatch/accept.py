"""A task arrives: take it, answer it again, or refuse it with a reason."""

from hashlib import sha256

import msgspec

from swarm_tui.domain.dispatch import needs
from swarm_tui.domain.dispatch.digests import task_body
from swarm_tui.domain.dispatch.model import GUEST, Job
from swarm_tui.domain.dispatch.offer import declared
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting import enqueue, expire, until, wake
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.schedule import firing_of
from swarm_tui.protocol.bodies import ErrorInfo, Failed, Queued, Task, TaskRejected
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import MERGE_TYPE, InvalidNameError, check_task_type
from swarm_tui.protocol.raw import MAX_BYTES, MAX_DEPTH, MAX_VALUES, too_much
from swarm_tui.protocol.topics import Kind

#: What an offer adds around its task at most, with the longest ids and an incarnation of 256 letters: bytes and values.
ROOM, ROOM_VALUES = 1024, 50
#: An offer's task stands in its payload, and that in its envelope.
OFFER_DEPTH = 2
#: Share of the open tasks up to which guests' are taken.
GUESTS_SHARE = 0.5
#: How the name of who publishes a schedule's task begins.
BY_SCHEDULE = "schedule:"
#: Brackets of a task that is far from every limit.
FAR = 8


def submit(turn: Turn, event: Event, task: Task) -> None:
    """Hear tasks/new, deployment/request, code/review: take the task, answer it again, or refuse it with a reason."""
    state = turn.state
    body = task_body(task)
    mark = sha256(body).hexdigest()
    known = state.jobs.get(task.task_id)
    if known is None and task.idempotency_key is not None:
        known = state.jobs.get(state.keys.get(task.idempotency_key, ""))
    if known is not None:
        _again(turn, task, known, mark)
    elif (why := _why_not(turn, event, task, body)) is not None:
        turn.say(Kind.TASK_REJECTED, TaskRejected(task_id=task.task_id, reason=why))
    else:
        job = make(turn, task, mark, turn.who(event))
        if not needs.hold_back(turn, job):
            begin(turn, job)


def _again(turn: Turn, task: Task, known: Job, mark: str) -> None:
    if known.digest != mark:
        by_id = known.task_id == task.task_id
        what = "this task id" if by_id else f"this idempotency key (task {known.task_id})"
        turn.say(
            Kind.TASK_REJECTED,
            TaskRejected(task_id=task.task_id, reason=f"{what} is taken by a task with another body"),
        )
        return
    answer = Queued(
        task_id=task.task_id,
        attempt=known.attempt,
        duplicate=True,
        state=known.state,
        original=known.task_id if known.task_id != task.task_id else None,
    )
    turn.say(Kind.TASK_QUEUED, answer)


def _why_not(turn: Turn, event: Event, task: Task, body: bytes) -> str | None:
    """Return why a task that somebody publishes is not taken; None when it is."""
    if task.type == MERGE_TYPE:
        return f"{MERGE_TYPE} is a step of a merge: `swarm-tui merge TASK` asks for one"
    for taken in (task.task_id.partition(".")[0], task.idempotency_key):
        if name := firing_of(turn.state.settings.schedules, taken):
            return f"that id, or key, is of a firing of the schedule {name}"
    return _full(turn, event) or refusal(turn, task, body) or needs.refusal(turn, task)


def room(turn: Turn, who: str) -> int:
    """Return how many tasks may be open for `who` to add one: fewer for a guest than for those with keys."""
    most = turn.state.settings.max_open
    return int(most * GUESTS_SHARE) if who.startswith(GUEST) else most


def _full(turn: Turn, event: Event) -> str | None:
    """Return why no more tasks are taken of a guest."""
    most = room(turn, turn.who(event))
    if turn.state.open < most or not turn.who(event).startswith(GUEST):
        return None
    return f"the swarm holds {turn.state.open:,} open tasks, and takes no more of guests beyond {most:,}"


def refusal(turn: Turn, task: Task, body: bytes) -> str | None:
    """Return why the task, whose bytes `body` are, cannot be taken; None when it can."""
    state = turn.state
    try:
        check_task_type(task.type)
    except InvalidNameError as error:
        return str(error)
    if state.open >= state.settings.max_open:
        return f"the swarm holds {state.open:,} open tasks, its limit: publish it again later"
    if task.timeout is not None and not 0 < task.timeout <= 7 * 86400:
        return "timeout: more than 0 and at most 604800 seconds"
    if task.max_attempts is not None and not 1 <= task.max_attempts <= 100:
        return "max_attempts: 1 to 100"
    over = unreadable(task, body)
    return None if over is None else f"too much for an offer, which holds it whole: {over}"


def unreadable(task: Task, body: bytes) -> str | None:
    """Return in what the task's offer, larger and deeper than its own message, is too much for readers; None: nothing.

    `body` is the task but for its id and trace, encoded.
    """
    if len(body) + 6 * len(task.traceparent or "") < MAX_VALUES // 2 and body.count(b"{") + body.count(b"[") < FAR:
        return None
    return too_much(
        msgspec.json.encode(task),
        size=MAX_BYTES - ROOM,
        depth=MAX_DEPTH - OFFER_DEPTH,
        values=MAX_VALUES - ROOM_VALUES,
    )


def make(turn: Turn, task: Task, mark: str, by: str) -> Job:
    """Return a new job of the task, known and open, but not begun; `mark` is its digest."""
    state = turn.state
    state.seq += 1
    state.open += 1
    job = Job(
        task=task,
        digest=mark,
        seq=state.seq,
        created_at=turn.wall,
        updated_at=turn.wall,
        queued_at=turn.wall,
        by=by,
    )
    state.jobs[task.task_id] = job
    if task.idempotency_key is not None:
        state.keys[task.idempotency_key] = task.task_id
    turn.hop(job, "published", by=by)
    return job


def begin(turn: Turn, job: Job) -> None:
    """Let a job be done that waits for nothing else: give it to the queue, or first ask a person."""
    task = job.task
    if why := why_undeclared(turn, task.type):
        fail(turn, job, why, "undeclared-type")
    elif turn.asks(job):
        _ask(turn, job)
    else:
        position = enqueue(turn, job)
        turn.hop(job, "queued")
        turn.say(Kind.TASK_QUEUED, _queued(job, position=position or None), job=job)
        if task.expires_at is not None and task.expires_at <= turn.wall:
            expire(turn, job, "it had expired before it came")


def _queued(job: Job, *, position: int | None = None, state: TaskState | None = None) -> Queued:
    """The word that the job is journaled; also its type where nobody published it, for a run or a schedule did."""
    unpublished = job.run_id or job.by.startswith(BY_SCHEDULE)
    return Queued(
        task_id=job.task_id,
        position=position,
        state=state,
        type=job.task.type if unpublished else None,
        run_id=job.run_id or None,
    )


def why_undeclared(turn: Turn, task_type: str) -> str:
    """Return why nobody can ever do the type, as things are; empty when the layout or a live agent names it."""
    return "" if declared(turn, task_type) else f"neither the layout nor any live agent can do {task_type}"


def fail(turn: Turn, job: Job, reason: str, code: str) -> None:
    """End a job that cannot begin; `code` says in a word why."""
    job.error = reason
    turn.move(job, TaskState.FAILED, reason)
    turn.hop(job, "failed", detail=reason)
    turn.say(Kind.TASK_QUEUED, _queued(job, state=TaskState.FAILED), job=job)
    error = ErrorInfo(message=reason, code=code, retryable=False)
    failed = Failed(task_id=job.task_id, agent_id=turn.state.me, attempt=0, error=error, retryable=False)
    turn.say(Kind.TASK_FAILED, failed, job=job)


def await_approval(turn: Turn, job: Job, reason: str) -> None:
    """Let the job wait for a person, who approves of this payload and no other."""
    job.approve_by, job.approvals = turn.wall + turn.state.settings.approve_within, []
    turn.move(job, TaskState.AWAITING_APPROVAL, reason)
    wake(turn, job, until(turn, job.approve_by))


def run_again(turn: Turn, job: Job, reason: str) -> None:
    """Let a job that ended, or waits, be done anew: its attempts count from 0. It must not have expired."""
    for attempt in job.attempts:
        attempt.crash = False
    job.tries, job.given_back, job.error, job.result, job.queued_at = 0, 0, None, None, turn.wall
    if needs.hold_back(turn, job):
        return
    if turn.asks(job) and job.approved_by is None:
        await_approval(turn, job, "redriven; a person must approve it")
        turn.verdict(Kind.TASK_HELD, job, job.reason, state=TaskState.AWAITING_APPROVAL)
        return
    position = enqueue(turn, job, reason)
    turn.hop(job, "queued")
    turn.say(Kind.TASK_QUEUED, Queued(task_id=job.task_id, attempt=job.attempt, position=position or None), job=job)


def _ask(turn: Turn, job: Job) -> None:
    settings = turn.state.settings
    who = "a person's approval" if settings.approvers == 1 else f"the approval of {settings.approvers} persons"
    reason = f"{job.task.type} needs {who} within {settings.approve_within:.0f} s"
    await_approval(turn, job, reason)
    turn.hop(job, "awaiting-approval", detail=reason)
    turn.say(Kind.TASK_QUEUED, _queued(job, state=TaskState.AWAITING_APPROVAL), job=job)
    turn.verdict(Kind.TASK_HELD, job, reason, state=TaskState.AWAITING_APPROVAL)
