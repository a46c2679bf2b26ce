"""Agents of another dialect, which name no incarnation, lease or attempt: what they say of themselves at all."""

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.outcomes import renew
from swarm_tui.domain.dispatch.processes import gone, held
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

#: Seconds by which a sender's clock may be off: beyond that its times are not compared with ours.
OTHER_CLOCK = 5.0
#: Seconds by which what an agent says of its beginning may be wrong: uptimes are cut to whole ones, clocks are set.
DOUBT = 2.0


def heard(turn: Turn, event: Event, record: AgentRecord) -> None:
    """Note that a foreign agent lives, and so does what it took; not for the messages by which it leaves."""
    record.seen, record.status = turn.now, "online"
    if record.began is None:
        record.began = event.at
    for job in held(turn, record.agent_id):
        lease = turn.state.leases.get(job.task_id)
        if lease is not None and event.kind is Kind.REGISTER:
            lease.registered = True
        if job.current is not None and (job.current.started or not record.claims):
            renew(turn, job, job.current)


def heartbeat(turn: Turn, event: Event, record: AgentRecord, uptime: float) -> None:
    """Find out whether an agent that names no incarnation is another process than took its tasks: those are lost.

    By its own clock, where it can be: what it says of its beginning is compared with what it said before.
    """
    began = event.at - uptime
    another = uptime < record.uptime or (record.began is not None and began > record.began + DOUBT)
    record.uptime, record.began = uptime, began
    comparable = abs(turn.wall - event.at) <= OTHER_CLOCK
    cut_off = 1.0 if uptime.is_integer() else 0.0
    for job in held(turn, record.agent_id):
        attempt, lease = job.current, turn.state.leases.get(job.task_id)
        if attempt is None or lease is None:
            continue
        taken = attempt.taken_at or (attempt.offered_at if comparable else began)
        if taken + DOUBT < began or (another and (lease.registered or taken < began - cut_off)):
            gone(turn, job, f"{record.agent_id} began anew")


def clock_set(turn: Turn, jump: float) -> None:
    """Take in that the wall clock went on by `jump` seconds in which no uptime grew: a sleep, or it was set."""
    for record in turn.state.agents.values():
        if not record.foreign or jump < 0:
            continue
        record.began = record.began + jump if record.began is not None else None
        for job in held(turn, record.agent_id):
            if job.current is not None and job.current.taken_at:
                job.current.taken_at += jump
