"""Giving tasks away: which task next, to which agent, under which lease."""

from msgspec.structs import replace

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.metering import Refused, grant, resume_point
from swarm_tui.domain.dispatch.model import Attempt, Job, Lease, State, TypePolicy
from swarm_tui.domain.dispatch.queue import Head, LaneKey
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting import expire, wake
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import Assigned, Inbox
from swarm_tui.protocol.envelope import rfc3339
from swarm_tui.protocol.names import FALLBACK_TYPES
from swarm_tui.protocol.topics import Kind

#: What the broker retained of an agent is believed for this long; then it must have spoken. One heartbeat and some.
BELIEVED = 12.0
#: Attempts of one task that are kept, but for those that began: of them all.
MAX_ATTEMPTS = 100


def pump(turn: Turn) -> None:
    """Give away all that can be given now."""
    state = turn.state
    if not state.leading or state.halted is not None or not state.link_up or not len(state.queue):
        return
    free = [record for record in state.agents.values() if has_room(turn, record)]
    while free and len(state.queue) and (pick := _next(turn, free)) is not None:
        job, record = pick
        if job.task.expires_at is not None and turn.wall >= job.task.expires_at:
            expire(turn, job, "it was not started in time")
            continue
        allowed = grant(turn, job)
        if isinstance(allowed, Refused):
            _hold(turn, job, allowed.why)
            continue
        give(turn, job, record, allowed)
        if not has_room(turn, record):
            free.remove(record)


def _hold(turn: Turn, job: Job, why: str) -> None:
    """Let the job wait for a person: there is no money for it now."""
    turn.move(job, TaskState.HELD, why)
    turn.hop(job, "held", detail=why)
    turn.verdict(Kind.TASK_HELD, job, why)


def is_live(turn: Turn, record: AgentRecord) -> bool:
    """Return whether the agent may be counted on: it is online and has spoken lately."""
    if record.status not in ("online", "busy") or (record.incarnation is None and not record.foreign):
        return False
    if record.seen is None:
        return turn.now - record.known_since < BELIEVED
    return turn.now - record.seen < turn.state.settings.suspect_after


def has_room(turn: Turn, record: AgentRecord) -> bool:
    """Return whether the agent may be counted on and has a slot free."""
    return len(turn.state.held_by.get(record.agent_id, ())) < record.capacity and is_live(turn, record)


def declared(turn: Turn, task_type: str) -> bool:
    """Return whether the layout, or else an agent that lives, says that the type can be done."""
    if task_type in turn.state.settings.rules:
        return True
    return any(task_type in record.types and is_live(turn, record) for record in turn.state.agents.values())


def can_do(rule: TypePolicy, record: AgentRecord, task_type: str) -> bool:
    """Return whether the layout lets the agent do the type as its own."""
    if record.agent_id in rule.agents:
        return True
    return record.role in rule.roles and task_type not in FALLBACK_TYPES.get(record.role, ())


def able(turn: Turn, key: LaneKey, agents: list[AgentRecord]) -> list[AgentRecord]:
    """Return those of `agents` that may be given the lane's tasks."""
    task_type, wanted = key.task_type, key.wanted
    rule = turn.state.settings.rules.get(task_type)
    agents = _trusted(turn, key, agents)
    if rule is None:
        return [record for record in agents if task_type in record.types and (not wanted or record.agent_id == wanted)]
    own = [record for record in agents if (not wanted or record.agent_id == wanted) and can_do(rule, record, task_type)]
    if own:
        return own
    stand_in = [
        record
        for record in agents
        if task_type in FALLBACK_TYPES.get(record.role, ()) and (not wanted or record.agent_id == wanted)
    ]
    if stand_in and not any(is_live(turn, s) and can_do(rule, s, task_type) for s in turn.state.agents.values()):
        return stand_in
    return []


def _trusted(turn: Turn, key: LaneKey, agents: list[AgentRecord]) -> list[AgentRecord]:
    """Return those of `agents` that may be given the lane's tasks at all.

    What a person had to approve is for who proves itself: another's word would pass for the dispatcher's, and for its
    answer. Of the other dialects those may do it to whom the layout itself gives the type.
    """
    if not turn.state.settings.proved or not key.asked:
        return agents
    rule = turn.state.settings.rules.get(key.task_type)
    keyless = rule.keyless if rule is not None else ()
    return [record for record in agents if record.home or (record.foreign and record.agent_id in keyless)]


