"""What agents and supervisors say of themselves, and what it means for the tasks they hold."""

from typing import Any

from swarm_tui.domain.dispatch.model import Attempt, Job, Seat
from swarm_tui.domain.dispatch.offer import offer_of
from swarm_tui.domain.dispatch.outcomes import GIVEN, dead, fence, is_current, lost, renew, stop, take_back
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import Cleared, Heartbeat, HostStatus, Inbox, PaneStatus, Shutdown, Status
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.topics import Kind

#: Seconds after which an offer that the agent's heartbeat does not name is said again.
OFFER_AGAIN = 5.0
#: Seconds by which a sender's clock may be off: beyond the first its times are not believed, the second is forgiven.
OTHER_CLOCK, CLOCKS_DIFFER = 5.0, 0.2
CRASHES = 2
MAX_EXITS = 200
#: Signals by which a program ends itself: ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS.
OWN_SIGNALS = frozenset({4, 5, 6, 7, 8, 11, 31})


def _seat(turn: Turn, agent_id: str, *, live: bool) -> Seat:
    seat = turn.state.seats.get(agent_id)
    if seat is None:
        seat = turn.state.seats[agent_id] = Seat(agent_id=agent_id, known_since=turn.now)
    if live:
        seat.seen = turn.now
    return seat


def _held(turn: Turn, agent_id: str) -> list[Job]:
    return [turn.state.jobs[task_id] for task_id in sorted(turn.state.held_by.get(agent_id, ()))]


def status(turn: Turn, event: Event) -> None:
    """agents/<id>/status: birth, change, will, or cleared."""
    if isinstance(event.body, Cleared):
        turn.state.seats.pop(event.key, None)
        return
    body = event.body
    assert isinstance(body, Status)
    seat = _seat(turn, event.key, live=not event.retained and body.status != "offline")
    if body.status == "offline":
        if body.incarnation in (None, seat.incarnation) or seat.incarnation is None:
            seat.status, seat.incarnation = "offline", body.incarnation or seat.incarnation
        return
    seat.status = body.status
    seat.types = frozenset(body.capabilities or ())
    seat.role = canonical_role(body.role or event.role or seat.role)
    seat.capacity = max(0, body.capacity) if body.capacity is not None else 1
    if body.incarnation is not None and body.incarnation != seat.incarnation:
        seat.former = (seat.pid, seat.incarnation)
        seat.incarnation, seat.known_since = body.incarnation, turn.now
    seat.pid = body.pid
    _new_incarnation(turn, seat)


def _new_incarnation(turn: Turn, seat: Seat) -> None:
    """What an older incarnation held is lost: its successor has ended that work before it said online."""
    if seat.incarnation is None:
        return
    for job in _held(turn, seat.agent_id):
        attempt = job.current
        if attempt is not None and attempt.incarnation not in (None, seat.incarnation):
            gone(turn, job, f"{seat.agent_id} began anew")


def heartbeat(turn: Turn, event: Event, body: Heartbeat) -> None:
    """agents/heartbeat: a sign of life, which names the leases held and the results not yet acknowledged."""
    agent_id = body.agent_id
    seat = _seat(turn, agent_id, live=True)
    if seat.foreign and body.uptime is not None:
        _younger(turn, event, seat, body.uptime)
    if body.incarnation is not None and body.incarnation != seat.incarnation:
        if seat.incarnation is None or seat.status == "offline":
            seat.incarnation = body.incarnation
        else:
            return
    if event.role:
        seat.role = canonical_role(event.role)
    if body.capacity is not None:
        seat.capacity = max(0, body.capacity)
    if body.state in ("online", "busy", "draining"):
        seat.status = body.state
    elif seat.status == "offline" and (seat.incarnation is not None or seat.foreign):
        seat.status = "online"
    named = {name for entry in body.tasks if (name := _named(turn, agent_id, entry, working=True))}
    named |= {name for entry in body.finished if (name := _named(turn, agent_id, entry, working=False))}
    if body.task_id is not None and body.task_id not in named:
        named.add(_named(turn, agent_id, {"task_id": body.task_id}, working=True) or body.task_id)
    for job in _held(turn, agent_id):
        _remind(turn, job, job.task_id in named)


def _younger(turn: Turn, event: Event, seat: Seat, uptime: float) -> None:
    """An agent that names no incarnation began after it was given a task: what it held then is lost."""
    before, seat.uptime = seat.uptime, uptime
    if abs(turn.wall - event.at) > OTHER_CLOCK:
        return
    began = event.at - uptime - (0.0 if uptime < before else CLOCKS_DIFFER)
    for job in _held(turn, seat.agent_id):
        if job.current is not None and job.current.offered_at < began:
            gone(turn, job, f"{seat.agent_id} began anew")


def _named(turn: Turn, agent_id: str, entry: dict[str, Any], *, working: bool) -> str | None:
    """One lease or one waiting result of a heartbeat. Returns its task id when it is one of ours."""
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
        turn.say(Kind.INBOX, order, agent_id)
    return job.task_id


