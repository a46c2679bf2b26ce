"""The one entrance: what happens, in; what must be done for it, out. Nothing here reads a clock or does I/O."""

from collections.abc import Iterable

from swarm_tui.domain.dispatch import (
    accept,
    adopted_claims,
    agent_reports,
    asks,
    demand,
    foreign,
    freshness,
    mail,
    merges,
    metering,
    needs,
    operators,
    outcomes,
    path_claims,
    processes,
    runs,
    schedules,
    waiting,
)
from swarm_tui.domain.dispatch.model import Action, Job, LinkDown, LinkUp, Moment, Revoked, State, Tick
from swarm_tui.domain.dispatch.offer import pump
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.states import GIVEN, TaskState
from swarm_tui.domain.workflows.run import Run
from swarm_tui.protocol.ask_bodies import Ask, AskAnswer
from swarm_tui.protocol.bodies import (
    Assigned,
    AttemptUsage,
    Complete,
    Declined,
    Failed,
    Heartbeat,
    HostStatus,
    Inbox,
    Progress,
    Scale,
    Shutdown,
    Started,
    Task,
    TaskAct,
)
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import MessageNew, MessageReceipt, PathsClaim, PathsRelease
from swarm_tui.protocol.merge_bodies import MergeAct
from swarm_tui.protocol.run_bodies import RunAct, RunNew, ScheduleAct
from swarm_tui.protocol.topics import Kind

#: A pause between two looks that is longer than this was our own: the leases could not be renewed meanwhile.
OWN_SLEEP = 5.0
CLOCK_SET = 1.0
#: Seconds without a heartbeat of our own agent, which beats every ten, that mean that the broker stands still.
STALLED, STALLED_MOST = 15.0, 90.0
NOT_ASKED = "an answer of one who was not asked"
#: Seconds for which a silent agent is not offered the same task again: it may be heard, and then goes on with it.
SHUN_SILENT = 10.0

#: What people do to one task, run or schedule.
ACTS = frozenset(
    {Kind.TASK_CANCEL, Kind.TASK_REDRIVE, Kind.TASK_APPROVE, Kind.TASK_DENY}
    | {Kind.RUN_CANCEL, Kind.RUN_RETRY, Kind.SCHEDULE_ACT, Kind.MERGE_ACT}
)
_TASKS = frozenset({Kind.TASK_NEW, Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW})


def step(state: State, event: Event | Tick | LinkUp | LinkDown | Revoked, moment: Moment) -> list[Action]:
    """Apply one event to `state` and return what must be done: journal first, then say. Never raises for any Event."""
    turn = Turn(state, moment)
    _clocks(turn)
    if isinstance(event, Event):
        _hear(turn, event)
    elif isinstance(event, Tick):
        _tick(turn)
    elif isinstance(event, Revoked):
        processes.revoked(turn, event.hosts)
    elif isinstance(event, LinkUp):
        state.link_up, state.linked = True, turn.now
        _grant_all(turn)
        for agent_id in sorted({*state.held_by, *state.post.unread}):
            agent_reports.offer_again(turn, agent_id)
    else:
        state.link_up = False
    asks.settle(turn)
    path_claims.settle(turn)
    runs.settle(turn)
    merges.settle(turn)
    pump(turn)
    return turn.actions


def lead(state: State, epoch: int, moment: Moment) -> list[Action]:
    """Become the leader of `epoch`: ask the agents what they hold, and begin to give tasks away."""
    turn = Turn(state, moment)
    state.epoch, state.leading, state.last_now, state.led_since = epoch, True, moment.now, moment.now
    _grant_all(turn)
    # Whoever led before may have had another time of day.
    schedules.clock_set(turn)
    for agent_id in sorted(state.agents.keys() | state.held_by.keys()):
        turn.say(Kind.INBOX, Inbox(command="inventory", dispatcher=state.me), agent_id)
    pump(turn)
    return turn.actions


