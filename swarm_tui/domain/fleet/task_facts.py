"""A task's facts, and the state that follows from them whatever the order in which they came.

Nothing here says "go from this state to that one": each message adds a fact, and `derive` reads the state off all of
them. So a message that comes late, twice or before its forerunner cannot lead anywhere its set of facts would not.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.domain.states import ENDED, GIVEN, TaskState
from swarm_tui.domain.usage import Usage, late_usage, read_usage
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.rows import Hop

MAX_HOPS = 64
KEPT_FIRST_HOPS = 8
MAX_LATE = 16
#: Seconds within which a step that is told twice is one: what is heard, and what the dispatcher remembers of it.
SAME_WITHIN = 5.0
#: Steps that happen once to a task, or to one attempt of it; any other may come again, and looks the same then.
_ONCE = frozenset({"published", "rejected", "assigned", "claimed", "started", "declined", "complete", "failed", "lost"})

_RANK = {state: rank for rank, state in enumerate(TaskState)}
#: The dispatcher's ends that no worker's success may change: it knew of no success when it said so.
_VERDICTS = frozenset({TaskState.DEAD, TaskState.CANCELLED, TaskState.EXPIRED, TaskState.FAILED, TaskState.SKIPPED})


#: States of a task that is in nobody's hands.
_NOBODYS = frozenset(
    {TaskState.BLOCKED, TaskState.QUEUED, TaskState.AWAITING_APPROVAL, TaskState.EXPIRED, TaskState.SKIPPED}
)
#: Words of the dispatcher that a worker of that attempt, heard again, undoes.
_WAITS = frozenset({TaskState.QUEUED, TaskState.RETRY_WAIT, TaskState.HELD})


class DispatcherWord(Struct, frozen=True, gc=False):
    """The dispatcher's last word: it speaks with one clock, so `attempt` and then `at` order its words."""

    attempt: int
    at: float
    state: TaskState
    agent_id: str | None = None

    def newer_than(self, other: "DispatcherWord | None") -> bool:
        """Return whether this word was said after `other`."""
        if other is None:
            return True
        mine = (self.attempt, self.at, _RANK[self.state])
        return mine > (other.attempt, other.at, _RANK[other.state])


class AttemptEnd(Struct, frozen=True, gc=False):
    """A worker's end of one attempt. `duration` milliseconds."""

    attempt: int
    agent_id: str | None
    received: float
    said: float = 0.0
    """When, by the clock of who said it."""
    result: Any = None
    error: str | None = None
    retryable: bool = False
    cancelled: bool = False
    duration: float | None = None


class Used(Struct, frozen=True, gc=False):
    """Usage of an attempt, as far as it told; `told`: its end was heard, so that nothing is missing.

    `late`: somebody has read its log after its death, while the attempt of that number was the newest, and what it told
    `before` counts again should one of those that had begun by then have it in its own.
    """

    usage: Usage = Usage()
    session: str = ""
    told: bool = False
    late: int = 0
    before: Usage = Usage()


def total(uses: Mapping[int, Used]) -> Usage:
    """Return what the attempts used: one that was cut off is in what a later one in its session has read in its log."""
    whole, newest = Usage(), max(uses, default=0)
    settlers = [(number, one.usage) for number, one in uses.items() if one.usage.settles]
    for number, one in uses.items():
        used = one.before if one.late else one.usage
        last = one.late or newest
        costs = [by.cost for n, by in settlers if number < n <= last and by.settles == one.session]
        if costs and (one.late or not one.told):
            free = used.cost is None and any(cost is not None for cost in costs)
            used = replace(used, partial=False, cost=0.0 if free else used.cost)
        elif one.late:
            used = one.usage
        elif not one.told and one.session and number < newest:
            used = replace(used, partial=True)
        whole = whole.plus(used)
    return replace(whole, logged=False, settles="", session_cost=None)


