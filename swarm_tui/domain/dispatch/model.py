"""The dispatcher's state, the events that it hears, and the actions that it decides.

Two clocks: `now` is monotonic and rules leases and delays; `wall` is seconds since the epoch and is only written down,
or compared with the times that a publisher named.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from swarm_tui.domain.asks.model import AskRecord
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.digests import payload_hash
from swarm_tui.domain.dispatch.merge_record import MergeRecord
from swarm_tui.domain.dispatch.queue import Queue
from swarm_tui.domain.dispatch.settings import DispatchSettings as DispatchSettings
from swarm_tui.domain.dispatch.settings import TypePolicy as TypePolicy
from swarm_tui.domain.mail.model import Post
from swarm_tui.domain.mail.paths import HeldPaths
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.usage import DayUsage
from swarm_tui.domain.workflows.run import Run
from swarm_tui.domain.workflows.schedule import ScheduleRecord
from swarm_tui.protocol.bodies import Body, Complete, Failed, Task
from swarm_tui.protocol.rows import Hop
from swarm_tui.protocol.topics import Kind

#: How the record names one without keys, before what it calls itself.
GUEST = "guest "


class Attempt(Struct, kw_only=True, omit_defaults=True):
    """A time that a task was given away; (number, epoch) is its fence. `offered_at` is wall time, `duration` ms."""

    number: int
    epoch: int
    agent_id: str
    incarnation: str | None = None
    offered_at: float = 0.0
    taken_at: float = 0.0
    """When a foreign agent first spoke of the task, by the agent's own clock; 0 until then, and for agents of ours."""
    started: bool = False
    outcome: str = ""
    """`""` while it is open; else complete, failed, lost, declined, cancelled, overtaken."""
    error: str = ""
    code: str = ""
    """The short word of its failure, where its agent gave one."""
    said: str = ""
    """Of a conversation that failed: the last that it said."""
    duration: float | None = None
    crash: bool = False
    """It took its agent with it."""
    heard_at: float = 0.0
    """The time of the newest word of it that its agent proved, by the agent's clock; 0 before that."""
    session: str = ""
    """Of a conversation: its name, by which another attempt goes on with it."""
    turn: int = 0
    usage: dict[str, Any] = {}
    """Tokens and money so far, as its messages tell."""
    told: bool = False
    """Its agent has told of its end: its usage is all that is known of it."""
    cut_off: bool = False
    """It was killed, and others have said since what it took."""
    point: dict[str, Any] = {}
    """Of one that goes on after a killed one: where, as it was told, and what was known of the session's usage then."""
    waived: bool = False
    """A person let the task go on, though nobody knows what this one took of its budget."""
    budgeted: bool = False
    reserved: float = 0.0
    """Of one that is `budgeted`: what it may take, in US dollars."""
    stopped: bool = False
    """Its agent was told to end it, though nobody wished to cancel the task."""
    claimed: bool = False
    """Not offered by a dispatcher but claimed, by an agent that names no attempt."""


