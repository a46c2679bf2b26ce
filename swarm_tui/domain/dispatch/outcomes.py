"""Workers' answers: started, progress, complete, failed, declined; and what the silence of one means."""

from typing import Any

from swarm_tui.domain.dispatch.accept import run_again
from swarm_tui.domain.dispatch.freshness import is_new_sign
from swarm_tui.domain.dispatch.model import Attempt, Job, Lease
from swarm_tui.domain.dispatch.offer import able, is_live, timeout_of
from swarm_tui.domain.dispatch.queue import LaneKey
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting import enqueue, until, wake
from swarm_tui.domain.states import GIVEN, TaskState
from swarm_tui.protocol.bodies import Alert, AttemptUsage, Complete, Declined, Failed, Inbox, Progress, Started
from swarm_tui.protocol.envelope import Event, rfc3339
from swarm_tui.protocol.text import clean, clean_block
from swarm_tui.protocol.topics import Kind

MAX_LATE = 20
SHUN = 5.0
#: Seconds between two words of progress that are written: whoever asks reads the journal.
PROGRESS_EVERY = 1.0
#: Declines of one task after which somebody is told.
OFTEN = 5
#: Times that an agent may leave with a task in hand before each further time is a try: it may be the task that ends it.
GIVE_BACKS = 5
#: Failures after which nobody knows what was done.
#: Code of a failure for want of a program; seconds for which its agent is not offered that task again.
MISSING, SHUN_LACKING = "missing-tool", 600.0
#: Characters of the last words of a conversation that are kept.
MOST_SAID = 2000
#: Seconds for which a limit may be said to last, and within which those who wait for its reset begin again.
MOST_RESET, RESET_SPREAD = 32 * 86_400.0, 20.0
UNKNOWN = frozenset({"timeout", "interrupted", "killed", "crashed", "silent"})


def fence(job: Job, agent_id: str, number: int | None, epoch: int | None) -> Attempt | None:
    """Return the attempt that an answer is about; None when no such one was given to that agent under that epoch."""
    current = job.current
    if epoch is None and current is not None and current.claimed:
        return current if current.agent_id == agent_id else None
    for attempt in reversed(job.attempts):
        if number is None and epoch is None and attempt.agent_id == agent_id:
            return attempt
        if attempt.number == number:
            same = attempt.agent_id == agent_id and (epoch is None or attempt.epoch == epoch)
            return attempt if same else None
    return None


def is_current(job: Job, attempt: Attempt | None) -> bool:
    """Return whether the attempt is the one that now holds the job."""
    return attempt is not None and attempt is job.current and job.state in GIVEN and not attempt.outcome


def renew(turn: Turn, job: Job, attempt: Attempt) -> None:
    """Begin the attempt's lease again: there is a sign that it goes on."""
    lease = turn.state.leases.get(job.task_id)
    if lease is not None:
        lease.until = turn.now + turn.state.settings.lease
        if lease.limit is not None:
            lease.until = min(lease.until, lease.limit)
    if not attempt.started:
        attempt.started = True
        # A foreign agent says only once that it took the task, and its other signs of life count from then on.
        turn.move(job, TaskState.RUNNING, lazy=not attempt.taken_at)
        turn.hop(job, "started", agent_id=attempt.agent_id)


def started(turn: Turn, job: Job, body: Started | Progress, event: Event) -> None:
    """Hear tasks/started, tasks/progress: a sign that the work goes on, unless somebody says an old one again."""
    attempt = fence(job, body.agent_id, body.attempt, body.epoch)
    if attempt is None:
        return
    lives = is_new_sign(turn, event, attempt)
    if not is_current(job, attempt) and not (lives and take_back(turn, job, attempt)):
        return
    if not lives and attempt.started:
        return
    record = turn.state.agents.get(attempt.agent_id)
    if record is not None and record.foreign and not attempt.taken_at:
        attempt.taken_at = event.at
    renew(turn, job, attempt)
    if isinstance(body, Progress):
        job.progress = body.progress if body.progress is not None else job.progress
        job.message = clean(body.message, 500)
        if turn.wall - job.updated_at >= PROGRESS_EVERY:
            job.updated_at = turn.wall
            turn.save(job, lazy=True)


