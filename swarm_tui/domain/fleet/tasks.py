"""The tasks of a swarm: each message of `tasks/…` becomes a fact of its task, and the indices follow."""

from collections.abc import Callable
from typing import Any

from swarm_tui.domain.fleet.backfill import clean_merge, merge
from swarm_tui.domain.fleet.kept_tasks import MAX_ENDED, KeptTasks
from swarm_tui.domain.fleet.task_facts import AttemptEnd, DispatcherWord, TaskFacts, settle
from swarm_tui.domain.outcome import came_badly, verdict_failed
from swarm_tui.domain.states import ENDED, GIVEN, TaskState
from swarm_tui.protocol import bodies
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.merge_bodies import MergeState
from swarm_tui.protocol.names import is_task_id
from swarm_tui.protocol.rows import Hop, TaskRow
from swarm_tui.protocol.run_bodies import RunStarted
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

MAX_OPEN = 100_000
MAX_ALIASES = 1_000
STATES = {state.value: state for state in TaskState}
_VERDICT = {
    Kind.TASK_CANCELLED: TaskState.CANCELLED,
    Kind.TASK_RETRYING: TaskState.RETRY_WAIT,
    Kind.TASK_DEAD: TaskState.DEAD,
    Kind.TASK_HELD: TaskState.HELD,
}
_HOP = {
    Kind.TASK_CANCELLED: "cancelled",
    Kind.TASK_RETRYING: "retrying",
    Kind.TASK_DEAD: "dead",
    Kind.TASK_HELD: "held",
    Kind.TASK_CANCEL: "cancel",
    Kind.TASK_REDRIVE: "retry",
    Kind.TASK_APPROVE: "approve",
    Kind.TASK_DENY: "deny",
}