class TaskFacts(TaskView, kw_only=True, gc=False):
    """A task's view together with the facts it is derived from."""

    word: DispatcherWord | None = None
    given: tuple[str, ...] = ()
    """The agents to which the dispatcher gave it, as far as that was heard."""
    claim: str | None = None
    """The agent that claimed it first, where no dispatcher assigns."""
    ran: int = -1
    """The newest attempt that is known to have started."""
    ran_by: str | None = None
    ran_at: float = 0.0
    ran_said: float = 0.0
    """When, by its own clock, the worker of that attempt last said that it works."""
    declined: tuple[int, str] | None = None
    success: AttemptEnd | None = None
    failure: AttemptEnd | None = None
    rejected: str | None = None
    reported: float | None = None
    """The progress that the newest attempt reported last."""
    progress_of: tuple[int, float] = (-1, 0.0)
    uses: dict[int, Used] | None = None
    """Usage that each attempt told of, of a task that has any."""

    def newest_start(self) -> int:
        """Return the newest attempt that a worker began, -1 for none. One cancelled before it began does not count."""
        failure = self.failure
        return max(self.ran, failure.attempt if failure is not None and not failure.cancelled else -1)

    def at_attempt(self, attempt: int | None) -> int:
        """Return `attempt`, or for a dialect without attempts the one that is under way."""
        return self.attempt if attempt is None else attempt

    def use(self, attempt: int, usage: Mapping[str, Any], session: str = "", *, told: bool = False) -> None:
        """Take in what an attempt has used: its own words grow, and attempts add up; `told`: it is all of it."""
        known = (self.uses or {}).get(attempt, Used())
        used = read_usage(usage) if usage else known.usage
        if used.tokens < known.usage.tokens:
            used = known.usage
        self._uses(attempt, replace(known, usage=used, session=session or known.session, told=told or known.told))

    def use_late(self, attempt: int, usage: Mapping[str, Any], session: str) -> None:
        """Take in what was read in the log of an attempt that had been killed: once, and only if it told no end."""
        known = (self.uses or {}).get(attempt, Used())
        if not known.told:
            late = max([attempt, self.attempt, *(self.uses or ())])
            used = late_usage(read_usage(usage), known.usage)
            self._uses(attempt, Used(usage=used, session=session, told=True, late=late, before=known.usage))

    def _uses(self, attempt: int, heard: Used) -> None:
        if heard != (self.uses or {}).get(attempt, Used()):
            self.uses = {**(self.uses or {}), attempt: heard}
            if whole := total(self.uses).wire():
                self.usage = whole

    def give(self, agent_id: str | None) -> None:
        """Note that the dispatcher gave it to the agent."""
        if agent_id and agent_id not in self.given:
            self.given = (*self.given, agent_id)[-MAX_LATE:]

    def hear(self, word: DispatcherWord) -> None:
        """Note the dispatcher's word, unless it said a newer one."""
        if word.newer_than(self.word):
            self.word = word

    def begin(self, attempt: int, agent_id: str, received: float, said: float) -> None:
        """Note that a worker works on an attempt: heard at `received`, said at `said` by its own clock."""
        if attempt > self.ran:
            self.ran, self.ran_by, self.ran_at, self.ran_said = attempt, agent_id or None, received, said
        elif attempt == self.ran:
            self.ran_at, self.ran_said = min(self.ran_at, received), max(self.ran_said, said)

    def hop(self, hop: Hop) -> None:
        """Keep one step, once; the middle of a long story is dropped, its beginning and its end stay."""
        for known in reversed(self.hops):
            if (known.what, known.agent_id, known.attempt, known.by) != (hop.what, hop.agent_id, hop.attempt, hop.by):
                continue
            if hop.what == "progress":
                known.at, known.detail = max(known.at, hop.at), hop.detail
            elif hop.what not in _ONCE and abs(hop.at - known.at) > SAME_WITHIN:
                continue
            elif hop.at < known.at:
                known.at = hop.at
            return
        self.hops.append(hop)
        if len(self.hops) > MAX_HOPS:
            del self.hops[KEPT_FIRST_HOPS]

    def keep_late(self, text: str) -> None:
        """Keep an answer that does not count."""
        if text not in self.late and len(self.late) < MAX_LATE:
            self.late = (*self.late, text)

    def keep_error(self, attempt: int, agent_id: str | None, what: str) -> None:
        """Keep why an attempt ended, once."""
        text = f"attempt {attempt} on {agent_id or 'nobody'}: {what}"
        if text not in self.errors:
            self.errors = (*self.errors, text)[-MAX_LATE:]


