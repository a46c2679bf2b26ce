"""A turn of the dispatcher: the state, the moment, and the actions that are decided in it."""

from collections import deque

from swarm_tui.domain.dispatch import metering
from swarm_tui.domain.dispatch.model import (
    GUEST,
    Action,
    Attempt,
    Job,
    Moment,
    Note,
    Refuse,
    Save,
    SaveMail,
    SaveMerges,
    SaveRun,
    SaveSchedule,
    Say,
    State,
)
from swarm_tui.domain.dispatch.settings import TypePolicy
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.protocol.bodies import Body, TaskVerdict
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import NOT_IDEMPOTENT, type_matches
from swarm_tui.protocol.rows import Hop
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

MAX_HOPS = 200


class Turn:
    """Collects the actions of one event."""

    def __init__(self, state: State, moment: Moment) -> None:
        self.state = state
        self.now = moment.now
        self.wall = moment.wall
        self.random = moment.random
        self.actions: list[Action] = []
        self._saved_runs: set[str] = set()
        self.over: deque[str] = deque()
        """Tasks that ended in this turn, and of which others wait to hear."""

    def save(self, job: Job, *, lazy: bool = False, soon: bool = False) -> None:
        """Have the journal hold the job as it is after this turn."""
        self.actions.append(Save(job.task_id, lazy, soon))

    def save_run(self, run_id: str) -> None:
        """Have the journal hold the run as it is after this turn."""
        if run_id not in self._saved_runs:
            self._saved_runs.add(run_id)
            self.actions.append(SaveRun(run_id))

    def save_schedule(self, name: str) -> None:
        """The journal is to hold the schedule's record as it is after this turn."""
        self.actions.append(SaveSchedule(name))

    def save_mail(self, message_id: str, *, lazy: bool = False) -> None:
        """Have the journal hold the message as it is after this turn."""
        self.actions.append(SaveMail(message_id, lazy))

    def save_merges(self) -> None:
        """Have the journal hold which merges are under way."""
        if SaveMerges() not in self.actions:
            self.actions.append(SaveMerges())

    def say(
        self,
        kind: Kind,
        body: Body,
        key: str = "",
        *,
        job: Job | None = None,
        durable: bool = True,
        patient: bool = False,
    ) -> None:
        """Publish; with `job`, journaled beside it unless `durable` is off."""
        if job is None:
            self.actions.append(Say(kind, body, key, patient=patient))
        else:
            self.actions.append(Say(kind, body, key, durable, job.task_id, job.attempt))

    def tell(self, kind: Kind, body: Body) -> None:
        """Publish what is journaled beside what it tells of, a run or mail."""
        self.actions.append(Say(kind, body, durable=True))

    def clear(self, kind: Kind, key: str = "") -> None:
        """Empty what the topic retains."""
        self.actions.append(Say(kind, None, key))

    def note(self, line: str) -> None:
        """Tell the log."""
        self.actions.append(Note(line))

    def refuse(self, event: Event, why: str) -> None:
        """Let what was heard count for nothing."""
        self.actions.append(Refuse(event.topic, event.proved_by or event.sender, why))

    def who(self, event: Event) -> str:
        """Return who said it, for the record: by proof where words are proved; a guest only says who it is."""
        kind, _, name = event.proved_by.partition(":")
        if kind in ("agent", "former"):
            return name.partition("@")[0]
        if kind in ("operator", "host"):
            return event.proved_by
        if kind:
            return kind
        return f"{GUEST}{event.sender}" if self.state.settings.proved else event.sender

    def hop(
        self,
        job: Job,
        what: str,
        *,
        agent_id: str | None = None,
        by: str | None = None,
        detail: str = "",
        before: float = 0.0,
    ) -> None:
        """Write a step, `before` seconds ago, into the job's record; of too many the first and the last are kept."""
        job.updated_at = self.wall
        job.hops.append(
            Hop(
                at=self.wall - before,
                what=what,
                agent_id=agent_id,
                attempt=job.attempt or None,
                by=by,
                detail=clean(detail, 500),
            )
        )
        if len(job.hops) > MAX_HOPS:
            del job.hops[MAX_HOPS // 4]

    def verdict(
        self, kind: Kind, job: Job, reason: str, *, delay: float | None = None, state: str | None = None
    ) -> None:
        """Say what became of the job; `delay` is seconds until the next attempt."""
        body = TaskVerdict(
            task_id=job.task_id,
            attempt=job.attempt,
            reason=reason,
            delay=delay,
            state=state,
            payload_hash=job.payload_hash if state == TaskState.AWAITING_APPROVAL else None,
        )
        self.say(kind, body, job=job)

    def rule(self, job: Job) -> TypePolicy:
        """Return the layout's rule of the job's type; one that it does not declare has the defaults."""
        settings, task_type = self.state.settings, job.task.type
        return settings.rules.get(task_type) or undeclared(task_type, settings.approve)

    def asks(self, job: Job) -> bool:
        """Return whether a person must approve the job before it begins."""
        return job.asks or self.rule(job).approve

    def max_attempts(self, job: Job) -> int:
        """Return how many attempts the job may spend, at least 1."""
        return max(1, job.task.max_attempts or self.rule(job).max_attempts)

    def move(self, job: Job, state: TaskState, reason: str = "", *, lazy: bool = False) -> None:
        """Change the job's state, along `TASK_TRANSITIONS`; nothing else does. What the old state kept up is let go.

        `lazy`: the journal may hold it a moment later.
        """
        queue, was_open = self.state.queue, job.state not in ENDED
        if state is not TaskState.QUEUED:
            queue.remove(job.task_id)
        if state not in (TaskState.ASSIGNED, TaskState.RUNNING):
            self._release(job)
        if state is not TaskState.RETRY_WAIT:
            job.retry_at, job.resets = None, False
        job.state, job.reason = state, clean(reason, 1000)
        if state in ENDED:
            job.ended_at = self.wall
            if job.cancelling is not None:
                job.cancelling, job.cancel_at, job.rerun_by = None, None, ""
            if was_open:
                self.state.open -= 1
                self.state.ended.append(job.task_id)
                if job.run_id or job.task_id in self.state.needed_by:
                    self.over.append(job.task_id)
        elif not was_open:
            job.ended_at = None
            self.state.open += 1
        # Nobody but its agent waits for a success to be written. A
        # foreign agent waits for nothing and says it only once.
        foreign = job.current is not None and bool(job.current.taken_at)
        self.save(job, lazy=lazy, soon=state is TaskState.COMPLETE and not foreign)

    def _release(self, job: Job) -> None:
        self.state.leases.pop(job.task_id, None)
        if job.cancelling is not None:
            job.cancelling, job.cancel_at, job.rerun_by = None, None, ""
        if job.agent_id is not None and job.state in (TaskState.ASSIGNED, TaskState.RUNNING):
            held = self.state.held_by.get(job.agent_id)
            if held is not None:
                held.discard(job.task_id)
                if not held:
                    del self.state.held_by[job.agent_id]

    def close_attempt(
        self, job: Job, attempt: Attempt | None, outcome: str, error: str = "", duration: float | None = None
    ) -> None:
        """Note that the attempt ended: `outcome` in a word, `duration` in milliseconds. An attempt ends once."""
        if attempt is not None and not attempt.outcome:
            attempt.outcome, attempt.error, attempt.duration = outcome, clean(error, 1000), duration
            metering.closed(self.state, job, attempt)


def undeclared(task_type: str, approve: tuple[str, ...]) -> TypePolicy:
    """Return the rule of a type of which no layout speaks; `approve` are patterns of types that need a yes."""
    return TypePolicy(
        idempotent=not any(type_matches(pattern, task_type) for pattern in NOT_IDEMPOTENT),
        approve=any(type_matches(pattern, task_type) for pattern in approve),
    )