def restore(state: State, jobs: list[Job], moment: Moment, open_runs: Iterable[Run] = ()) -> None:
    """Take in the open jobs and runs of the journal, with the runs' ended jobs.

    What was given away may still run: it keeps its agent for one lease.
    """
    turn = Turn(state, moment)
    state.last_now, state.clock_gap = moment.now, moment.wall - moment.now
    for run in open_runs:
        remember_run(state, run)
    for job in jobs:
        remember(state, job)
    for job in jobs:
        if job.ended:
            continue
        asks.restore(state, job)
        path_claims.restore(state, job)
        if job.state in GIVEN and job.agent_id is not None:
            state.held_by.setdefault(job.agent_id, set()).add(job.task_id)
            outcomes.grant(turn, job)
            if job.cancelling is not None:
                operators.await_end(turn, job)
        elif job.state is TaskState.QUEUED:
            waiting.arm(turn, job)
        elif job.state is TaskState.BLOCKED:
            needs.await_needs(turn, job)
        else:
            # A clock that was set wrong may have written when: nothing waits longer than it ever may.
            if job.retry_at is not None:
                most = outcomes.MOST_RESET if job.resets else state.settings.retry_max
                job.retry_at = min(job.retry_at, turn.wall + most)
            if job.approve_by is not None:
                job.approve_by = min(job.approve_by, turn.wall + state.settings.approve_within)
            waiting.wake(turn, job, moment.now)


def remember(state: State, job: Job) -> None:
    """Know a job of the journal (again), open or ended."""
    if job.task_id in state.jobs:
        return
    state.jobs[job.task_id] = job
    state.seq = max(state.seq, job.seq)
    if job.task.idempotency_key is not None:
        state.keys[job.task.idempotency_key] = job.task_id
    if job.ended:
        state.ended.append(job.task_id)
    else:
        state.open += 1


def remember_run(state: State, run: Run) -> None:
    """Know a run of the journal (again), open or ended."""
    if run.run_id not in state.runs:
        state.runs[run.run_id] = run
        if run.ended:
            state.past_runs.append(run.run_id)


def forget(state: State, keep: int = 1000, keep_runs: int = 100) -> None:
    """Let go of the oldest ended jobs and runs, which the journal has, until at most so many are in memory.

    The results of an open run's steps are kept, for others may refer to them.
    """
    while len(state.past_runs) > keep_runs:
        run = state.runs.get(state.past_runs.popleft())
        if run is not None and run.ended and run.run_id not in state.past_runs:
            del state.runs[run.run_id]
    merging = []
    while len(state.ended) > keep:
        job = state.jobs.get(state.ended.popleft())
        if job is not None and job.task_id in state.merges:
            merging.append(job.task_id)
            continue
        run = state.runs.get(job.run_id) if job is not None and job.run_id else None
        if job is not None and run is not None and not run.ended:
            run.kept.append(job.task_id)
        elif job is not None and job.ended:
            del state.jobs[job.task_id]
            if job.task.idempotency_key is not None:
                state.keys.pop(job.task.idempotency_key, None)
    state.ended.extendleft(reversed(merging))


def _hear(turn: Turn, event: Event) -> None:
    kind, body = event.kind, event.body
    record = turn.state.agents.get(event.sender)
    if record is not None and record.foreign and kind not in (Kind.STATUS, Kind.SHUTDOWN):
        foreign.heard(turn, event, record)
    if kind in _TASKS and isinstance(body, Task):
        _published(turn, event, body)
    elif isinstance(body, Started | Progress | Complete | Failed | Declined):
        _told(turn, event, body)
    elif kind in ACTS and isinstance(body, TaskAct):
        operators.act(turn, event, body)
    elif isinstance(body, Ask):
        asks.heard(turn, event, body)
    elif isinstance(body, AskAnswer):
        asks.answered(turn, event, body)
    elif isinstance(body, MessageNew):
        mail.submit(turn, event, body)
    elif isinstance(body, MessageReceipt | PathsClaim | PathsRelease):
        _of_mail(turn, event, body)
    elif isinstance(body, RunNew):
        runs.submit(turn, event, body)
    elif isinstance(body, RunAct):
        runs.act(turn, event, body)
    elif isinstance(body, ScheduleAct):
        schedules.act(turn, event, body)
    elif isinstance(body, MergeAct):
        merges.act(turn, event, body)
    elif kind is Kind.HALT:
        before = turn.state.halt_id
        operators.halt(turn, event)
        if turn.state.halted is not None and turn.state.halt_id != before:
            runs.halt(turn, f"halt: {turn.state.halted}", turn.who(event))
    else:
        _hear_of_agents(turn, event)


