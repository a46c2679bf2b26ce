"""Usage and sessions of attempts, as their progress tells; what may still be spent; where another attempt goes on.

All of it is derived from the attempts that the journal holds, so that no crash loses a cent or counts one twice.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.domain.dispatch.model import Attempt, Job, State
from swarm_tui.domain.states import GIVEN
from swarm_tui.domain.usage import DayUsage, Usage, late_usage, less, read_usage
from swarm_tui.protocol.bodies import Complete, Failed, JsonObject, Progress
from swarm_tui.protocol.envelope import rfc3339
from swarm_tui.protocol.text import clean

if TYPE_CHECKING:
    from swarm_tui.domain.dispatch.turn import Turn

#: The part of what is left of a day or a month that an attempt may take for which nobody set a limit.
SHARE = 0.1
#: Seconds of tasks whose cost may count against a month's budget.
MONTH = 32 * 86_400.0
#: Seconds of tasks that may have used anything today, where no budget asks for more.
DAY = 2 * 86_400.0
#: The least that is worth beginning with, in US dollars.
LEAST = 0.000001
#: Code of a failure after which a session is not gone on with.
CONTEXT_FULL = "context-full"
#: Code of a failure for want of a log that says what a killed attempt took.
UNPAID = "unpaid"
#: Words of a task that is held until somebody knows what a killed attempt took.
NOBODY_KNOWS = "which was killed, nobody knows"


class Refused(Struct, frozen=True):
    """The reason why an attempt may not be begun: there is no money for it."""

    why: str


def take_in_all(state: State, newest_first: Iterable[Job], wall: float) -> None:
    """Count what the jobs of the last month have spent, without a budget those of a day; before any is given away."""
    since = wall - (DAY if state.settings.budget is None else MONTH)
    for job in newest_first:
        if job.created_at < since:
            break
        take_in(state, job)


def take_in(state: State, job: Job) -> None:
    """Count what a job of the journal has spent; once for each job, before anything is given away."""
    for attempt in job.attempts:
        _spend(state, attempt, cost_of(attempt))
        _count(state, attempt, Usage())


def note(turn: "Turn", job: Job, attempt: Attempt, body: Progress | Complete | Failed) -> None:
    """Hear what an attempt has used so far, and the name of its session; more than before counts, less does not."""
    if isinstance(body, Progress):
        attempt.turn = max(attempt.turn, body.turn or 0)
        if body.session and body.session != attempt.session:
            attempt.session = clean(body.session, 200)
            # The next attempt goes on with it, whatever dies before the next word.
            turn.save(job)
    elif attempt.turn:
        attempt.told = True
    if body.usage:
        used, known = _own(job, attempt, read_usage(body.usage)), read_usage(attempt.usage)
        if used.tokens >= known.tokens and (used.cost or 0.0) >= (known.cost or 0.0):
            before = cost_of(attempt)
            if used != known:
                attempt.usage = used.wire()
                _count(turn.state, attempt, known)
                turn.save(job, lazy=True)
            _spend(turn.state, attempt, cost_of(attempt) - before)
            if used.settles:
                _settle(turn, job, attempt, used)
    job.usage = total(job).wire()


def closed(state: State, job: Job, attempt: Attempt) -> None:
    """Take in that an attempt ended: what a conversation took that was cut off is not all that was told."""
    if attempt.turn and not attempt.told:
        _restate(state, attempt, replace(read_usage(attempt.usage), partial=True))
        job.usage = total(job).wire()


def _settle(turn: "Turn", job: Job, by: Attempt, known: Usage) -> None:
    """Let what earlier attempts in a session took and did not tell be in the usage of the one that has read its log."""
    for one in job.attempts:
        if one.number >= by.number or one.session != known.settles or not _is_untold(one):
            continue
        used = read_usage(one.usage)
        cost = used.cost if used.cost is not None or known.cost is None else 0.0
        _restate(turn.state, one, replace(used, partial=False, logged=False, cost=cost))
        one.told = one.cut_off = True
        turn.save(job)


def note_late(turn: "Turn", job: Job, attempt: Attempt, used: Usage, session: str) -> None:
    """Take in what an attempt took that was killed and has told no end, as somebody reads it in its session's log."""
    later = [one for one in job.attempts if one.number > attempt.number]
    if attempt.session or not any(read_usage(one.usage).settles == session for one in later):
        used = late_usage(_own(job, attempt, used), read_usage(attempt.usage))
        _restate(turn.state, attempt, used)
    attempt.told, attempt.cut_off, attempt.session = True, True, session
    if used.settles:
        _settle(turn, job, attempt, used)
    job.usage = total(job).wire()
    turn.save(job)


