"""Agents' words of themselves, and what follows for the tasks that they hold."""

from typing import Any

from swarm_tui.domain.dispatch import foreign, mail, metering
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.freshness import is_former_life, is_live, is_new_beat
from swarm_tui.domain.dispatch.model import Attempt, Job
from swarm_tui.domain.dispatch.offer import offer_of
from swarm_tui.domain.dispatch.outcomes import ack, fence, is_current, lost, renew, stop, take_back
from swarm_tui.domain.dispatch.processes import gone, held
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.dispatch.waiting import enqueue
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.usage import read_usage
from swarm_tui.protocol.bodies import AttemptUsage, Cleared, Heartbeat, Inbox, Shutdown, Status
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Seconds after which an offer that the agent's heartbeat does not name is said again.
OFFER_AGAIN = 5.0


def _record(turn: Turn, agent_id: str, *, live: bool) -> AgentRecord:
    record = turn.state.agents.get(agent_id)
    if record is None:
        record = turn.state.agents[agent_id] = AgentRecord(agent_id=agent_id, known_since=turn.now)
    if live:
        record.seen = turn.now
    return record


def status(turn: Turn, event: Event) -> None:
    """Hear agents/<id>/status: birth, change, will, or cleared."""
    if isinstance(event.body, Cleared):
        known = turn.state.agents.get(event.key)
        # Where words are proved an empty one takes nobody away who did not say farewell.
        if known is not None and (not turn.state.settings.proved or known.status == "offline"):
            del turn.state.agents[event.key]
        return
    body = event.body
    assert isinstance(body, Status)
    live = is_live(turn, event)
    record = _record(turn, event.key, live=False)
    if body.status != "offline":
        if _is_said_again(turn, event, body, record):
            return
        record.seen = turn.now if live else record.seen
    back = record.status == "offline" or record.greeted < turn.state.linked
    if body.status == "offline":
        if body.incarnation in (None, record.incarnation) or record.incarnation is None:
            record.status, record.incarnation = "offline", body.incarnation or record.incarnation
        return
    if (event.retained or event.proved_by) and _is_older(record, body):
        return
    _born(turn, event, body, record)
    if live:
        record.incarnation_seen = turn.now
    if back and live:
        record.greeted = turn.now
        offer_again(turn, record.agent_id)


def _is_said_again(turn: Turn, event: Event, body: Status, record: AgentRecord) -> bool:
    """Return whether the word that an agent is there is of a life that has ended; else note when it was said."""
    if body.incarnation is not None and body.incarnation == record.incarnation:
        return is_former_life(turn, event, record)
    if event.proved_by:
        record.said_at = event.at
    return False


def _born(turn: Turn, event: Event, body: Status, record: AgentRecord) -> None:
    """Note what an agent that is there says of itself; another incarnation of it ends what the one before held."""
    record.status, record.started_at, record.home = body.status, body.started_at, _home(event)
    record.types = frozenset(body.capabilities or ())
    record.role = canonical_role(body.role or event.role or record.role)
    record.capacity = max(0, body.capacity) if body.capacity is not None else 1
    if body.incarnation is not None and body.incarnation != record.incarnation:
        record.former = (record.pid, record.incarnation)
        record.incarnation, record.known_since = body.incarnation, turn.now
        record.incarnation_seen = turn.now
    record.pid = body.pid
    _new_incarnation(turn, record)


def _home(event: Event) -> str:
    """Return the host whose key proved what its agent says; empty where none did."""
    return event.proved_by.rpartition("@")[2] if event.proved_by.startswith("agent:") else ""


def _is_older(record: AgentRecord, body: Status) -> bool:
    """Tell whether a broker that lost its newest words retains a birth of before the one that we know."""
    if body.incarnation == record.incarnation or body.started_at is None or record.started_at is None:
        return False
    return body.started_at < record.started_at


def _new_incarnation(turn: Turn, record: AgentRecord) -> None:
    """Count as lost what an older incarnation held: its successor has ended that work before it said online."""
    if record.incarnation is None:
        return
    for job in held(turn, record.agent_id):
        attempt = job.current
        if attempt is not None and attempt.incarnation not in (None, record.incarnation):
            gone(turn, job, f"{record.agent_id} began anew")


def offer_again(turn: Turn, agent_id: str) -> None:
    """Say offers and mail again after a connection began anew, the agent's or ours: the old one may have lost them."""
    mail.again(turn, agent_id)
    for job in held(turn, agent_id):
        attempt = job.current
        if attempt is None or attempt.incarnation is None or attempt.claimed:
            continue
        if job.state is TaskState.ASSIGNED and job.cancelling is None:
            turn.say(Kind.INBOX, offer_of(turn, job, attempt), agent_id)


def heartbeat(turn: Turn, event: Event, body: Heartbeat) -> None:
    """Hear agents/heartbeat: a sign of life, which names the leases held and the results not yet acknowledged."""
    agent_id = body.agent_id
    record = _record(turn, agent_id, live=False)
    if not is_new_beat(turn, event, record):
        return
    record.seen, record.home = turn.now, _home(event)
    if record.foreign and body.uptime is not None:
        foreign.heartbeat(turn, event, record, body.uptime)
    if not _is_current(turn, record, body.incarnation):
        return
    if event.role:
        record.role = canonical_role(event.role)
    if body.capacity is not None:
        record.capacity = max(0, body.capacity)
    if body.state in ("online", "busy", "draining"):
        record.status = body.state
    elif record.status == "offline" and (record.incarnation is not None or record.foreign):
        record.status = "online"
    named = {name for entry in body.tasks if (name := _named(turn, agent_id, entry, working=True))}
    named |= {name for entry in body.finished if (name := _named(turn, agent_id, entry, working=False))}
    if body.task_id is not None and body.task_id not in named:
        named.add(_named(turn, agent_id, {"task_id": body.task_id}, working=True) or body.task_id)
    for job in held(turn, agent_id):
        _remind(turn, job, job.task_id in named)