def take_back(turn: Turn, job: Job, attempt: Attempt) -> bool:
    """Let an attempt go on that was counted as lost and is heard again; False when something newer was begun."""
    waits = job.state in (TaskState.QUEUED, TaskState.RETRY_WAIT, TaskState.HELD)
    if attempt is not job.current or attempt.outcome != "lost" or attempt.crash or not waits:
        return False
    state = turn.state
    turn.move(job, TaskState.RUNNING, "its agent was heard again")
    attempt.outcome, attempt.started = "", True
    job.tries = max(0, job.tries - 1)
    state.held_by.setdefault(attempt.agent_id, set()).add(job.task_id)
    grant(turn, job)
    turn.hop(job, "running", agent_id=attempt.agent_id, detail="its agent was heard again")
    return True


def grant(turn: Turn, job: Job) -> None:
    """Keep the job from being given to another for one lease from now."""
    lease = turn.state.leases.get(job.task_id)
    if lease is None:
        lease = turn.state.leases[job.task_id] = Lease(until=turn.now, offered=turn.now)
    record, attempt = turn.state.agents.get(job.agent_id or ""), job.current
    if record is not None and record.foreign and lease.limit is None and attempt is not None:
        lease.limit = until(turn, attempt.offered_at + timeout_of(turn, job))
    end = turn.now + turn.state.settings.lease
    lease.until = max(lease.until, end if lease.limit is None else min(end, lease.limit))
    wake(turn, job, lease.until)


def ack(turn: Turn, job_id: str, body: Complete | Failed | AttemptUsage) -> None:
    """Tell the agent that its answer is journaled, or will never count: it may forget it."""
    if body.agent_id and body.attempt is not None:
        order = Inbox(command="ack", task_id=job_id, attempt=body.attempt, epoch=body.epoch, dispatcher=turn.state.me)
        turn.say(Kind.INBOX, order, body.agent_id, patient=True)


def complete(turn: Turn, job: Job, body: Complete) -> None:
    """Hear tasks/complete. A late success counts unless a newer attempt has started."""
    ack(turn, job.task_id, body)
    attempt = fence(job, body.agent_id, body.attempt, body.epoch)
    if attempt is None or not _may_complete(job, attempt):
        _late(turn, job, body, "complete", attempt)
        return
    newer = job.current if attempt is not job.current and job.state in GIVEN else None
    if newer is not None:
        stop(turn, job, newer, "an earlier attempt succeeded")
        turn.close_attempt(job, newer, "overtaken")
    attempt.outcome = ""
    turn.close_attempt(job, attempt, "complete", duration=body.duration)
    _begun(turn, job, attempt, body)
    turn.move(job, TaskState.COMPLETE)
    job.agent_id, job.result, job.error, job.progress = attempt.agent_id, body.result, None, 100.0
    job.duration = body.duration
    turn.hop(job, "complete", agent_id=attempt.agent_id)
    if newer is not None:
        # Written at once, before its agent can hear the order to stop: a successor that knew nothing of the success
        # would take that agent's "cancelled" for the end.
        turn.save(job)


def _begun(turn: Turn, job: Job, attempt: Attempt, body: Complete | Failed) -> None:
    """Note that the attempt had begun: of one that was over at once the end is the first that is heard."""
    if not attempt.started and body.duration is not None:
        lasted = min(max(0.0, body.duration / 1000), max(0.0, turn.wall - attempt.offered_at))
        turn.hop(job, "started", agent_id=attempt.agent_id, before=lasted)
    attempt.started = True


def _may_complete(job: Job, attempt: Attempt) -> bool:
    if job.ended or attempt.outcome not in ("", "lost"):
        return False
    return not any(a.started for a in job.attempts if a.number > attempt.number)


