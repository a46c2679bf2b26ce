"""Ways between the screen and the world: messages in, acts out, rows of the past, panes."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from swarm_tui.bus.port import Link
from swarm_tui.config.model import RestartPolicy
from swarm_tui.domain.fleet import Fleet
from swarm_tui.protocol.bodies import Body, Reply, Task
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.here import Here
from swarm_tui.ui.model.restarts import restart_time
from swarm_tui.worktrees.change import Change


class Unread(Struct, frozen=True):
    """Messages of a kind that were counted and not read: later ones said all that they said."""

    kind: Kind
    count: int


#: A page that is to be on top first: of all swarms, or over all shards of the swarm; empty for none.
Choice = Literal["", "swarms", "shards"]
Item = Event | Rejected | Link | Unread
MOST = 1_000
"""Items of one `take`: folding them in blocks the screen for 50 ms at most."""


class Arrived(Protocol):
    """Hears that something came, and whether it is to be drawn at once."""

    def __call__(self, urgent: bool = False) -> None: ...


class Sent(Protocol):
    """A task on its way; `stage` is `pending` (the broker has not got it), `sent`, `queued`, `assigned`, `rejected` or
    `gave-up`.
    """

    @property
    def stage(self) -> str: ...
    @property
    def reason(self) -> str: ...


class TaskType(Struct, frozen=True, kw_only=True):
    """A task type as the publish form knows it; `schema` is the JSON Schema of its payload."""

    name: str
    summary: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    timeout: float | None = None
    roles: list[str] = []
    approve: bool = False


class Facts(Struct, frozen=True, kw_only=True):
    """Facts that stay the same while the screen is open."""

    swarm: str
    broker: str
    """The broker's URL without its password; of a recording what it is called."""
    recorded: tuple[float, float] | None = None
    """When a recording begins and ends, in seconds since the epoch."""
    recording: bool = False
    """True where this is no swarm that runs, but what was written down of one."""
    printed: bool = False
    """True where the recording has what panes printed, which shows back in time."""
    embedded: bool = False
    guard: str = ""
    """Words of how the swarm is guarded; empty where that is not known."""
    no_orders: str = ""
    """Why nobody here may order the swarm: its keys are no person's. Empty where somebody may."""
    session: str | None = None
    host: str = ""
    user: str = ""
    types: list[TaskType] = []
    layout: str | None = None
    shards: int = 0
    """Shards that the whole has which it is one of, as its layout says; 0 where it is none, or that is not known."""
    drain_wait: float | None = RestartPolicy().drain_wait
    """Seconds that the layout gives an agent to finish before it is stopped; None where its layout is not known."""
    restart_within: float = restart_time(RestartPolicy())
    """Seconds after which an agent that was started again is late."""


class Neighbour(Struct, kw_only=True):
    """Another swarm, as far as it is known; `here` tells that it was brought up on this host."""

    swarm: str
    broker: str
    here: bool
    fleet: Fleet


class Neighbours(Protocol):
    """The swarms beside the one that shows. `find`, `ask`, `count` and `close` block: call them off the screen."""

    untold: int
    """Number of swarms that are known and not heard."""

    def names(self) -> list[str]:
        """Return the names that are known now."""
        ...

    def find(self, name: str) -> bool:
        """Tell whether there is such a swarm, here or on the broker."""
        ...

    def open(self, whole: str = "") -> None:
        """Begin to hear them; of those that are shards of `whole`, where that is named, and no others."""
        ...

    def look(self) -> list[Neighbour]:
        """Return what is known of each, by name."""
        ...

    def unasked(self) -> list[str]:
        """Return those whose dispatcher can be asked for its tasks and was not."""
        ...

    def ask(self, name: str) -> list[TaskRow]:
        """Ask one's dispatcher for its tasks."""
        ...

    def count(self, name: str) -> dict[str, int] | None:
        """Ask one's dispatcher how many of its tasks are in each state; None where it does not answer."""
        ...

    def load(self, name: str, rows: list[TaskRow]) -> None:
        """Merge the tasks of one."""
        ...

    def close(self) -> None:
        """Hear nothing more."""
        ...


class Panes(Protocol):
    """The panes of this host's tmux."""

    def watch(self, panes: frozenset[str], size: tuple[int, int] | None = None) -> None:
        """Capture these when they change, and no others; they show in so many columns and lines, where that is said."""
        ...

    def changed(self) -> Mapping[str, list[str]]:
        """Return each watched pane that changed since the last call, as lines with their SGR codes."""
        ...

    def history(self, pane_id: str, lines: int) -> list[str]:
        """Return the pane with `lines` of its history; blocks."""
        ...

    def attach(self, pane_id: str) -> int:
        """Turn this terminal into the pane until the person detaches; the exit code. Raises OSError, TmuxError."""
        ...

    def attach_far(self, address: str, swarm: str, agent_id: str) -> str | None:
        """Return the same on another host, over ssh; why it failed, as a sentence. Raises OSError, ValueError."""
        ...

    def why_not(self) -> str | None:
        """Return why there are no panes, as a sentence; None when there are."""
        ...


class Source(Protocol):
    """The swarm, as the screen sees it. `query`, `output`, `log`, `Panes.history` block: call them off the screen."""

    facts: Facts
    panes: Panes
    neighbours: Neighbours | None
    """The other swarms; None of a recording."""

    def start(self) -> None: ...
    def close(self) -> None: ...
    def on_arrival(self, call: Arrived) -> bool:
        """Have it called, on whatever thread, when something comes or a pane changed; False where that is not told.

        A heartbeat need not be told of: all that came is taken each second.
        """
        ...

    def take(self) -> list[Item]:
        """Return what came since the last call, in order, and no more of it than `MOST`."""
        ...

    def waiting(self) -> bool:
        """Tell whether `take` has left some."""
        ...

    def look_here(self) -> Here:
        """Return what this host tells; asked once a second, so it reads no more than a file's time when all is well."""
        ...

    def act(self, kind: Kind, body: Body, key: str = "") -> None:
        """Say a command."""
        ...

    def clear(self, kind: Kind, key: str = "") -> None:
        """Clear what a command retains."""
        ...

    def submit(self, task: Task, on_change: Callable[[], None]) -> Sent:
        """Publish a task until it is accepted; `on_change` is called on another thread."""
        ...

    def query(self, query: str, args: dict[str, Any]) -> Reply | None:
        """Ask for what is past; None when nobody answers."""
        ...

    def output(self, task_id: str, lines: int, hosts: int) -> list[str]:
        """Return the last lines of what the task's last attempt printed, kept here or on so many other hosts."""
        ...

    def change(self, task_id: str, hosts: int) -> Change | None:
        """Return what the task changed in its worktree, which is here or on one of so many other hosts; None: nowhere.

        Raises GitError, BusError.
        """
        ...

    def pane_at(self, agent_id: str, lines: int, at: float) -> list[str] | None:
        """Return the last lines of the agent's pane as of then, with their SGR codes; None when they are not known."""
        ...

    def log(self, agent_id: str, lines: int) -> list[str] | None:
        """Return the agent's last log lines; None when they are not on this host."""
        ...
