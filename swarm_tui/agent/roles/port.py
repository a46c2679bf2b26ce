"""A role's part in the agent it lives in: its service, and the link by which the service speaks."""

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

from swarm_tui.bus.port import Bus, Link, OnAck
from swarm_tui.config.model import RunSpec
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected

#: Each role with a service of its own, and the class that is it; imported when an agent of that role starts.
SERVICES: dict[str, str] = {
    "task-manager": "swarm_tui.agent.roles.task_manager.role:TaskManager",
    "monitoring": "swarm_tui.agent.roles.monitoring.role:Monitoring",
    "api-gateway": "swarm_tui.agent.roles.api_gateway.role:ApiGateway",
}


class RoleLink(Protocol):
    """The agent as its role sees it. All methods are thread-safe and return at once."""

    swarm: str
    bus: Bus
    """The agent's own connection (clean session): subscribe to what `on_event` is to hear."""
    writer: Writer
    """Speaks as the agent."""
    incarnation: str
    take_over: bool
    """A person said `--take-over`: use a journal that belongs to another host or broker."""

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Send, or keep in memory while the link is down."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def log(self, line: str) -> None:
        """A line on the agent's pane; outside text in it is cleaned."""
        ...

    def leave(self, reason: str, exit_code: int = 1) -> None:
        """The agent is to shut down in order, say why, and exit with this code."""
        ...


class RoleService(Protocol):
    """The part of an agent that only its role has. What it raises is printed on the pane and never kills the agent."""

    @property
    def complaint(self) -> str:
        """Why it cannot do its part now, and what to do, as a sentence for all to see; empty while it can."""
        ...

    def start(self) -> None:
        """Begin: the bus is set up but need not be connected yet. Called once, on the main thread.

        Raises BusError or OSError with a sentence when the agent cannot do its role at all.
        """
        ...

    def on_event(self, event: Event | Rejected) -> None:
        """Each message the agent's bus hears, on the bus's thread: return at once."""
        ...

    def on_link(self, link: Link) -> None:
        """The agent's connection came up or went down, on the bus's thread."""
        ...

    def tick(self, now: float) -> None:
        """About once a second, on a thread of the role's own; `now` is seconds since the epoch."""
        ...

    def close(self) -> None:
        """End in order, before the agent says that it leaves; at most a few seconds."""
        ...


ServiceFactory = Callable[[RunSpec, RoleLink], RoleService]


def service_for(role: str) -> ServiceFactory | None:
    """The class that serves `role`; None when its agents only work. Raises ImportError for a broken one."""
    where = SERVICES.get(role)
    if where is None:
        return None
    module, _, name = where.partition(":")
    return cast("ServiceFactory", getattr(import_module(module), name))