def _next(turn: Turn, free: list[AgentRecord]) -> tuple[Job, AgentRecord] | None:
    state = turn.state
    keys = list(state.queue.shared)
    if state.queue.named:
        for record in free:
            keys.extend(state.queue.named.get(record.agent_id, ()))
    best: tuple[Head, list[AgentRecord]] | None = None
    for key in keys:
        takers = able(turn, key, free)
        head = _head(turn, key, takers) if takers else None
        if head is None or (best is not None and best[0].rank < head.rank):
            continue
        best = (head, [s for s in takers if not _shuns(turn, head.task_id, s)] if state.shunned else takers)
    if best is None:
        return None
    return state.jobs[best[0].task_id], min(best[1], key=lambda record: _load(state, record))


def _head(turn: Turn, key: LaneKey, takers: list[AgentRecord]) -> Head | None:
    """The lane's first task that one of them may be given: none idles behind one that all shun for now."""
    if not turn.state.shunned:
        return turn.state.queue.head(key, turn.now)
    return turn.state.queue.head(key, turn.now, lambda task_id: all(_shuns(turn, task_id, record) for record in takers))


def _shuns(turn: Turn, task_id: str, record: AgentRecord) -> bool:
    return turn.state.shunned.get((task_id, record.agent_id), 0.0) > turn.now


def _load(state: State, record: AgentRecord) -> tuple[bool, float, bool, int]:
    held = len(state.held_by.get(record.agent_id, ())) / record.capacity
    # A guest, who says what capacity it likes, gets what nobody with keys has room for.
    guest = state.settings.proved and not (record.home or record.foreign)
    return guest, held, record.seen is None, record.used


def give(turn: Turn, job: Job, record: AgentRecord, allowed: float | None = None) -> Attempt:
    """Offer the job to the agent under a new fence; `allowed` is what it may take, in US dollars."""
    state = turn.state
    attempt = assign(turn, job, record)
    if allowed is not None:
        attempt.budgeted, attempt.reserved = True, allowed
    turn.say(Kind.INBOX, offer_of(turn, job, attempt), record.agent_id, job=job)
    assigned = Assigned(
        task_id=job.task_id,
        agent_id=record.agent_id,
        role=record.role,
        claimed_at=rfc3339(turn.wall),
        attempt=attempt.number,
        epoch=attempt.epoch,
        lease=state.settings.lease,
    )
    turn.say(Kind.TASK_ASSIGNED, assigned, job=job)
    return attempt


def assign(turn: Turn, job: Job, record: AgentRecord, *, claimed: bool = False) -> Attempt:
    """Give the job to the agent for one lease. Returns the attempt."""
    state = turn.state
    turn.move(job, TaskState.ASSIGNED)
    job.attempt += 1
    job.agent_id, job.progress, job.message = record.agent_id, None, ""
    attempt = Attempt(
        number=job.attempt,
        epoch=state.epoch,
        agent_id=record.agent_id,
        incarnation=record.incarnation,
        offered_at=turn.wall,
        claimed=claimed,
    )
    job.attempts.append(attempt)
    if len(job.attempts) > MAX_ATTEMPTS:
        _let_one_go(job)
    state.offers += 1
    record.used = state.offers
    state.held_by.setdefault(record.agent_id, set()).add(job.task_id)
    lease = Lease(until=turn.now + state.settings.lease, offered=turn.now)
    if record.foreign:
        lease.limit = turn.now + timeout_of(turn, job)
    state.leases[job.task_id] = lease
    wake(turn, job, lease.until)
    turn.hop(job, "assigned", agent_id=record.agent_id)
    return attempt


def _let_one_go(job: Job) -> None:
    """Forget the oldest attempt that never began: no answer of it can come, and the record must not grow for ever."""
    for at, attempt in enumerate(job.attempts[:-1]):
        if attempt.outcome and not attempt.started:
            del job.attempts[at]
            return


def timeout_of(turn: Turn, job: Job) -> float:
    """Return the seconds that an attempt may take: the task's own, or its type's."""
    return job.task.timeout or turn.rule(job).timeout


def offer_of(turn: Turn, job: Job, attempt: Attempt) -> Inbox:
    """Return the offer that the agent's inbox gets; said again, it is the same."""
    task = replace(job.task, timeout=timeout_of(turn, job), max_attempts=turn.max_attempts(job))
    return Inbox(
        task_id=job.task_id,
        attempt=attempt.number,
        epoch=attempt.epoch,
        lease=turn.state.settings.lease,
        task=task,
        incarnation=attempt.incarnation,
        dispatcher=turn.state.me,
        resume=resume_point(turn, job),
        budget=attempt.reserved if attempt.budgeted else None,
        granted=job.granted,
    )
