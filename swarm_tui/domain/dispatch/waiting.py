"""Letting a job wait: for an agent, for its time, for its next attempt. And the timers that end a wait."""

from heapq import heapify, heappop, heappush

from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.queue import LaneKey
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.envelope import rfc3339
from swarm_tui.protocol.topics import Kind

#: As many timers are kept whatever they are of; and so many for each open job.
MANY_TIMERS, TIMERS_A_JOB = 1000, 8


def wake(turn: Turn, job: Job, when: float) -> None:
    """Look at the job again at `when` (monotonic)."""
    heappush(turn.state.timers, (when, job.task_id))


def due(turn: Turn) -> list[Job]:
    """Return the jobs whose time has come, each once."""
    timers, found = turn.state.timers, {}
    while timers and timers[0][0] <= turn.now:
        _, task_id = heappop(timers)
        job = turn.state.jobs.get(task_id)
        if job is not None and not job.ended:
            found[task_id] = job
    if len(timers) > MANY_TIMERS and len(timers) > TIMERS_A_JOB * turn.state.open:
        # Those of jobs that ended may be set for a far day.
        timers[:] = [entry for entry in timers if not turn.state.is_over(entry[1])]
        heapify(timers)
    return list(found.values())


def until(turn: Turn, wall: float) -> float:
    """Return the monotonic time at which the wall clock should show `wall`."""
    return turn.now + max(0.0, wall - turn.wall)


def enqueue(turn: Turn, job: Job, reason: str = "") -> int:
    """Let the job wait for an agent, or first for its `not_before`. Returns its place in its lane, 0 before that."""
    due = job.task.not_before
    turn.move(job, TaskState.QUEUED, reason or (f"not before {rfc3339(due)}" if due and due > turn.wall else ""))
    return arm(turn, job)


def arm(turn: Turn, job: Job) -> int:
    """Put a queued job where its state says: into the queue, or before its time under a timer."""
    task = job.task
    if task.expires_at is not None:
        wake(turn, job, until(turn, task.expires_at))
    if task.not_before is not None and task.not_before > turn.wall:
        turn.state.queue.remove(job.task_id)
        wake(turn, job, until(turn, task.not_before))
        return 0
    since = turn.now - max(0.0, turn.wall - job.queued_at)
    key = LaneKey(task.type, task.assigned_to or "", turn.asks(job))
    return turn.state.queue.push(job.task_id, key, job.rank, since, job.seq)


def expire(turn: Turn, job: Job, reason: str) -> None:
    """End a job whose time is over before anyone did it."""
    turn.move(job, TaskState.EXPIRED, reason)
    turn.hop(job, "expired", detail=reason)
    turn.verdict(Kind.TASK_CANCELLED, job, reason, state=TaskState.EXPIRED)


def look(turn: Turn, job: Job) -> None:
    """Look at a waiting job whose timer has fired: is it time?"""
    if job.state is TaskState.AWAITING_APPROVAL:
        if job.approve_by is not None and turn.wall >= job.approve_by:
            expire(turn, job, "nobody approved it in time")
        elif job.approve_by is not None:
            wake(turn, job, until(turn, job.approve_by))
    elif job.state in (TaskState.QUEUED, TaskState.RETRY_WAIT, TaskState.BLOCKED) and _is_over(turn, job):
        expire(turn, job, "it was not started in time")
    elif job.state is TaskState.RETRY_WAIT and job.retry_at is not None:
        if turn.wall >= job.retry_at:
            enqueue(turn, job)
            turn.hop(job, "queued")
        else:
            wake(turn, job, until(turn, job.retry_at))
    elif job.state is TaskState.QUEUED and job.task_id not in turn.state.queue:
        waits_no_more = arm(turn, job) > 0
        if waits_no_more:
            job.reason = ""
            turn.save(job, lazy=True)


def _is_over(turn: Turn, job: Job) -> bool:
    return job.task.expires_at is not None and turn.wall >= job.task.expires_at