def _of_mail(turn: Turn, event: Event, body: MessageReceipt | PathsClaim | PathsRelease) -> None:
    """An agent has a message, or wants paths for itself."""
    if freshness.is_live(turn, event):
        agent_reports.alive(turn, body.agent_id)
    if isinstance(body, MessageReceipt):
        mail.heard(turn, event, body)
    elif isinstance(body, PathsClaim):
        path_claims.claim(turn, event, body)
    else:
        path_claims.release(turn, event, body)


def _published(turn: Turn, event: Event, body: Task) -> None:
    state = turn.state
    accept.submit(turn, event, body)
    job = state.jobs.get(body.task_id)
    if job is not None and (state.claims or state.ends):
        end = adopted_claims.claimed_before(turn, job)
        if end is not None:
            _answer(turn, job, end, event)


def _told(turn: Turn, event: Event, body: Started | Progress | Complete | Failed | Declined) -> None:
    """A worker speaks of an attempt."""
    job = turn.state.jobs.get(body.task_id)
    if turn.state.settings.proved and not event.proved_by and not _was_asked(turn, job, body.agent_id):
        turn.refuse(event, NOT_ASKED)
        record = turn.state.agents.get(body.agent_id)
        if isinstance(body, Complete | Failed) and record is not None and not (record.home or record.foreign):
            # A guest, of a task that is forgotten: it would say its result for ever.
            outcomes.ack(turn, body.task_id, body)
        return
    if freshness.is_live(turn, event):
        agent_reports.alive(turn, body.agent_id)
    if job is not None:
        _answer(turn, job, body, event)
    elif isinstance(body, Complete | Failed) and event.sender != turn.state.me:
        outcomes.ack(turn, body.task_id, body)
        adopted_claims.ended_before(turn, body)
        turn.note(f"{body.agent_id} ended {body.task_id}, of which the journal knows nothing")


def _was_asked(turn: Turn, job: Job | None, agent_id: str) -> bool:
    """Return whether the task was given to that agent ever."""
    return job is not None and any(attempt.agent_id == agent_id for attempt in job.attempts)


def _hear_of_agents(turn: Turn, event: Event) -> None:
    kind, body = event.kind, event.body
    if isinstance(body, Heartbeat):
        agent_reports.heartbeat(turn, event, body)
    elif kind is Kind.STATUS:
        agent_reports.status(turn, event)
    elif isinstance(body, Shutdown):
        agent_reports.shutdown(turn, body)
    elif isinstance(body, AttemptUsage):
        agent_reports.late_usage(turn, event, body)
    elif isinstance(body, HostStatus):
        processes.host(turn, event, body)
    elif isinstance(body, Assigned):
        adopted_claims.claim(turn, event, body)
    elif kind is Kind.SCALE:
        demand.heard(turn, event, body if isinstance(body, Scale) else None)


def _answer(turn: Turn, job: Job, body: Started | Progress | Complete | Failed | Declined, event: Event) -> None:
    if isinstance(body, Progress | Complete | Failed):
        attempt = outcomes.fence(job, body.agent_id, body.attempt, body.epoch)
        if attempt is not None:
            metering.note(turn, job, attempt, body)
    if isinstance(body, Complete):
        outcomes.complete(turn, job, body)
    elif isinstance(body, Failed):
        if body.agent_id != turn.state.me:
            outcomes.failed(turn, job, body)
    elif isinstance(body, Declined):
        outcomes.declined(turn, job, body)
    else:
        outcomes.started(turn, job, body, event)
        current = job.current
        if current is not None and job.state in GIVEN and (why := metering.is_over(turn, job, current)) is not None:
            operators.cancel(turn, job, why, None)