def failed(turn: Turn, job: Job, body: Failed) -> None:
    """Hear tasks/failed. Only the current attempt can fail the job."""
    ack(turn, job.task_id, body)
    attempt = fence(job, body.agent_id, body.attempt, body.epoch)
    if attempt is None or not is_current(job, attempt):
        _late(turn, job, body, "failed", attempt)
        return
    message = body.error.message or "failed without a reason"
    if _is_elsewhere(turn, job, attempt, body):
        _pass_on(turn, job, attempt, message)
        return
    _begun(turn, job, attempt, body)
    turn.close_attempt(job, attempt, "failed", message, body.duration)
    attempt.code, attempt.said = clean(body.error.code or "", 100), _last_words(body.result)
    job.error, job.duration = clean(message, 4000), body.duration
    job.result = job.result if body.result is None else body.result
    record = turn.state.agents.get(attempt.agent_id)
    # An agent that leaves in order is no fault of the task's.
    leaving = body.cause == "interrupted" and record is not None and record.status == "draining"
    resets = _reset_of(turn, body)
    # What a limit ended was no fault of the task's either, and it may meet several before it is done.
    job.tries += not leaving and resets is None and not _was_stopped(attempt, body)
    turn.hop(job, "failed", agent_id=attempt.agent_id, detail=message)
    if leaving:
        message = given_back(turn, job, message)
    _go_on(turn, job, attempt, body, message, resets)


def _go_on(turn: Turn, job: Job, attempt: Attempt, body: Failed, message: str, resets: float | None) -> None:
    """Let the job have what follows from a failure: its end, another attempt, a person's decision."""
    retryable = body.retryable if body.retryable is not None else bool(body.error.retryable)
    unwished = _is_unwished(attempt, body)
    if job.cancelling is not None or (body.cause == "cancelled" and not unwished):
        cancelled(turn, job, job.cancelling or message)
    elif (unwished or body.cause in UNKNOWN) and not turn.rule(job).idempotent:
        hold(turn, job, f"{message}: what it did is not known, and {job.task.type} must not run twice by itself")
    elif resets is not None:
        _wait_for_reset(turn, job, message, resets)
    elif retryable or unwished or body.cause == "interrupted":
        again(turn, job, message, delayed=not _was_stopped(attempt, body) and body.cause != "interrupted")
    else:
        turn.move(job, TaskState.FAILED, message)


def _is_unwished(attempt: Attempt, body: Failed) -> bool:
    """Return whether nobody wished it cancelled, as far as is known: one that was claimed may have heeded a halt."""
    return body.cause == "cancelled" and (attempt.stopped or not attempt.claimed)


def _was_stopped(attempt: Attempt, body: Failed) -> bool:
    """Return whether it was cancelled since we took it for another's, and by nobody's wish."""
    return attempt.stopped and body.cause == "cancelled"


def _is_elsewhere(turn: Turn, job: Job, attempt: Attempt, body: Failed) -> bool:
    """Return whether the agent lacks a program, and another is there that may have it."""
    if body.error.code != MISSING or job.cancelling is not None:
        return False
    lack = {attempt.agent_id, *(one.agent_id for one in job.attempts if one.code == MISSING)}
    others = [one for one in turn.state.agents.values() if one.agent_id not in lack and is_live(turn, one)]
    return bool(able(turn, LaneKey(job.task.type, job.task.assigned_to or "", turn.asks(job)), others))


def _pass_on(turn: Turn, job: Job, attempt: Attempt, message: str) -> None:
    """Let another do what this agent lacks a program for: it has begun nothing, and it is no try."""
    turn.close_attempt(job, attempt, "declined", message)
    attempt.code = MISSING
    _often_declined(turn, job, message)
    turn.state.shunned[(job.task_id, attempt.agent_id)] = turn.now + SHUN_LACKING
    turn.hop(job, "declined", agent_id=attempt.agent_id, detail=message)
    reason = f"{attempt.agent_id} declined: {message}"
    enqueue(turn, job, reason)
    wake(turn, job, turn.now + SHUN_LACKING)
    turn.verdict(Kind.TASK_RETRYING, job, reason, delay=0.0, state=TaskState.QUEUED)