def derive(task: TaskFacts) -> TaskState:
    """Return the state that all facts together give. Pure: the order in which they came plays no part."""
    word = task.word
    start = task.newest_start()
    if start < 0 and task.failure is not None:
        start = task.failure.attempt
    if _counts(task):
        return TaskState.COMPLETE
    if word is not None and word.state in _VERDICTS and word.attempt >= start:
        return word.state
    if word is None or word.attempt < start:
        return _by_workers(task) if start >= 0 else _before_any_word(task)
    if word.attempt == start and (word.state in GIVEN or _claimed_unasked(task, word)):
        return _by_workers(task)
    if word.attempt == start and word.state in _WAITS and _goes_on(task, word):
        return TaskState.RUNNING
    if word.state is TaskState.ASSIGNED and task.declined == (word.attempt, word.agent_id):
        return TaskState.QUEUED
    return word.state


def _claimed_unasked(task: TaskFacts, word: DispatcherWord) -> bool:
    """Return whether a worker took the task before the dispatcher gave it to anybody.

    A failure of the dispatcher's own, before any attempt, is over once it queues the task again.
    """
    if word.attempt != 0 or word.state is not TaskState.QUEUED:
        return False
    return task.ran >= 0 or task.failure is None or task.failure.said >= word.at


def _counts(task: TaskFacts) -> bool:
    """A success counts unless a newer attempt has started, or the dispatcher had ended the task without it."""
    success, word = task.success, task.word
    if success is None or success.attempt < task.newest_start():
        return False
    return word is None or word.state not in _VERDICTS or word.attempt < success.attempt


def _goes_on(task: TaskFacts, word: DispatcherWord) -> bool:
    """An attempt that the dispatcher gave up for lost, and whose worker is heard again, is taken back."""
    failed = task.failure is not None and task.failure.attempt >= word.attempt
    return task.ran == word.attempt and task.ran_said > word.at and not failed


def _by_workers(task: TaskFacts) -> TaskState:
    failure = task.failure
    if failure is None or failure.attempt < task.ran:
        return TaskState.RUNNING
    if failure.cancelled:
        return TaskState.CANCELLED
    return TaskState.RETRY_WAIT if failure.retryable and task.accepted else TaskState.FAILED


def _before_any_word(task: TaskFacts) -> TaskState:
    if task.claim is not None:
        return TaskState.ASSIGNED
    return TaskState.FAILED if task.rejected is not None else TaskState.QUEUED


def settle(task: TaskFacts, now: float) -> None:
    """Bring everything that is shown in line with the facts; `now` stamps a change of state."""
    state = derive(task)
    word, success, failure = task.word, task.success, task.failure
    newest = max(task.newest_start(), word.attempt if word else 0, success.attempt if success else 0)
    if newest > task.attempt and task.progress_of[0] < newest:
        task.reported, task.message = None, ""
    if state not in GIVEN or newest > task.attempt:
        task.cancel_requested_at, task.runs_again = None, False
    task.attempt = newest
    if state is not task.state:
        if state not in ENDED:
            task.ended_at = None
        task.state = state
    task.agent_id = _agent(task, state)
    task.started_at = task.ran_at if task.ran == newest and task.ran_at else task.started_at
    task.progress = 100.0 if state is TaskState.COMPLETE else task.reported
    _settle_end(task, state, newest)
    if state is TaskState.FAILED and task.rejected is not None and failure is None:
        task.error = task.rejected
    if state in ENDED and task.ended_at is None:
        task.ended_at = now
    if success is not None and state is not TaskState.COMPLETE:
        task.keep_late(f"a success of attempt {success.attempt} by {success.agent_id or 'somebody'}")


def _settle_end(task: TaskFacts, state: TaskState, newest: int) -> None:
    """Bring result, error, duration and the time of the end in line with the workers' answers."""
    success, failure = task.success, task.failure
    task.result = task.duration = None
    if state is TaskState.COMPLETE and success is not None:
        task.result, task.duration, task.error = success.result, success.duration, None
        task.ended_at = success.received
    elif failure is not None:
        at_work = state in GIVEN and failure.attempt < newest
        task.error, task.duration = None if at_work else failure.error, failure.duration
        task.result = failure.result if state is TaskState.FAILED else None
        if state in (TaskState.FAILED, TaskState.CANCELLED):
            task.ended_at = failure.received


def _agent(task: TaskFacts, state: TaskState) -> str | None:
    if state is TaskState.COMPLETE and task.success is not None:
        return task.success.agent_id
    if state in _NOBODYS:
        return None
    if task.failure is not None and task.failure.attempt >= task.attempt:
        return task.failure.agent_id
    if task.ran >= task.attempt and task.ran_by is not None:
        return task.ran_by
    if task.word is not None and task.word.agent_id is not None:
        return task.word.agent_id
    return task.claim or task.ran_by