def _own(job: Job, attempt: Attempt, used: Usage) -> Usage:
    """Return the usage without what was told of earlier attempts since this one began, which has that in it too."""
    if not used.settles or not attempt.point:
        return used
    earlier = _known([one for one in job.attempts if one.number < attempt.number and one.session == used.settles])
    return less(used, less(earlier, read_usage({**attempt.point, "cost": attempt.point.get("known_cost")})))


def _known(attempts: Iterable[Attempt]) -> Usage:
    """Return the sum of what the attempts told; a cost that nobody knows adds nothing."""
    whole = Usage()
    for one in attempts:
        used = read_usage(one.usage)
        whole = whole.plus(replace(used, cost=used.cost or 0.0, partial=False))
    return whole


def waive(job: Job) -> None:
    """Let the task's budget be without what nobody knows: a person has the task go on. The day's still counts it."""
    for one in job.attempts:
        used = read_usage(one.usage)
        one.waived = one.waived or _is_untold(one) or (used.partial and used.cost is None)


def _is_untold(attempt: Attempt) -> bool:
    """Return whether it was cut off, and nobody has told since what it took."""
    return bool(attempt.outcome) and not attempt.told and read_usage(attempt.usage).partial


def _is_told_later(job: Job, attempt: Attempt) -> bool:
    """Return whether the next attempt is to tell what this one took: none has tried, and its session has a log."""
    if not _is_untold(attempt) or not attempt.session or not read_usage(attempt.usage).logged:
        return False
    return not any(one.turn or one.code == UNPAID for one in job.attempts if one.number > attempt.number)


def _restate(state: State, attempt: Attempt, used: Usage) -> None:
    before, known = cost_of(attempt), read_usage(attempt.usage)
    attempt.usage = used.wire()
    _count(state, attempt, known)
    _spend(state, attempt, cost_of(attempt) - before)


def total(job: Job) -> Usage:
    """Return what all attempts of the job used."""
    whole = Usage()
    for attempt in job.attempts:
        whole = whole.plus(read_usage(attempt.usage))
    return replace(whole, logged=False, settles="", session_cost=None)


def cost_of(attempt: Attempt) -> float:
    """Return what the attempt counts as in a budget: what it cost; where nobody knows that, all that it might take."""
    used = read_usage(attempt.usage)
    if _is_untold(attempt) and used.logged:
        return max(used.cost or 0.0, attempt.reserved)
    if used.cost is not None:
        return used.cost + used.unsure
    return 0.0 if used.is_nothing else attempt.reserved


def _spend(state: State, attempt: Attempt, cost: float) -> None:
    if cost:
        day = rfc3339(attempt.offered_at)[:10]
        state.spent[day] = state.spent.get(day, 0.0) + cost


def _count(state: State, attempt: Attempt, before: Usage) -> None:
    """Count what the attempt has used since `before`, on the day on which it was offered."""
    used = read_usage(attempt.usage)
    if not used.is_nothing or not before.is_nothing:
        day = rfc3339(attempt.offered_at)[:10]
        state.used.setdefault(day, DayUsage(day=day)).count(before, used)


def today(state: State, wall: float) -> DayUsage:
    """Return what was used on this day, UTC, with where the budget stands."""
    day = rfc3339(wall)[:10]
    found = replace(state.used.get(day) or DayUsage(day=day))
    if (budget := state.settings.budget) is not None:
        spent_day, spent_month = spent(state, wall)
        taken = {"spent_day": spent_day, "spent_month": spent_month, "reserved": reserved(state)}
        rounded = {name: round(amount, 6) for name, amount in taken.items()}
        found.budget = {"day": budget.day, "month": budget.month, **rounded}
    return found


def reserved(state: State) -> float:
    """Return what the attempts that are open may still take."""
    whole = 0.0
    for task_id in state.leases:
        job = state.jobs.get(task_id)
        attempt = job.current if job is not None and job.state in GIVEN else None
        if attempt is not None and not attempt.outcome:
            whole += max(0.0, attempt.reserved - cost_of(attempt))
    return whole


def spent(state: State, wall: float) -> tuple[float, float]:
    """Return what was spent on this day and in this month, UTC."""
    day = rfc3339(wall)[:10]
    month = sum(cost for name, cost in state.spent.items() if name.startswith(day[:7]))
    return state.spent.get(day, 0.0), month


