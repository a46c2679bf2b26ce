"""Asks: an AI agent's wish is written down, waits for a person, and its answer counts once it is written down too.

Whatever dies meanwhile, an ask has at most one outcome, and nothing is allowed that nobody allowed: silence, the end of
the task and an answer in doubt are a no. One whose attempt died waits on for the next, which asks the same again: a
person answers once, before that or after, and the answer is for one attempt alone.
"""

import hashlib

import msgspec

from swarm_tui.domain.asks.model import AskRecord
from swarm_tui.domain.dispatch import freshness
from swarm_tui.domain.dispatch.model import Attempt, Job, State
from swarm_tui.domain.dispatch.outcomes import fence, is_current, renew
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.ask_bodies import Ask, AskAnswer, AskRecorded, Outcome
from swarm_tui.protocol.bodies import Alert
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import AskRow
from swarm_tui.protocol.text import clean, clean_block
from swarm_tui.protocol.topics import Kind

#: Answered asks that a task's record keeps, rules allowed for the task among them, and asks that may be open at a time.
MAX_ANSWERED, MAX_ALWAYS, MAX_OPEN = 100, 100, 20
#: Seconds for which an attempt that follows may take to ask again what one that died had asked.
ASKED_AGAIN_WITHIN = 180.0
#: States in which a job whose attempt died will have another by itself.
_GOES_ON = frozenset({TaskState.QUEUED, TaskState.RETRY_WAIT, TaskState.ASSIGNED, TaskState.RUNNING})
#: Characters of a diff, of a title and of a reason that are kept.
MOST_DIFF, MOST_TITLE, MOST_REASON = 64_000, 2000, 500


def heard(turn: Turn, event: Event, body: Ask) -> None:
    """Hear asks/<id>: write it down once; one that is answered is told its answer again."""
    job, ask_id = turn.state.jobs.get(body.task_id), event.key
    known = None if job is None else _find(job, ask_id)
    if turn.state.asks.get(ask_id, body.task_id) != body.task_id:
        # An answer is given by the ask's id alone: it must not become the answer to another wish.
        turn.refuse(event, "the id of an ask of another task")
    elif job is None:
        _say(turn, ask_id, body.task_id, body.agent_id, body.attempt, "deny", "no such task")
    elif known is not None:
        if known.agent_id != body.agent_id:
            turn.refuse(event, "an ask of another agent's name")
        elif known.kept and is_current(job, fence(job, body.agent_id, body.attempt, body.epoch)):
            # It was taken for dead and waits still: the answer is its own.
            known.kept = False
            turn.save(job)
            _say_again(turn, job, known)
        elif known.outcome and not known.kept:
            _say_again(turn, job, known)
    else:
        attempt = fence(job, body.agent_id, body.attempt, body.epoch)
        if attempt is None or not is_current(job, attempt):
            _say(turn, ask_id, body.task_id, body.agent_id, body.attempt, "deny", "this attempt does not hold the task")
        elif sum(not one.outcome for one in job.questions) >= MAX_OPEN:
            _say(turn, ask_id, body.task_id, body.agent_id, body.attempt, "deny", f"{MAX_OPEN} asks wait already")
        else:
            renew(turn, job, attempt)
            _write(turn, job, attempt, ask_id, body)


def _write(turn: Turn, job: Job, attempt: Attempt, ask_id: str, body: Ask) -> None:
    until = turn.wall + turn.state.settings.ask_within
    if body.expires_at is not None:
        until = min(until, body.expires_at)
    record = AskRecord(
        ask_id=ask_id,
        agent_id=body.agent_id,
        attempt=attempt.number,
        tool=clean(body.tool, 100),
        title=clean(body.title, MOST_TITLE),
        input=body.input,
        diff=None if body.diff is None else clean_block(body.diff[:MOST_DIFF]),
        rule=body.rule[:MOST_TITLE],
        asked_at=turn.wall,
        expires_at=until,
        digest=_digest(body),
    )
    former = _asked_before(job, record)
    job.questions.append(record)
    turn.state.asks[ask_id] = job.task_id
    turn.hop(job, "asked", agent_id=body.agent_id, detail=f"{record.tool}: {record.title}")
    turn.save(job)
    if job.cancelling is not None:
        _decide(turn, job, record, "deny", "the task is being cancelled", "")
    elif former is not None and former.outcome:
        former.kept = False
        _decide(turn, job, record, former.outcome, former.reason, former.by)
    elif former is not None:
        _decide(turn, job, former, "deny", f"the next attempt asks it again, as {ask_id}", "")


def _digest(body: Ask) -> str:
    """Return what is the same for the same wish."""
    whole = msgspec.json.encode([body.tool, body.title, body.input, body.diff, body.rule], order="sorted")
    return hashlib.sha256(whole).hexdigest()[:32]


def _asked_before(job: Job, record: AskRecord) -> AskRecord | None:
    """Return the same wish of an attempt before, which nobody answered, or whose answer no attempt has had yet.

    One that was allowed for the whole task is of every attempt.
    """
    same = [one for one in job.questions if one.digest == record.digest]
    always = (one for one in same if one.outcome == "always")
    before = (one for one in same if one.attempt < record.attempt and (one.kept or not one.outcome))
    return next(always, None) or next(before, None)


