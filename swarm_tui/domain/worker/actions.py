"""Actions that a worker decides, as data: its shell carries them out in order."""

from typing import Literal

from msgspec import Struct

from swarm_tui.protocol.bodies import Body, Complete, Failed, JsonObject, Task
from swarm_tui.protocol.topics import Kind


class HeldLease(Struct, frozen=True, kw_only=True):
    """An attempt at a task that is this worker's. `epoch` is None for one that it claimed without a dispatcher."""

    task: Task
    attempt: int = 1
    epoch: int | None = None
    resume: JsonObject | None = None
    """Where an earlier attempt left off."""
    budget: float | None = None
    """US dollars that it may take."""
    granted: tuple[str, ...] = ()
    """Rules that people allowed for the rest of the task."""

    @property
    def task_id(self) -> str:
        """Return the task's id."""
        return self.task.task_id

    def names(self) -> dict[str, object]:
        """Return it as heartbeats name it."""
        named: dict[str, object] = {"task_id": self.task.task_id, "attempt": self.attempt}
        if self.epoch is not None:
            named["epoch"] = self.epoch
        return named


class Answer(Struct, frozen=True, kw_only=True):
    """A result that is owed to the dispatcher until it says `ack`."""

    kind: Kind
    body: Complete | Failed
    message_id: str

    @property
    def key(self) -> tuple[str, int]:
        """Return (task id, attempt)."""
        return self.body.task_id, self.body.attempt or 0

    def names(self) -> dict[str, object]:
        """Return it as heartbeats name it."""
        named: dict[str, object] = {"task_id": self.body.task_id, "attempt": self.body.attempt}
        if self.body.epoch is not None:
            named["epoch"] = self.body.epoch
        return named


class Say(Struct, frozen=True):
    """Publish `body`; a repeat carries the id of the first."""

    kind: Kind
    body: Body
    message_id: str | None = None


class SayStarted(Struct, frozen=True):
    """Publish that the work has begun, unless it ends within some milliseconds: then its answer says that too."""

    task_id: str


class Beat(Struct, frozen=True):
    """Publish a heartbeat now, acknowledged: someone asked what this agent holds."""


class Listen(Struct, frozen=True):
    """Subscribe to what is said of tasks: there is no dispatcher."""


class Ignore(Struct, frozen=True):
    """Listen to that no more: a dispatcher leads, and hearing all of it costs each agent more than its work."""


class Run(Struct, frozen=True):
    """Start the work; the record of it is already saved."""

    lease: HeldLease


class Stop(Struct, frozen=True):
    """End the work of a task: `cause` is the word its report carries."""

    task_id: str
    cause: str = "cancelled"


class Save(Struct, frozen=True, kw_only=True):
    """Append to the worker's journal, before the actions that follow."""

    what: Literal["offer", "answer", "done"]
    task_id: str
    attempt: int
    epoch: int | None = None
    answer: Answer | None = None


class Note(Struct, frozen=True):
    """Say it to whoever watches the pane."""

    text: str
    mark: str = "·"


Action = Say | SayStarted | Beat | Listen | Ignore | Run | Stop | Save | Note
