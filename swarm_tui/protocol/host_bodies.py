"""Payloads by which supervisors tell of their hosts, and are ordered."""

from typing import Literal

from swarm_tui.protocol.base_body import Body, JsonObject
from swarm_tui.protocol.topics import Kind


class PaneStatus(Body, frozen=True, kw_only=True):
    """A pane of a host, as its supervisor sees it. `next_start` is seconds since the epoch; it waits until then."""

    agent_id: str
    role: str = "general"
    pid: int | None = None
    pane_id: str | None = None
    state: str = "running"
    restarts: int = 0
    next_start: float | None = None
    exit_status: int | None = None
    exit_signal: int | None = None
    incarnation: str | None = None
    reason: str = ""
    tail: list[str] = []  # The pane's last lines, of one that ended badly.
    witness: str | None = None  # `hung`, `foreign`, `stray` or `split`, where process, pane and bus disagree.


class LayoutRevision(Body, frozen=True, kw_only=True):
    """The layout that a host runs: a mark of all of it, who had it run `at`, and what each of its entries says.

    `entries` is entry to fact to text; of what may hold a secret the text is a mark too.
    """

    revision: str
    at: float = 0.0
    by: str = ""
    file: str = ""
    entries: dict[str, dict[str, str]] = {}


class HostStatus(Body, frozen=True, kw_only=True):
    """Body of hosts/<host>/status, retained, and its will. `events` are `{"at", "what", "agent_id", "reason"}`."""

    status: str = "online"
    panes: list[PaneStatus] = []
    session: str | None = None
    socket: str | None = None
    address: str | None = None
    pid: int | None = None
    version: str | None = None
    broker: str | None = None
    events: list[JsonObject] = []
    layout: LayoutRevision | None = None


class HostControl(Body, frozen=True, kw_only=True):
    """Body of hosts/<host>/control: an order to a host's supervisor."""

    command: Literal["start", "stop", "restart", "scale", "drain", "undrain", "kill", "forget"]
    agent_id: str | None = None
    agent_ids: list[str] = []
    """Instead of one: these, in a restart one after another."""
    role: str | None = None
    count: int | None = None
    when_idle: bool = False
    reason: str = ""


class Scale(Body, frozen=True, kw_only=True):
    """Body of roles/<role>/scale, retained: how many agents of the role are wanted."""

    desired: int
    reason: str = ""
    pinned: bool | None = None
    """Of one that the dispatcher says again: a person's number, which stands until that person takes it back."""


HOST_BODY: dict[Kind, type[Body]] = {
    Kind.HOST_STATUS: HostStatus,
    Kind.HOST_CONTROL: HostControl,
    Kind.SCALE: Scale,
}