class Job(Struct, kw_only=True, omit_defaults=True):
    """A task's record, as the journal keeps it. Times are wall times, `duration` milliseconds."""

    task: Task
    digest: str
    """Of the whole body: the same task published again has the same."""
    seq: int
    created_at: float
    updated_at: float
    queued_at: float = 0.0
    """Since when it waits to be done, for its age in the queue; a lost attempt does not make it younger."""
    state: TaskState = TaskState.QUEUED
    by: str = ""
    attempt: int = 0
    """Number of the last attempt; it only grows."""
    tries: int = 0
    """Attempts that count against `max_attempts`; a person's redrive sets it to 0."""
    given_back: int = 0
    """Times that an agent left in order with it in hand, which is no try at first; a redrive sets it to 0."""
    attempts: list[Attempt] = field(default_factory=list)
    agent_id: str | None = None
    retry_at: float | None = None
    resets: bool = False
    """`retry_at` is a time of day, at which a limit is reset, and no delay of ours."""
    approve_by: float | None = None
    approvals: list[str] = field(default_factory=list)
    """Names of those who approved it so far, in order."""
    approved_by: str | None = None
    """Names of all who did, once they were enough."""
    ended_at: float | None = None
    result: Any = None
    usage: dict[str, Any] = {}
    error: str | None = None
    reason: str = ""
    progress: float | None = None
    message: str = ""
    duration: float | None = None
    cancelling: str | None = None
    """Why the running attempt is asked to stop."""
    cancel_at: float | None = None
    """When it was."""
    rerun_by: str = ""
    """The person who took that back: it runs again once it has stopped."""
    questions: list[AskRecord] = field(default_factory=list)
    """Wishes of its AI agent, oldest first; of those answered only so much is kept."""
    late: list[str] = field(default_factory=list)
    """Answers that came after they counted: kept, never applied."""
    run_id: str = ""
    """The run whose step it is."""
    step: str = ""
    item: int | None = None
    """Of a step that is done for each of several items: which one."""
    asks: bool = False
    """A person must approve it, whatever the rule of its type."""
    paths: list[HeldPaths] = field(default_factory=list)
    """The claims of its attempt on paths of the workdir."""
    merge: MergeRecord | None = None
    hops: list[Hop] = field(default_factory=list)

    @property
    def task_id(self) -> str:
        """Return the task's id."""
        return self.task.task_id

    @property
    def rank(self) -> str:
        """Return its priority in the queue: a guest's is done when nobody else's waits, whatever it calls it."""
        return "low" if self.by.startswith(GUEST) else self.task.priority

    @property
    def payload_hash(self) -> str:
        """Return the hash to which an approval of it is bound."""
        return payload_hash(self.task.type, self.task.payload)

    @property
    def ended(self) -> bool:
        """Return whether nothing more is to be done for it."""
        return self.state in ENDED

    @property
    def granted(self) -> tuple[str, ...]:
        """Return the rules that people allowed for the whole task."""
        return tuple(dict.fromkeys(one.rule for one in self.questions if one.outcome == "always" and one.rule))

    @property
    def current(self) -> Attempt | None:
        """Return the last attempt, which holds the job while it is open; None before the first."""
        return self.attempts[-1] if self.attempts else None


class Lease(Struct, kw_only=True):
    """The time for which a task that was given away is not given to another. Monotonic; never journaled."""

    until: float
    offered: float
    cancel_until: float | None = None
    limit: float | None = None
    """Of a foreign agent, which cannot say that it still works: the end of the task's timeout."""
    registered: bool = False
    """Its foreign agent registered since: it connected again, or is another process."""