def _is_current(turn: Turn, record: AgentRecord, incarnation: str | None) -> bool:
    """Tell whether a heartbeat is of the incarnation that is known, or of one that follows it.

    One follows where the known one has left, or has been silent itself for so long that it counts as lost.
    """
    if incarnation is None or incarnation == record.incarnation:
        record.incarnation_seen = turn.now
        return True
    silent = turn.now - max(record.incarnation_seen, turn.state.linked) > turn.state.settings.suspect_after
    if record.incarnation is not None and record.status != "offline" and not silent:
        return False
    record.former, record.incarnation = (record.pid, record.incarnation), incarnation
    record.incarnation_seen = turn.now
    # It is its newest life, whatever the clocks said when it began.
    record.started_at = None
    _new_incarnation(turn, record)
    return True


def _named(turn: Turn, agent_id: str, entry: dict[str, Any], *, working: bool) -> str | None:
    """Take in a lease or a waiting result of a heartbeat. Returns its task id when it is one of ours."""
    task_id, number, epoch = entry.get("task_id"), entry.get("attempt"), entry.get("epoch")
    job = turn.state.jobs.get(task_id) if isinstance(task_id, str) else None
    if job is None:
        return None
    number = number if isinstance(number, int) else None
    attempt = fence(job, agent_id, number, epoch if isinstance(epoch, int) else None)
    if attempt is None:
        return None
    if is_current(job, attempt) or (working and take_back(turn, job, attempt)):
        renew(turn, job, attempt)
        if not working:
            _ask_result(turn, job, attempt)
    elif working and (job.ended or any(a.started for a in job.attempts if a.number > attempt.number)):
        stop(turn, job, attempt, f"the task is {job.state} and this attempt no longer counts")
    elif not working and number is not None and (job.ended or attempt.outcome not in ("", "lost")):
        order = Inbox(command="ack", task_id=job.task_id, attempt=number, epoch=attempt.epoch, dispatcher=turn.state.me)
        # Patient: an end may itself wait to be written, and its agent forgets it for good.
        turn.say(Kind.INBOX, order, agent_id, patient=True)
    return job.task_id


def _ask_result(turn: Turn, job: Job, attempt: Attempt) -> None:
    """The agent has a result that did not come: the same offer again makes it say it, whoever it believes leads."""
    lease = turn.state.leases.get(job.task_id)
    if lease is not None and turn.now - lease.offered >= OFFER_AGAIN and not attempt.claimed:
        turn.say(Kind.INBOX, offer_of(turn, job, attempt), attempt.agent_id)


def _remind(turn: Turn, job: Job, named: bool) -> None:
    """Say again what the agent seems not to have heard: the offer, or the order to stop."""
    attempt, lease = job.current, turn.state.leases.get(job.task_id)
    record = turn.state.agents.get(job.agent_id or "")
    if attempt is None or lease is None or turn.now - lease.offered < OFFER_AGAIN or (record and record.foreign):
        return
    if job.cancelling is not None:
        stop(turn, job, attempt, job.cancelling)
    elif not named and job.state is TaskState.ASSIGNED and not attempt.claimed and attempt.incarnation is not None:
        turn.say(Kind.INBOX, offer_of(turn, job, attempt), attempt.agent_id)


def alive(turn: Turn, agent_id: str) -> None:
    """Note a sign of life of an agent that is known."""
    record = turn.state.agents.get(agent_id)
    if record is not None:
        record.seen = turn.now


def shutdown(turn: Turn, body: Shutdown) -> None:
    """Hear agents/shutdown: it leaves in order, and what it held is given back."""
    record = turn.state.agents.get(body.agent_id)
    if (
        record is not None
        and None not in (body.incarnation, record.incarnation)
        and body.incarnation != record.incarnation
    ):
        return  # Its successor lives.
    if record is not None:
        record.status = "offline"
    for job in held(turn, body.agent_id):
        lost(turn, job, f"{body.agent_id} shut down", left=True)


def late_usage(turn: Turn, event: Event, body: AttemptUsage) -> None:
    """Hear tasks/usage: count it once, and let it be said no more. Of an attempt that is open it comes again."""
    job = turn.state.jobs.get(body.task_id)
    worker = body.worker or body.agent_id
    attempt = None if job is None else fence(job, worker, body.attempt, body.epoch)
    if job is not None and attempt is not None:
        if not attempt.outcome or not _may_know(turn, event, attempt):
            return
        if not attempt.told and attempt.session in ("", body.session):
            metering.note_late(turn, job, attempt, read_usage(body.usage), clean(body.session, 200))
            if job.state is TaskState.HELD and metering.NOBODY_KNOWS in job.reason:
                enqueue(turn, job)
    ack(turn, body.task_id, body)


def _may_know(turn: Turn, event: Event, attempt: Attempt) -> bool:
    """Return whether the sender can have read the log: it is the attempt's agent, or another on the same host."""
    if event.sender == attempt.agent_id or not turn.state.settings.proved:
        return True
    teller, worker = turn.state.agents.get(event.sender), turn.state.agents.get(attempt.agent_id)
    return teller is not None and bool(teller.home) and (worker is None or worker.home in ("", teller.home))