def _last_words(result: Any) -> str:
    """Return the end of what a conversation said, for the one that goes on in its place."""
    said = result.get("text") if isinstance(result, dict) else None
    return clean_block(said[-MOST_SAID:]) if isinstance(said, str) else ""


def _reset_of(turn: Turn, body: Failed) -> float | None:
    """Return when the limit that ended it is reset; None where none did, or it takes no longer than a usual delay."""
    at = body.error.retry_at
    if at is None or not body.error.retryable or at <= turn.wall + turn.state.settings.retry_first:
        return None
    return min(at, turn.wall + MOST_RESET)


def _wait_for_reset(turn: Turn, job: Job, reason: str, at: float) -> None:
    """Let the job wait until a limit is reset; those who wait for the same begin one after another."""
    turn.move(job, TaskState.RETRY_WAIT, reason)
    job.retry_at, job.resets = at + turn.random() * RESET_SPREAD, True
    wake(turn, job, until(turn, job.retry_at))
    turn.hop(job, "retry-wait", detail=f"until {rfc3339(at)}, when the limit is reset")
    turn.verdict(Kind.TASK_RETRYING, job, reason, delay=round(job.retry_at - turn.wall, 3))


def given_back(turn: Turn, job: Job, reason: str) -> str:
    """Count that an agent left in order with the job in hand: no fault of the job's, unless it happens often.

    Returns the reason, with what is to be said of it besides.
    """
    job.given_back += 1
    if job.given_back <= GIVE_BACKS:
        return reason
    job.tries += 1
    often = f"agents left {job.given_back} times with it in hand: that counts as a try now"
    turn.hop(job, "counted", agent_id=job.agent_id, detail=often)
    return f"{reason}; {often}"


def declined(turn: Turn, job: Job, body: Declined) -> None:
    """Hear tasks/declined: the agent may not or cannot; the attempt does not count."""
    attempt = fence(job, body.agent_id, body.attempt, body.epoch)
    if attempt is None or not is_current(job, attempt):
        return
    successor = None not in (body.incarnation, attempt.incarnation) and body.incarnation != attempt.incarnation
    if attempt.started or successor:
        # Work that has begun is not undone by a word: its lease, or its agent's birth, tells what became of it.
        return
    turn.close_attempt(job, attempt, "declined", body.reason)
    _often_declined(turn, job, body.reason)
    turn.state.shunned[(job.task_id, attempt.agent_id)] = turn.now + SHUN
    turn.hop(job, "declined", agent_id=attempt.agent_id, detail=body.reason)
    if job.cancelling is not None:
        cancelled(turn, job, job.cancelling)
        return
    reason = f"{attempt.agent_id} declined: {body.reason}" if body.reason else f"{attempt.agent_id} declined"
    enqueue(turn, job, reason)
    wake(turn, job, turn.now + SHUN)
    turn.verdict(Kind.TASK_RETRYING, job, reason, delay=0.0, state=TaskState.QUEUED)


def _often_declined(turn: Turn, job: Job, reason: str) -> None:
    """Tell of a task that is passed from hand to hand."""
    if sum(attempt.outcome == "declined" for attempt in job.attempts) == OFTEN:
        message = f"{job.task_id} was declined {OFTEN} times; the last: {clean(reason, 200)}"
        name = f"declined:{job.task_id}"
        turn.say(Kind.ALERT, Alert(severity="warning", message=message, task_id=job.task_id, name=name))


def lost(turn: Turn, job: Job, reason: str, *, counts: bool = True, left: bool = False) -> None:
    """Give up the attempt that holds the job: it will not be heard in time; `left`: its agent said that it leaves."""
    attempt = job.current
    turn.close_attempt(job, attempt, "lost", reason)
    if counts and not left:
        job.tries += 1
    turn.hop(job, "lost", agent_id=job.agent_id, detail=reason)
    if left and attempt is not None and attempt.started:
        reason = given_back(turn, job, reason)
    if job.cancelling is not None:
        cancelled(turn, job, f"{job.cancelling} ({reason})")
    elif not turn.rule(job).idempotent:
        hold(turn, job, f"{reason}: what it did is not known, and {job.task.type} must not run twice by itself")
    else:
        job.error = reason
        again(turn, job, reason, delayed=False)


