"""Claims that a dispatcher adopts from a swarm that worked without one, for tasks heard or not."""

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.offer import assign
from swarm_tui.domain.dispatch.outcomes import stop
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import GIVEN, TaskState
from swarm_tui.protocol.bodies import Assigned, Complete, Failed, Inbox
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

MAX_CLAIMS = 1000
CLAIM_UNPROVED = "a claim of what was offered to nobody"


def claim(turn: Turn, event: Event, body: Assigned) -> None:
    """Hear tasks/assigned by an agent: the first claim heard counts, as it does among the agents themselves.

    Where words are proved it counts from an agent with keys, which claims where nobody leads; a guest has nothing to
    claim, for what it may do is offered to it.
    """
    state = turn.state
    if event.sender == state.me or body.epoch is not None or not body.agent_id:
        return
    job = state.jobs.get(body.task_id)
    if state.settings.proved and not _is_its_own(event, body.agent_id):
        turn.refuse(event, CLAIM_UNPROVED)
        record = state.agents.get(body.agent_id)
        keyless = record is None or not record.home
        if job is not None and not event.proved_by and keyless and job.agent_id != body.agent_id:
            # One that has the task, or keys, said nothing of the kind: to stop it would be a stranger's order.
            _contest(turn, job, body.agent_id)
        return
    if job is None:
        if len(state.claims) < MAX_CLAIMS:
            state.claims.setdefault(body.task_id, body.agent_id)
    elif job.state in (TaskState.QUEUED, TaskState.RETRY_WAIT):
        adopt(turn, job, body.agent_id)
    elif job.agent_id != body.agent_id or job.state not in GIVEN:
        _contest(turn, job, body.agent_id)


def _is_its_own(event: Event, agent_id: str) -> bool:
    """Return whether the claim is proved by the agent that it names, or said by one of before there were keys."""
    return event.proved_by.startswith((f"agent:{agent_id}@", f"former:{agent_id}"))


def adopt(turn: Turn, job: Job, agent_id: str) -> None:
    """Give the job to its claimer, under a lease that its heartbeats renew."""
    record = turn.state.agents.get(agent_id) or AgentRecord(agent_id=agent_id)
    attempt = assign(turn, job, record, claimed=True)
    turn.hop(job, "claimed", agent_id=agent_id, detail=f"attempt {attempt.number}")
    accept = Inbox(
        command="accept",
        task_id=job.task_id,
        attempt=attempt.number,
        epoch=attempt.epoch,
        incarnation=record.incarnation,
        lease=turn.state.settings.lease,
        dispatcher=turn.state.me,
    )
    turn.say(Kind.INBOX, accept, agent_id)


def ended_before(turn: Turn, body: Complete | Failed) -> None:
    """Remember the end of a task that was claimed and has not itself been heard: it is not to run again for that."""
    ends = turn.state.ends
    if not _counts_beforehand(turn):
        return
    if body.epoch is None and body.agent_id and len(ends) < MAX_CLAIMS:
        ends.setdefault(body.task_id, body)


def _counts_beforehand(turn: Turn) -> bool:
    """Return whether anybody may say how a task ended that nobody has published: where nothing is proved."""
    return not turn.state.settings.proved


def claimed_before(turn: Turn, job: Job) -> Complete | Failed | None:
    """Adopt a job whose claim, or end, was heard before it. Returns the end, which is now to be applied."""
    agent_id, end = turn.state.claims.pop(job.task_id, None), turn.state.ends.pop(job.task_id, None)
    if end is not None:
        agent_id = end.agent_id
    if agent_id is None or job.state is not TaskState.QUEUED:
        return None
    adopt(turn, job, agent_id)
    return end


def _contest(turn: Turn, job: Job, agent_id: str) -> None:
    """Somebody else has the job: the claimer is to stop, unless it was never told of attempts at all."""
    current = job.current
    if current is not None and current.agent_id == agent_id and current.claimed:
        stop(turn, job, current, f"the task is {job.state}")
        return
    if current is not None and current.agent_id == agent_id:
        # What it claimed may be taken for that attempt.
        current.stopped = True
    turn.say(
        Kind.INBOX,
        Inbox(command="cancel", task_id=job.task_id, reason=f"the task is {job.state}", dispatcher=turn.state.me),
        agent_id,
    )