class Tasks:
    """The tasks that are known, bounded, with an index by state that is kept as they move.

    `moved(task, old_state, old_agent)` is told of each change of state or of holder. `kept` is how many tasks that
    ended longer ago than `LATELY` are kept.
    """

    def __init__(self, moved: Callable[[TaskFacts, TaskState | None, str | None], None], kept: int = MAX_ENDED) -> None:
        self.all: dict[str, TaskFacts] = {}
        self.by_state: dict[TaskState, dict[str, None]] = {state: {} for state in TaskState}
        self.dropped = 0
        self._forgotten: set[str] = set()
        self.usage_told = 0
        """How often usage was told of."""
        """Tasks forgotten to stay within the bounds."""
        self.ended = KeptTasks(kept)
        self.badly: set[str] = set()
        """The complete ones that came out badly by their own verdict."""
        self.aliases: dict[str, str] = {}
        """Ids that were answered with an older task's, to that one's."""
        self._moved = moved
        self._steps: dict[Kind, Callable[[Event, Any], str | None]] = {
            Kind.TASK_NEW: self._new,
            Kind.DEPLOYMENT_REQUEST: self._new,
            Kind.CODE_REVIEW: self._new,
            Kind.TASK_QUEUED: self._queued,
            Kind.TASK_REJECTED: self._rejected,
            Kind.TASK_ASSIGNED: self._assigned,
            Kind.TASK_STARTED: self._started,
            Kind.TASK_DECLINED: self._declined,
            Kind.TASK_PROGRESS: self._progress,
            Kind.TASK_USAGE: self._used,
            Kind.TASK_COMPLETE: self._complete,
            Kind.TASK_FAILED: self._failed,
            Kind.DEPLOYMENT_STATUS: self._deployment,
            Kind.MERGE_STATE: self._merge,
            **dict.fromkeys(_VERDICT, self._verdict),
            **dict.fromkeys((Kind.TASK_CANCEL, Kind.TASK_REDRIVE, Kind.TASK_APPROVE, Kind.TASK_DENY), self._act),
        }

    @property
    def came_badly(self) -> int:
        """Return how many tasks ran to their end and came out badly, those forgotten since too."""
        return len(self.badly) + self.ended.past_badly

    def apply(self, event: Event) -> str | None:
        """Take one message. Returns the id of the task it touched, or None."""
        step = self._steps.get(event.kind)
        return None if step is None else step(event, event.body)

    # Each step: note the fact and its hop, then settle.

    def _new(self, event: Event, body: bodies.Task) -> str | None:
        if body.task_id in self.aliases:
            return None
        task = self._task(body.task_id, event.received)
        if task.type == "?":
            task.type = clean(body.type, 128)
            task.priority, task.payload = body.priority, body.payload
            task.assigned_to = None if body.assigned_to is None else clean(body.assigned_to, 64)
            task.max_attempts = body.max_attempts
        task.created_at = min(task.created_at or event.received, event.received)
        self._hop(task, event, "published", by=event.sender)
        return self._settle(task, event.received)

    def _queued(self, event: Event, body: bodies.Queued) -> str:
        if body.original is not None and body.original != body.task_id:
            return self._same_as(event, body.task_id, body.original)
        task = self._task(body.task_id, event.received)
        task.accepted = True
        if task.type == "?" and body.type is not None:
            task.type = clean(body.type, 128)
        stated = STATES.get(body.state or "")
        if body.duplicate:
            if stated is not None and stated not in (TaskState.COMPLETE, TaskState.RUNNING):
                task.hear(DispatcherWord(body.attempt, event.at, stated))
        else:
            state = stated or TaskState.QUEUED
            self._anew(task, DispatcherWord(body.attempt, event.at, state))
            self._hop(task, event, state.value, attempt=body.attempt)
        return self._settle(task, event.received)

    def blocked(self, event: Event, body: RunStarted) -> set[str]:
        """Take in the tasks of a run that are blocked as it begins. Returns their ids."""
        own = f"{body.run_id}."
        found = {task_id for task_id in body.blocked if task_id.startswith(own) and is_task_id(task_id)}
        for task_id in found:
            task = self._task(task_id, event.received)
            task.accepted = True
            step = task_id.removeprefix(own).partition(":")[0]
            if task.type == "?" and step in body.steps:
                task.type = clean(body.steps[step], 128)
            self._anew(task, DispatcherWord(0, event.at, TaskState.BLOCKED))
            self._hop(task, event, TaskState.BLOCKED.value)
            self._settle(task, event.received)
        return found

    def _same_as(self, event: Event, task_id: str, original: str) -> str:
        """The dispatcher took it for another task published before: it has no life of its own."""
        self.forget(task_id)
        self.aliases[task_id] = original
        if len(self.aliases) > MAX_ALIASES:
            del self.aliases[next(iter(self.aliases))]
        task = self._task(original, event.received)
        task.accepted = True
        return self._settle(task, event.received)

    def _rejected(self, event: Event, body: bodies.TaskRejected) -> str:
        task = self._task(body.task_id, event.received)
        task.rejected = f"rejected: {clean(body.reason, 300)}"
        self._hop(task, event, "rejected", detail=body.reason)
        return self._settle(task, event.received)

    def _assigned(self, event: Event, body: bodies.Assigned) -> str:
        task = self._task(body.task_id, event.received)
        if body.epoch is not None:
            task.accepted = True
            task.give(body.agent_id)
            self._anew(task, DispatcherWord(task.at_attempt(body.attempt), event.at, TaskState.ASSIGNED, body.agent_id))
        elif task.claim is None:
            task.claim = body.agent_id
        self._hop(task, event, "assigned", agent_id=body.agent_id, attempt=body.attempt)
        return self._settle(task, event.received)

    def _started(self, event: Event, body: bodies.Started) -> str:
        task = self._task(body.task_id, event.received)
        task.begin(task.at_attempt(body.attempt), body.agent_id, event.received, event.at)
        self._hop(task, event, "started", agent_id=body.agent_id, attempt=body.attempt)
        return self._settle(task, event.received)

    def _declined(self, event: Event, body: bodies.Declined) -> str:
        task = self._task(body.task_id, event.received)
        task.declined = (task.at_attempt(body.attempt), body.agent_id)
        self._hop(task, event, "declined", agent_id=body.agent_id, attempt=body.attempt, detail=body.reason)
        return self._settle(task, event.received)

    def _progress(self, event: Event, body: bodies.Progress) -> str:
        task = self._task(body.task_id, event.received)
        attempt = task.at_attempt(body.attempt)
        task.begin(attempt, body.agent_id, event.received, event.at)
        if attempt >= task.attempt and (attempt, event.at) >= task.progress_of:
            task.progress_of = (attempt, event.at)
            if body.progress is not None:
                task.reported = min(100.0, max(0.0, body.progress))
            task.message = clean(body.message, 300)
            task.turn, task.session = body.turn or task.turn, clean(body.session or task.session, 200)
        self._use(task, attempt, body.usage, body.session or "")
        detail = f"{body.progress or 0:.0f}% {body.message}"
        self._hop(task, event, "progress", agent_id=body.agent_id, attempt=attempt, detail=detail)
        return self._settle(task, event.received)

    def _use(
        self, task: TaskFacts, attempt: int, usage: bodies.JsonObject, session: str = "", *, told: bool = False
    ) -> None:
        self.usage_told += bool(usage)
        if usage or session or task.uses is not None:
            task.use(attempt, usage, clean(session, 200), told=told)

    def _used(self, event: Event, body: bodies.AttemptUsage) -> str:
        task = self._task(body.task_id, event.received)
        self.usage_told += 1
        task.use_late(task.at_attempt(body.attempt), body.usage, clean(body.session, 200))
        return self._settle(task, event.received)

    def _complete(self, event: Event, body: bodies.Complete) -> str:
        task = self._task(body.task_id, event.received)
        attempt = task.at_attempt(body.attempt)
        answer = AttemptEnd(
            attempt, body.agent_id or None, event.received, result=body.result, duration=_number(body.duration)
        )
        self._use(task, attempt, body.usage, told=True)
        known = task.success
        if known is not None and known.agent_id != answer.agent_id:
            loser = known if attempt > known.attempt else answer
            task.keep_late(f"a success of attempt {loser.attempt} by {loser.agent_id or 'somebody'}")
        if known is None or attempt > known.attempt:
            task.success = answer
        self._hop(task, event, "complete", agent_id=body.agent_id, attempt=attempt)
        return self._settle(task, event.received)

    def _failed(self, event: Event, body: bodies.Failed) -> str:
        task = self._task(body.task_id, event.received)
        attempt = task.at_attempt(body.attempt)
        retryable = body.error.retryable if body.retryable is None else body.retryable
        worker = None if attempt == 0 and task.accepted else body.agent_id or None
        answer = AttemptEnd(
            attempt,
            worker,
            event.received,
            event.at,
            result=body.result,
            error=clean(body.error.message or body.error.code or "failed, and did not say why", 2000),
            retryable=bool(retryable) or body.cause == "interrupted",
            cancelled=body.cause == "cancelled",
            duration=_number(body.duration),
        )
        self._use(task, attempt, body.usage, told=True)
        if task.failure is None or attempt > task.failure.attempt:
            task.failure = answer
        task.keep_error(attempt, worker, answer.error or "")
        self._hop(task, event, "failed", agent_id=body.agent_id, attempt=attempt, detail=answer.error or "")
        return self._settle(task, event.received)

    def _verdict(self, event: Event, body: bodies.TaskVerdict) -> str:
        task = self._task(body.task_id, event.received)
        attempt = task.at_attempt(body.attempt)
        state = STATES.get(body.state or "", _VERDICT[event.kind])
        word = DispatcherWord(attempt, event.at, state)
        if word.newer_than(task.word):
            task.reason = clean(body.reason, 500)
            task.retry_at = event.received + body.delay if body.delay is not None else None
            task.payload_hash = None if body.payload_hash is None else clean(body.payload_hash, 128)
        task.hear(word)
        self._hop(task, event, _HOP[event.kind], attempt=attempt, detail=body.reason)
        return self._settle(task, event.received)

    def _anew(self, task: TaskFacts, word: DispatcherWord) -> None:
        """The task goes on: why it had stopped says nothing of it any more."""
        if word.newer_than(task.word):
            task.reason, task.retry_at = "", None
        task.hear(word)

    def _act(self, event: Event, body: bodies.TaskAct) -> str | None:
        task = self.all.get(body.task_id)
        if task is None:
            return None
        self._hop(task, event, _HOP[event.kind], by=event.sender, detail=body.reason)
        if task.state in GIVEN and event.kind is Kind.TASK_CANCEL:
            task.cancel_requested_at, task.runs_again = task.cancel_requested_at or event.received, False
        elif event.kind is Kind.TASK_REDRIVE:
            task.runs_again = task.cancel_requested_at is not None
        task.updated_at = max(task.updated_at, event.received)
        return task.task_id

    def _merge(self, event: Event, body: MergeState) -> str:
        task = self._task(body.task_id, event.received)
        task.merge = clean_merge(body)
        self._hop(task, event, f"merge {body.state}", by=body.by or None, detail=body.reason)
        return self._settle(task, event.received)

    def _deployment(self, event: Event, body: bodies.DeploymentStatus) -> str | None:
        task = self.all.get(body.task_id or "")
        if task is None or task.state in ENDED:
            return None
        if body.progress is not None:
            task.reported = min(100.0, max(0.0, body.progress))
        task.message = clean(f"{body.status} {body.message}".strip(), 300)
        return self._settle(task, event.received)

    def load(self, rows: list[TaskRow], now: float) -> set[str]:
        """Merge what the dispatcher remembers: gaps are filled, and a newer fact that is known already stays."""
        loaded = {self._load(row) for row in rows if row.state in STATES}
        if len(loaded) > 1:
            self.ended.sort(self.all)
            self._let_go(now)
        return loaded

    def _load(self, row: TaskRow) -> str:
        state = STATES[row.state]
        if row.task_id not in self.all:
            badly = state is TaskState.COMPLETE and verdict_failed(row.result)
            self.ended.known_again(state, row.updated_at, badly=badly)
        task = self._task(row.task_id, row.updated_at)
        merge(task, row, state)
        return self._settle(task, row.updated_at)

    def forget(self, task_id: str) -> None:
        """Drop one task from all indices."""
        task = self.all.pop(task_id, None)
        if task is not None:
            self.by_state[task.state].pop(task_id, None)
            self.ended.ids.pop(task_id, None)
            self.badly.discard(task_id)
            self.dropped += 1
            self._forgotten.add(task_id)

    def take_forgotten(self) -> set[str]:
        """Return the ids that were dropped since this was last asked."""
        forgotten, self._forgotten = self._forgotten, set()
        return forgotten

    def _task(self, task_id: str, at: float) -> TaskFacts:
        task = self.all.get(task_id)
        if task is None:
            task = TaskFacts(task_id=task_id, created_at=at, updated_at=at)
            self.all[task_id] = task
            self.by_state[task.state][task_id] = None
            if len(self.all) - len(self.ended.ids) > MAX_OPEN:
                self.forget(next(key for key in self.all if key not in self.ended.ids))
        return task

    def _hop(
        self, task: TaskFacts, event: Event, what: str, *, agent_id: str = "", attempt: int | None = None,
        by: str | None = None, detail: str = "",
    ) -> None:  # fmt: skip
        task.hop(
            Hop(at=event.received, what=what, agent_id=agent_id or None, attempt=attempt or None, by=by,
                detail=clean(detail, 500))
        )  # fmt: skip

    def _settle(self, task: TaskFacts, at: float) -> str:
        before, holder = task.state, task.agent_id
        settle(task, at)
        (self.badly.add if came_badly(task) else self.badly.discard)(task.task_id)
        task.updated_at = max(task.updated_at, at)
        if task.state is not before or task.agent_id != holder:
            self._index(task, before)
            self._moved(task, before, holder)
        return task.task_id

    def _index(self, task: TaskFacts, before: TaskState) -> None:
        task_id = task.task_id
        if task.state is not before:
            del self.by_state[before][task_id]
            self.by_state[task.state][task_id] = None
        if task.state in ENDED:
            self.ended.ids[task_id] = None
            self._let_go(task.updated_at)
        else:
            self.ended.ids.pop(task_id, None)

    def _let_go(self, now: float) -> None:
        for gone in self.ended.too_many(self.all, now):
            self.forget(gone)


def _number(value: float | None) -> float | None:
    return None if value is None or value != value or abs(value) == float("inf") else value