def _ask_result(turn: Turn, job: Job, attempt: Attempt) -> None:
    """The agent has a result that did not come: the same offer again makes it say it, whoever it believes leads."""
    lease = turn.state.leases.get(job.task_id)
    if lease is not None and turn.now - lease.offered >= OFFER_AGAIN and not attempt.claimed:
        turn.say(Kind.INBOX, offer_of(turn, job, attempt), attempt.agent_id)


def _remind(turn: Turn, job: Job, named: bool) -> None:
    """Say again what the agent seems not to have heard: the offer, or the order to stop."""
    attempt, lease = job.current, turn.state.leases.get(job.task_id)
    seat = turn.state.seats.get(job.agent_id or "")
    if attempt is None or lease is None or turn.now - lease.offered < OFFER_AGAIN or (seat and seat.foreign):
        return
    if job.cancelling is not None:
        stop(turn, job, attempt, job.cancelling)
    elif not named and job.state is TaskState.ASSIGNED and not attempt.claimed and attempt.incarnation is not None:
        turn.say(Kind.INBOX, offer_of(turn, job, attempt), attempt.agent_id)


def alive(turn: Turn, agent_id: str) -> None:
    """Any other message of an agent that is known: it lives."""
    seat = turn.state.seats.get(agent_id)
    if seat is not None:
        seat.seen = turn.now
        if seat.foreign:
            seat.status = "online"
            for job in _held(turn, agent_id):
                if job.current is not None and (job.current.started or not seat.claims):
                    renew(turn, job, job.current)


def shutdown(turn: Turn, body: Shutdown) -> None:
    """agents/shutdown: it leaves in order, and what it held is given back."""
    seat = turn.state.seats.get(body.agent_id)
    if seat is not None:
        seat.status = "offline"
    for job in _held(turn, body.agent_id):
        lost(turn, job, f"{body.agent_id} shut down", counts=False)


def host(turn: Turn, body: HostStatus) -> None:
    """hosts/<host>/status: a supervisor's word on which processes run, and how the last one ended."""
    for pane in body.panes:
        if pane.state == "crashloop":
            turn.state.unwell.add(pane.agent_id)
        else:
            turn.state.unwell.discard(pane.agent_id)
        before = turn.state.panes.pop(pane.agent_id, None)
        if pane.pid is not None:
            turn.state.panes[pane.agent_id] = pane.pid
        if before is not None and pane.pid != before:
            _ended(turn, pane, before)


def _ended(turn: Turn, pane: PaneStatus, pid: int) -> None:
    """The process `pid` of the pane's agent is no more."""
    state, seat = turn.state, turn.state.seats.get(pane.agent_id)
    own = pane.exit_signal in OWN_SIGNALS if pane.exit_signal is not None else pane.exit_status not in (0, None)
    if seat is None:
        return
    if seat.foreign or seat.pid == pid:
        incarnation = seat.incarnation
        seat.status = "offline"
    elif seat.former[0] == pid:
        incarnation = seat.former[1]
    else:
        return
    if incarnation is not None:
        state.exits[incarnation] = own
        while len(state.exits) > MAX_EXITS:
            del state.exits[next(iter(state.exits))]
    how = f"signal {pane.exit_signal}" if pane.exit_signal is not None else f"exit status {pane.exit_status}"
    for job in _held(turn, pane.agent_id):
        attempt = job.current
        if attempt is not None and attempt.incarnation == incarnation:
            gone(turn, job, f"{pane.agent_id} ended ({how})")
    if own and incarnation is not None:
        _afterwards(turn, incarnation)


def gone(turn: Turn, job: Job, reason: str) -> None:
    """The process that held the job is no more."""
    attempt = job.current
    if attempt is not None:
        attempt.crash = attempt.started and turn.state.exits.get(attempt.incarnation or "", False)
        if not _poisonous(turn, job):
            lost(turn, job, reason, counts=attempt.started)


def _afterwards(turn: Turn, incarnation: str) -> None:
    """The word came after the attempt was counted as lost: it is added to the record."""
    for job in [job for job in turn.state.jobs.values() if not job.ended and job.attempts]:
        for attempt in job.attempts:
            if attempt.incarnation == incarnation and attempt.started and attempt.outcome in ("lost", "failed"):
                attempt.crash = True
                turn.save(job, lazy=True)
                if job.state not in GIVEN:
                    _poisonous(turn, job)


def _poisonous(turn: Turn, job: Job) -> bool:
    """Two agents crashed with it in hand: no third one gets it."""
    crashes = sum(attempt.crash for attempt in job.attempts)
    if crashes < CRASHES or job.ended:
        return False
    turn.close_attempt(job.current, "lost", "its agent crashed")
    dead(turn, job, f"{crashes} attempts took their agent with them")
    return True