class State(Struct, kw_only=True):
    """The dispatcher's knowledge; jobs that ended long ago are not here but in the journal."""

    settings: DispatchSettings
    me: str
    """The dispatcher's agent id."""
    epoch: int = 0
    leading: bool = False
    led_since: float = 0.0
    """When its lead began. Monotonic."""
    link_up: bool = True
    linked: float = 0.0
    """When the connection began. Monotonic."""
    seq: int = 0
    """Number of the last job; the queue orders by it what came at the same time."""
    offers: int = 0
    """Offers made so far."""
    jobs: dict[str, Job] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """Idempotency key to task id."""
    open: int = 0
    """Jobs that have not ended."""
    queue: Queue = field(default_factory=Queue)
    agents: dict[str, AgentRecord] = field(default_factory=dict)
    held_by: dict[str, set[str]] = field(default_factory=dict)
    """Agent to the tasks it was given and has not ended."""
    leases: dict[str, Lease] = field(default_factory=dict)
    timers: list[tuple[float, str]] = field(default_factory=list)
    """A heap of (monotonic time, task id): when to look at the task again. It may hold times that no longer count."""
    shunned: dict[tuple[str, str], float] = field(default_factory=dict)
    """(task, agent) to the time until which it is not offered to it: it declined."""
    spent: dict[str, float] = field(default_factory=dict)
    """Day (2026-11-29, UTC) to the US dollars that the attempts offered on it took."""
    used: dict[str, DayUsage] = field(default_factory=dict)
    """Day to what the attempts offered on it used."""
    asks: dict[str, str] = field(default_factory=dict)
    """Ask to task: those that nobody has answered."""
    claims: dict[str, str] = field(default_factory=dict)
    """Task to agent: claims heard for tasks not heard yet."""
    ends: dict[str, Complete | Failed] = field(default_factory=dict)
    """Ends that agents told of without a dispatcher, of tasks not heard yet."""
    runs: dict[str, Run] = field(default_factory=dict)
    """The runs that are open, and those that ended lately."""
    past_runs: deque[str] = field(default_factory=deque)
    """Ended runs that are still in `runs`, oldest first."""
    taken: set[str] = field(default_factory=set)
    """Names of runs that cannot be: the journal has tasks of such ids."""
    schedules: dict[str, ScheduleRecord] = field(default_factory=dict)
    post: Post = field(default_factory=Post)
    paths: dict[str, None] = field(default_factory=dict)
    """Tasks that hold paths of the workdir."""
    needed_by: dict[str, set[str]] = field(default_factory=dict)
    """Open task to the blocked ones that need it."""
    merges: list[str] = field(default_factory=list)
    """Tasks whose merges are under way."""
    halted: str | None = None
    halt_id: str = ""
    acts: dict[str, float] = field(default_factory=dict)
    """Ids of people's acts that were carried out, each with the wall time until when it is remembered."""
    acts_looked: float = 0.0
    last_retained: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Topic of an order that stands (halt, a scale) to the id of the last one and the newest time of any. Wall time."""
    hosts: dict[str, float] = field(default_factory=dict)
    """Host to the time of its newest word, by its own clock."""
    ended: deque[str] = field(default_factory=deque)
    """Ended jobs that are still in `jobs`, oldest first."""
    unserved: dict[str, float] = field(default_factory=dict)
    """Task type to since when nobody live does it; the alert was said when the value is infinite."""
    last_now: float = 0.0
    clock_gap: float = 0.0
    """wall - now at the last look: a jump of it means that a clock was set."""
    targets: "dict[str, ScaleTarget]" = field(default_factory=dict)
    crashlooping: set[str] = field(default_factory=set)
    """Agents that crash-loop, as their supervisors say."""
    panes: dict[str, int] = field(default_factory=dict)
    """Agent to the pid that its supervisor named last."""
    exits: dict[str, bool] = field(default_factory=dict)
    """Incarnation to whether it ended by a fault of its own, for those that ended lately."""

    def is_over(self, task_id: str) -> bool:
        """Return whether nothing more can happen to the task by itself."""
        job = self.jobs.get(task_id)
        return job is None or job.ended


class ScaleTarget(Struct, kw_only=True):
    """The number of agents that a role should have, as it was said last. Monotonic times."""

    desired: int
    looked: float
    lowered: float
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    pinned: bool = False
    """An operator named the number: leave it."""


class Moment(Struct, frozen=True):
    """The moment of an event: monotonic and wall seconds, and where chance comes from (uniform in [0, 1))."""

    now: float
    wall: float
    random: Callable[[], float]


class Tick(Struct, frozen=True):
    """Time has passed: about once a second."""


class Revoked(Struct, frozen=True):
    """The keys of these hosts count no more: nothing more will be heard of their agents."""

    hosts: frozenset[str]


class LinkDown(Struct, frozen=True):
    """The dispatcher lost its broker."""


class LinkUp(Struct, frozen=True):
    """The dispatcher has its broker (again)."""


class Save(Struct, frozen=True):
    """Write the job as it is now. A `lazy` one may wait for the next write that cannot; a `soon` one for others that
    are, and what is patient waits with it."""

    task_id: str
    lazy: bool = False
    soon: bool = False


class SaveRun(Struct, frozen=True):
    """Write the run as it is now, with the tasks that were decided with it."""

    run_id: str


class SaveSchedule(Struct, frozen=True):
    """Write the schedule's record as it is now, with what it began."""

    name: str


class SaveMail(Struct, frozen=True):
    """Write the message's record as it is now; a `lazy` one may wait for the next write that cannot."""

    message_id: str
    lazy: bool = False


class SaveMerges(Struct, frozen=True):
    """Write down which tasks' merges are under way."""


class Say(Struct, frozen=True):
    """Publish. A `durable` one is journaled with what it tells of, and sent until the broker has it."""

    kind: Kind
    body: Body | None
    """None clears what the topic retains."""
    key: str = ""
    durable: bool = False
    task_id: str = ""
    attempt: int = 0
    patient: bool = False
    """Nobody waits for it: it may be said a moment after the rest, together with others."""


class Note(Struct, frozen=True):
    """A line for the dispatcher's own log."""

    line: str


class Refuse(Struct, frozen=True):
    """Count, and show, what was heard and counts for nothing: on which topic, who said it, and why."""

    topic: str
    who: str
    why: str


Action = Save | SaveRun | SaveSchedule | SaveMerges | SaveMail | Say | Note | Refuse