def grant(turn: "Turn", job: Job) -> float | Refused | None:
    """Return what a new attempt may take, in US dollars; None where no budget is set or its type costs nothing."""
    budget = turn.state.settings.budget
    if budget is None or job.task.type not in turn.state.settings.costly:
        return None
    day, month = spent(turn.state, turn.wall)
    open_now = reserved(turn.state)
    mine = taken(job)
    wish = job.task.payload.get("max_cost")
    caps = [float(wish)] if isinstance(wish, int | float) and not isinstance(wish, bool) and wish > 0 else []
    if budget.task is not None:
        caps.append(budget.task - mine)
        if budget.task - mine < LEAST:
            return Refused(_taken(job, mine, budget.task))
    lefts = []
    for name, limit, used in (("day", budget.day, day), ("month", budget.month, month)):
        if limit is None:
            continue
        left = limit - used - open_now
        if left < LEAST:
            what = f"${used:.4f} is spent and ${open_now:.4f} reserved of ${limit:g}"
            return Refused(f"the budget of the {name} is used up: {what} (policy.budget.{name})")
        lefts.append(left)
    if not caps and lefts:
        caps = [max(LEAST, SHARE * min(lefts))]
    return min([*caps, *lefts]) if caps or lefts else None


def taken(job: Job) -> float:
    """Return what the task has taken of its budget; what a killed attempt did not tell, the next one is to say."""
    return sum(
        (read_usage(one.usage).cost or 0.0) if one.waived or _is_told_later(job, one) else cost_of(one)
        for one in job.attempts
    )


def _taken(job: Job, mine: float, most: float) -> str:
    words = f"the task has taken ${mine:.4f} of its budget of ${most:g} (policy.budget.task)"
    if unknown := [one for one in job.attempts if _is_untold(one) and not one.waived]:
        why = "no log of its session could be read" if unknown[-1].session else "it was killed before it had a session"
        words += (
            f": what attempt {unknown[-1].number} took, {NOBODY_KNOWS} ({why}), so it counts as all "
            f"that it might; `t` or `retry {job.task_id}` goes on all the same, `c` or `cancel {job.task_id}` ends it"
        )
    return words


def is_over(turn: "Turn", job: Job, attempt: Attempt) -> str | None:
    """Return why a running attempt must be stopped: it took more than it was given."""
    if attempt.budgeted and cost_of(attempt) > attempt.reserved + LEAST:
        return f"it took ${cost_of(attempt):.4f}, more than the ${attempt.reserved:.4f} that policy.budget left for it"
    return None


def resume_point(turn: "Turn", job: Job) -> JsonObject | None:
    """Return where the next attempt goes on: this task's last session, or that of the task that it names."""
    if job.attempts and job.attempts[-1].point:
        return job.attempts[-1].point
    found = _last(job, job.attempts[:-1])
    if found is not None and found.get("cut_off"):
        budget = turn.state.settings.budget
        cut_off = [one for one in job.attempts if _is_untold(one) and not one.waived]
        found["owed"] = budget is not None and budget.task is not None and bool(cut_off)
        job.attempts[-1].point = found
        turn.save(job, lazy=True)
    if found is None and isinstance(named := job.task.payload.get("resume"), str):
        other = turn.state.jobs.get(named)
        found = None if other is None else _last(other, other.attempts)
        if other is not None and found is not None:
            found["cli"] = _cli_of(other)
            found["task_id"] = named
            found["why"] = ""
    return found


def _cli_of(job: Job) -> str:
    """Return the name of the CLI that did the task, as its result or its payload has it; empty where neither does."""
    said = [job.result.get("cli") if isinstance(job.result, dict) else None, job.task.payload.get("cli")]
    return next((name for name in said if isinstance(name, str)), "")


def _said_to_cost(session: list[Attempt]) -> float | None:
    """Return what the session cost as the CLI's next process may say it; None where nobody knows.

    That does not know what a killed one took.
    """
    used = [read_usage(one.usage) for one in session]
    if said := [one.session_cost for one in used if one.session_cost is not None]:
        return said[-1]
    if any(one.cut_off or _is_untold(one) for one in session):
        return 0.0
    known = all(one.cost is not None or one.is_nothing or not one.tokens for one in used)
    return sum(one.cost or 0.0 for one in used) if known else None


def _last(job: Job, attempts: list[Attempt]) -> JsonObject | None:
    for attempt in reversed(attempts):
        if not attempt.session:
            continue
        if attempt.code == CONTEXT_FULL:
            # Its conversation has no room for another word: another begins, and is told how far this one came.
            return {"task_id": job.task_id, "why": attempt.error, "cost": 0.0, "summary": attempt.said}
        session = [one for one in attempts if one.session == attempt.session]
        point: JsonObject = {
            "session": attempt.session,
            "task_id": job.task_id,
            "why": attempt.error,
            "cost": _said_to_cost(session),
            "summary": attempt.said,
            "began": session[0].offered_at,
        }
        if any(map(_is_untold, session)):
            known_now = _known(session)
            point |= {
                "cut_off": True,
                "tokens_in": known_now.tokens_in,
                "tokens_out": known_now.tokens_out,
                "tokens_cached": known_now.tokens_cached,
                "known_cost": known_now.cost or 0.0,
                "calls": sum(one.turn - _is_untold(one) for one in session if one.turn),
            }
        return point
    return None