def answered(turn: Turn, event: Event, body: AskAnswer) -> None:
    """Hear asks/<id>/answer: an operator's, once, before its time is over."""
    if freshness.is_said_again(turn, event):
        return
    job = turn.state.jobs.get(turn.state.asks.get(event.key, ""))
    record = None if job is None else _find(job, event.key)
    who = turn.who(event)
    if event.expires_at is not None and event.expires_at < turn.wall:
        _refuse(turn, event, f"it expired {turn.wall - event.expires_at:.0f} s ago, before it could be heard")
    elif not who.startswith("operator:"):
        # An agent, a handler, a program that one runs: none of them answers what another of them asks.
        _refuse(turn, event, f"only an operator answers, not {who}")
    elif job is None or record is None or record.outcome:
        _refuse(turn, event, "nobody waits for it: it is answered, or its task goes on no more")
    elif turn.wall >= record.expires_at:
        _refuse(turn, event, "it came too late")
    else:
        by = f"{who} ({clean(body.by, 100)})" if body.by and body.by not in who else who
        record.kept = not _is_waiting(job, record)
        _decide(turn, job, record, body.outcome, body.reason, by)


def _refuse(turn: Turn, event: Event, why: str) -> None:
    message = f"the answer to {event.key} by {turn.who(event)} was refused: {why}"
    turn.note(message)
    turn.say(Kind.ALERT, Alert(severity="warning", message=message, name=f"act:{event.id}"))


def settle(turn: Turn) -> None:
    """End what waits too long, and what nobody waits for any more; called in each turn."""
    for ask_id, task_id in list(turn.state.asks.items()):
        job = turn.state.jobs.get(task_id)
        record = None if job is None else _find(job, ask_id)
        if job is None or record is None or record.outcome:
            del turn.state.asks[ask_id]
        elif (why := _is_over(turn, job, record)) is not None:
            _decide(turn, job, record, "deny", why, "")


def _is_over(turn: Turn, job: Job, record: AskRecord) -> str | None:
    """Return why nobody need answer any more; None while somebody should."""
    current = job.current
    if turn.wall >= record.expires_at and turn.state.leading:
        return f"nobody answered within {record.expires_at - record.asked_at:.0f} s"
    if job.cancelling is not None:
        return "the task is being cancelled"
    if job.ended or current is None:
        return "its task is over"
    # One that was lost may yet be heard again, and then waits for its answer still.
    if current.number == record.attempt and current.outcome in ("", "lost"):
        return None
    if job.state not in _GOES_ON:
        return "its attempt is over"
    if current.number == record.attempt:
        return None
    since = turn.wall - current.offered_at
    return "the next attempt did not ask it again" if current.outcome or since > ASKED_AGAIN_WITHIN else None


def _is_waiting(job: Job, record: AskRecord) -> bool:
    """Return whether the attempt that asked is there to have the answer."""
    current = job.current
    return current is not None and current.number == record.attempt and is_current(job, current)


def _decide(turn: Turn, job: Job, record: AskRecord, outcome: str, reason: str, by: str) -> None:
    """Write the outcome down, which is said only once it is."""
    record.outcome, record.reason, record.by = outcome, clean(reason, MOST_REASON), by
    record.kept = record.kept and outcome != "always"
    record.answered_at = turn.wall
    # What it was about is in the task's output; the record says who decided what.
    record.input, record.diff = {}, None
    turn.state.asks.pop(record.ask_id, None)
    settled = [one for one in job.questions if one.outcome and not one.kept]
    gone = [one for one in settled if one.outcome != "always"][:-MAX_ANSWERED]
    gone += [one for one in settled if one.outcome == "always"][:-MAX_ALWAYS]
    if gone:
        job.questions = [one for one in job.questions if one not in gone]
    what = "denied" if outcome == "deny" else "allowed"
    turn.hop(job, what, by=by or None, detail=f"{record.tool}: {record.title}" + (f" ({reason})" if reason else ""))
    turn.save(job)
    _say_again(turn, job, record)


def _say_again(turn: Turn, job: Job, record: AskRecord) -> None:
    outcome: Outcome = "allow" if record.outcome == "allow" else "always" if record.outcome == "always" else "deny"
    body = AskRecorded(
        ask_id=record.ask_id,
        task_id=job.task_id,
        agent_id=record.agent_id,
        attempt=record.attempt,
        outcome=outcome,
        reason=record.reason,
        by=record.by,
        kept=record.kept,
    )
    turn.say(Kind.ASK_RECORDED, body, record.ask_id, job=job)


def _say(
    turn: Turn, ask_id: str, task_id: str, agent_id: str, attempt: int | None, outcome: Outcome, reason: str
) -> None:
    """Answer an ask that is not written down: nobody could answer it."""
    body = AskRecorded(
        ask_id=ask_id, task_id=task_id, agent_id=agent_id, attempt=attempt, outcome=outcome, reason=reason
    )
    turn.say(Kind.ASK_RECORDED, body, ask_id)


def restore(state: State, job: Job) -> None:
    """Take up the open asks of a job of the journal."""
    state.asks |= {one.ask_id: job.task_id for one in job.questions if not one.outcome}


def rows(state: State) -> list[AskRow]:
    """Return what waits for an answer, oldest first."""
    found = []
    for ask_id, task_id in state.asks.items():
        job = state.jobs.get(task_id)
        record = None if job is None else _find(job, ask_id)
        if record is not None and not record.outcome:
            found.append(
                AskRow(
                    ask_id=ask_id,
                    task_id=task_id,
                    agent_id=record.agent_id,
                    tool=record.tool,
                    title=record.title,
                    since=record.asked_at,
                    expires_at=record.expires_at,
                    attempt=record.attempt,
                    input=record.input,
                    diff=record.diff,
                    rule=record.rule,
                )
            )
    return sorted(found, key=lambda row: row.since)


def _find(job: Job, ask_id: str) -> AskRecord | None:
    return next((one for one in job.questions if one.ask_id == ask_id), None)