def again(turn: Turn, job: Job, reason: str, *, delayed: bool) -> None:
    """Let the job wait for another attempt, after a delay with full jitter; or for none, when they are spent."""
    settings = turn.state.settings
    if job.tries >= turn.max_attempts(job):
        dead(turn, job, f"{job.tries} of {turn.max_attempts(job)} attempts are spent; the last: {reason}")
        return
    if not delayed:
        enqueue(turn, job, reason)
        turn.verdict(Kind.TASK_RETRYING, job, reason, delay=0.0, state=TaskState.QUEUED)
        return
    ceiling = min(settings.retry_max, settings.retry_first * 2 ** (job.tries - 1))
    delay = turn.random() * ceiling
    turn.move(job, TaskState.RETRY_WAIT, reason)
    job.retry_at = turn.wall + delay
    wake(turn, job, until(turn, job.retry_at))
    turn.hop(job, "retry-wait", detail=f"in {delay:.1f} s")
    turn.verdict(Kind.TASK_RETRYING, job, reason, delay=round(delay, 3))


def dead(turn: Turn, job: Job, reason: str) -> None:
    """Give the job up: its attempts are spent, or it takes its agents with it."""
    turn.move(job, TaskState.DEAD, reason)
    turn.hop(job, "dead", detail=reason)
    turn.verdict(Kind.TASK_DEAD, job, reason)


def hold(turn: Turn, job: Job, reason: str) -> None:
    """Let the job wait for a person: it is not known what was done."""
    turn.move(job, TaskState.HELD, reason)
    turn.hop(job, "held", detail=reason)
    turn.verdict(Kind.TASK_HELD, job, reason)


def cancelled(turn: Turn, job: Job, reason: str, by: str | None = None) -> None:
    """End the job as cancelled; `by` is the person who asked."""
    rerun_by, attempt = job.rerun_by, job.current
    # Only its agent's no proves that it has not begun: what it said may be lost, or on its way.
    unknown = attempt is not None and attempt.outcome != "declined"
    turn.close_attempt(job, attempt, "cancelled")
    if rerun_by and attempt is not None and unknown and not turn.rule(job).idempotent:
        begun = "it had begun" if attempt.started else "it may have begun"
        why = f"the cancel was taken back, but {begun}: {job.task.type} must not run twice by itself"
        hold(turn, job, f"{reason}; {why}")
        return
    turn.move(job, TaskState.CANCELLED, reason)
    turn.hop(job, "cancelled", by=by, detail=reason)
    turn.verdict(Kind.TASK_CANCELLED, job, reason)
    if rerun_by and not (job.task.expires_at is not None and job.task.expires_at <= turn.wall):
        turn.hop(job, "redriven", by=rerun_by, detail="the cancel was taken back")
        run_again(turn, job, "")


def stop(turn: Turn, job: Job, attempt: Attempt, reason: str) -> None:
    """Ask the agent to end that attempt."""
    attempt.stopped = attempt.stopped or job.cancelling is None
    order = Inbox(
        command="cancel",
        task_id=job.task_id,
        attempt=attempt.number,
        epoch=attempt.epoch,
        reason=clean(reason, 500),
        dispatcher=turn.state.me,
    )
    turn.say(Kind.INBOX, order, attempt.agent_id)


def _late(turn: Turn, job: Job, body: Complete | Failed, what: str, attempt: Attempt | None) -> None:
    if attempt is not None and attempt.outcome == what:
        return
    said = body.error.message if isinstance(body, Failed) else "success"
    line = clean(f"{what} of attempt {body.attempt} by {body.agent_id}: {said}", 500)
    if line in job.late or len(job.late) >= MAX_LATE:
        return
    job.late.append(line)
    turn.hop(job, "late", agent_id=body.agent_id, detail=line)
    turn.save(job, lazy=True)