def _tick(turn: Turn) -> None:
    for job in waiting.due(turn):
        if job.state in GIVEN:
            _lease(turn, job)
        else:
            waiting.look(turn, job)
    if not turn.state.leading:
        return
    schedules.look(turn)
    mail.look(turn)
    demand.unserved(turn)
    demand.look(turn)
    shunned = turn.state.shunned
    if len(shunned) > 1000:
        turn.state.shunned = {key: end for key, end in shunned.items() if end > turn.now}


def _lease(turn: Turn, job: Job) -> None:
    lease = turn.state.leases.get(job.task_id)
    if lease is None or not turn.state.leading or not turn.state.link_up:
        waiting.wake(turn, job, turn.now + 1.0)
    elif lease.cancel_until is not None and lease.cancel_until <= turn.now and job.cancelling is not None:
        outcomes.cancelled(turn, job, f"{job.cancelling} ({job.agent_id} did not answer)")
    elif lease.until <= turn.now and _stalled(turn):
        outcomes.grant(turn, job)
    elif lease.until <= turn.now:
        turn.state.shunned[(job.task_id, job.agent_id or "")] = turn.now + SHUN_SILENT
        waiting.wake(turn, job, turn.now + SHUN_SILENT)
        spent = lease.limit is not None and lease.limit <= turn.now
        did = "did not end it within its timeout" if spent else "was silent for a whole lease"
        outcomes.lost(turn, job, f"{job.agent_id} {did}", counts=_counts(turn, job))
    else:
        waiting.wake(turn, job, min(lease.until, lease.cancel_until or lease.until))


def _counts(turn: Turn, job: Job) -> bool:
    """Tell whether the lease that is over was a try: the work had begun, or an agent that is there did not begin it."""
    attempt, record = job.current, turn.state.agents.get(job.agent_id or "")
    if attempt is None or attempt.started:
        return True
    there = record is not None and record.seen is not None and turn.now - record.seen < STALLED
    return there and record is not None and not record.foreign


def _stalled(turn: Turn) -> bool:
    """Tell whether our own agent's heartbeats, which go the same way, do not come either: the broker stands still.

    A broker that does so for longer loses its connections; what says nothing even then is the agents' own silence.
    """
    own = turn.state.agents.get(turn.state.me)
    return own is not None and own.seen is not None and STALLED < turn.now - own.seen < STALLED_MOST


def _clocks(turn: Turn) -> None:
    """A pause of ours proves nothing about the agents; a wall clock that was set moves the timers that follow it."""
    state = turn.state
    gap = turn.wall - turn.now
    if state.last_now and turn.now - state.last_now > OWN_SLEEP:
        _grant_all(turn)
        for task_id, lease in state.leases.items():
            if lease.cancel_until is not None:
                operators.await_end(turn, state.jobs[task_id])
    if state.last_now and abs(gap - state.clock_gap) > CLOCK_SET:
        foreign.clock_set(turn, gap - state.clock_gap)
        schedules.clock_set(turn)
        for job in state.jobs.values():
            if job.retry_at is not None and not job.resets:
                # A delay is a length of time, not a time of day.
                job.retry_at += gap - state.clock_gap
                turn.save(job, lazy=True)
            dated = job.task.not_before is not None or job.task.expires_at is not None
            if not job.ended and (dated or job.retry_at is not None or job.approve_by is not None):
                waiting.wake(turn, job, turn.now)
        state.clock_gap = gap
    elif not state.last_now:
        state.clock_gap = gap
    state.last_now = turn.now


def _grant_all(turn: Turn) -> None:
    """Let every lease last at least one more length from now, and believe agents seen lately as long."""
    for task_id in turn.state.leases:
        outcomes.grant(turn, turn.state.jobs[task_id])
    for record in turn.state.agents.values():
        if record.seen is not None and record.status != "offline":
            record.seen = record.incarnation_seen = turn.now
