"""Views of a swarm, as the reducer keeps them and every reader shows them. Times: seconds since the epoch."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.protocol.envelope import Rejected
from swarm_tui.protocol.merge_bodies import MergeState
from swarm_tui.protocol.rows import Hop
from swarm_tui.protocol.topics import Kind


class AgentView(Struct, kw_only=True):
    """An agent. `memory_rss` bytes, `cpu` percent of a core, `last_seen` the last message of any kind."""

    agent_id: str
    role: str = "general"
    state: AgentState = AgentState.STARTING
    incarnation: str | None = None
    host: str | None = None
    pid: int | None = None
    pane_id: str | None = None
    version: str | None = None
    started_at: float | None = None
    first_seen: float = 0.0
    last_seen: float | None = None
    last_heartbeat: float | None = None
    beats: deque[float] = field(default_factory=lambda: deque(maxlen=32))
    """Arrival times of the last heartbeats, oldest first."""
    cpu: float | None = None
    cpu_trail: deque[float] = field(default_factory=lambda: deque(maxlen=32))
    memory_rss: int | None = None
    memory_trail: deque[float] = field(default_factory=lambda: deque(maxlen=32))
    capacity: int = 1
    active: int = 0
    task_id: str | None = None
    tasks: set[str] = field(default_factory=set)
    """Tasks it runs, as far as is known."""
    capabilities: list[str] = []
    restarts: int = 0
    next_start: float | None = None
    exit_status: int | None = None
    exit_signal: int | None = None
    reason: str = ""
    """Why it is in this state, when that is not plain: an exit, a disagreement of witnesses."""
    witness: str | None = None
    """`hung`, `foreign`, `stray` or `split`, where process, pane and bus disagree."""
    vanished: bool = False
    """We saw its connection end without a farewell, and it is not back."""
    trouble: str = ""
    """Why it cannot do its role's part, as it says itself, though it is there."""
    tail: list[str] = []
    ends: deque[str] = field(default_factory=lambda: deque(maxlen=16))
    """Ends of its incarnations, a sentence each, oldest first."""
    done: int = 0
    """Tasks that ran to their end, those too that came out badly."""
    badly: int = 0
    failed: int = 0

    @property
    def word(self) -> str:
        """Return its state in the word that people read."""
        return state_word(self.state, busy=bool(self.active or self.task_id or self.tasks))


def keeps_record(agents: Iterable[AgentView]) -> bool:
    """Return whether one of the agents is there to keep the record and answer for the past."""
    return any(agent.role == "monitoring" and agent.state is not AgentState.OFFLINE for agent in agents)


def state_word(state: str, *, busy: bool) -> str:
    """Return an agent's state in the word that people read: `drained` once one that drains has nothing in hand."""
    return "drained" if state == AgentState.DRAINING and not busy else str(state)


class TaskView(Struct, kw_only=True, gc=False):
    """A task. `duration` milliseconds of the last attempt.

    There may be ten thousand: what most do not have costs nothing, and the collector need not look at any.
    """

    task_id: str
    type: str = "?"
    state: TaskState = TaskState.QUEUED
    priority: str = "medium"
    attempt: int = 0
    agent_id: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    duration: float | None = None
    progress: float | None = None
    message: str = ""
    result: Any = None
    error: str | None = None
    reason: str = ""
    retry_at: float | None = None
    assigned_to: str | None = None
    max_attempts: int | None = None
    payload: dict[str, Any] = {}
    """As it came, like `result`: whoever shows one of its strings cleans it first."""
    cancel_requested_at: float | None = None
    """When it was asked to stop, while an agent has it; it takes `CANCEL_WITHIN` seconds from then at most."""
    runs_again: bool = False
    """True where the cancel was taken back: it runs again once it has stopped."""
    accepted: bool = False
    """`tasks/queued` was heard."""
    late: tuple[str, ...] = ()
    """Answers that came after they counted: kept, never applied."""
    payload_hash: str | None = None
    """Of one that awaits approval: what the approval must name."""
    errors: tuple[str, ...] = ()
    """The error of each attempt that ended in one, oldest first."""
    hops: list[Hop] = []
    usage: dict[str, Any] = {}
    """Of all attempts as far as they were heard; see `domain/usage.py`."""
    turn: int = 0
    session: str = ""
    merge: MergeState | None = None
    """The merge of its work, once somebody asked for one."""


class DispatcherView(Struct, kw_only=True):
    """The leader, as the retained `dispatcher` says it."""

    instance: str
    epoch: int
    online: bool
    agent_id: str | None = None
    since: float = 0.0


class HostEvent(Struct, frozen=True, kw_only=True):
    """Something that a supervisor did or saw, and why; `at` is seconds since the epoch by its clock."""

    at: float
    what: str
    agent_id: str
    reason: str


class LayoutView(Struct, kw_only=True, frozen=True):
    """A layout that a host runs, as its supervisor says: a mark of it, since when, by whom; entry to fact to text."""

    revision: str
    at: float
    by: str
    file: str
    entries: dict[str, dict[str, str]]


class HostView(Struct, kw_only=True):
    """A host, by its supervisor's word. `events` are its last few, the oldest first."""

    host: str
    online: bool
    seen: float
    session: str | None = None
    socket: str | None = None
    address: str | None = None
    pid: int | None = None
    version: str | None = None
    events: list[HostEvent] = []
    layout: LayoutView | None = None


class ScaleView(Struct, kw_only=True):
    """The number of agents of a role that are wished for, by whom, and why."""

    role: str
    desired: int
    reason: str = ""
    by: str = ""
    since: float = 0.0


class Counts(Struct, kw_only=True):
    """Counts of what came over the bus since the start. `kinds` counts good messages by their topic."""

    received: int = 0
    """All messages of the swarm, refused ones too."""
    refused: int = 0
    warned: int = 0
    """Good messages in which the reader had to mend something."""
    kinds: dict[Kind, int] = field(default_factory=dict)

    def add_unread(self, kind: Kind, count: int) -> None:
        """Count messages that nobody read, since later ones said all that they said."""
        self.received += count
        self.kinds[kind] = self.kinds.get(kind, 0) + count


class Changes(Struct, kw_only=True):
    """Marks of what a step of the reducer touched: ids of agents, tasks, runs and mail; whether the header moved."""

    agents: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    mails: set[str] = field(default_factory=set)
    header: bool = False
    refused: Rejected | None = None
    """The message itself, where it counts for nothing."""

    def add(self, other: "Changes") -> None:
        """Take the other's marks too: how a screen gathers many steps into one drawing."""
        self.agents |= other.agents
        self.tasks |= other.tasks
        self.runs |= other.runs
        self.mails |= other.mails
        self.header = self.header or other.header

    def __bool__(self) -> bool:
        return bool(self.header or self.agents or self.tasks or self.runs or self.mails)


class AlertView(Struct, kw_only=True):
    """An alert that stands; `seen` is when it was last said."""

    name: str
    severity: str
    message: str
    since: float
    agent_id: str | None = None
    task_id: str | None = None
    seen: float = 0.0
    by: str = ""
    """The identity that raised it, by proof."""
