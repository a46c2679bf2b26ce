"""The processes behind the agents: how they ended, and what becomes of the tasks that they took with them."""

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.freshness import is_older_host
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.outcomes import dead, lost
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import GIVEN
from swarm_tui.protocol.bodies import HostStatus, PaneStatus
from swarm_tui.protocol.envelope import Event

CRASHES = 2
MAX_EXITS = 200
#: Signals by which a program ends itself: ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS.
OWN_SIGNALS = frozenset({4, 5, 6, 7, 8, 11, 31})


def held(turn: Turn, agent_id: str) -> list[Job]:
    """Return the jobs that the agent was given and has not ended."""
    return [turn.state.jobs[task_id] for task_id in sorted(turn.state.held_by.get(agent_id, ()))]


def host(turn: Turn, event: Event, body: HostStatus) -> None:
    """Hear hosts/<host>/status: a supervisor's word on which processes run, and how the last one ended.

    Where words are proved it tells of agents that live on that host, and of those without keys.
    """
    if not body.panes or is_older_host(turn, event):
        return
    for pane in body.panes:
        record = turn.state.agents.get(pane.agent_id)
        if record is not None and not _may_tell_of(event.key, record):
            continue
        if pane.state == "crashloop":
            turn.state.crashlooping.add(pane.agent_id)
        else:
            turn.state.crashlooping.discard(pane.agent_id)
        before = turn.state.panes.pop(pane.agent_id, None)
        if pane.pid is not None:
            turn.state.panes[pane.agent_id] = pane.pid
        if before is not None and pane.pid != before:
            _ended(turn, pane, before)


def _may_tell_of(host: str, record: AgentRecord) -> bool:
    """Return whether that host may say how the agent's process fares: one that lives there, or has no keys."""
    return record.home in ("", host)


def _ended(turn: Turn, pane: PaneStatus, pid: int) -> None:
    """The process `pid` of the pane's agent is no more."""
    state, record = turn.state, turn.state.agents.get(pane.agent_id)
    own = pane.exit_signal in OWN_SIGNALS if pane.exit_signal is not None else pane.exit_status not in (0, None)
    if record is None:
        return
    if record.foreign or record.pid == pid:
        incarnation = record.incarnation
        record.status = "offline"
    elif record.former[0] == pid:
        incarnation = record.former[1]
    else:
        return
    if incarnation is not None:
        state.exits[incarnation] = own
        while len(state.exits) > MAX_EXITS:
            del state.exits[next(iter(state.exits))]
    how = f"signal {pane.exit_signal}" if pane.exit_signal is not None else f"exit status {pane.exit_status}"
    for job in held(turn, pane.agent_id):
        attempt = job.current
        if attempt is not None and attempt.incarnation == incarnation:
            gone(turn, job, f"{pane.agent_id} ended ({how})")
    if own and incarnation is not None:
        _afterwards(turn, incarnation)


def revoked(turn: Turn, hosts: frozenset[str]) -> None:
    """Take in that these hosts' agents count no more: they are given nothing, and what they had is lost."""
    for record in turn.state.agents.values():
        if record.home in hosts:
            record.status, record.seen, record.home = "offline", None, ""
            for job in held(turn, record.agent_id):
                gone(turn, job, f"the host of {record.agent_id} was revoked")


def gone(turn: Turn, job: Job, reason: str) -> None:
    """Take in that the process that held the job is no more."""
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
    turn.close_attempt(job, job.current, "lost", "its agent crashed")
    dead(turn, job, f"{crashes} attempts took their agent with them")
    return True
