"""An agent's messages about itself: its presence, as birth, change, will and farewell say it."""

import time
import uuid

from msgspec import Struct

from swarm_tui import __version__
from swarm_tui.agent.own_process import pane_pid
from swarm_tui.config.home import host_name
from swarm_tui.config.model import RunSpec
from swarm_tui.protocol.bodies import Heartbeat, Register, Status
from swarm_tui.protocol.names import FALLBACK_TYPES, ROLE_TYPES, with_companions


class PresenceMessages(Struct, frozen=True, kw_only=True):
    """A life of one agent. `started_at` is seconds since the epoch."""

    agent_id: str
    role: str
    incarnation: str
    host: str
    pid: int
    started_at: float
    types: tuple[str, ...]
    capacity: int
    ephemeral: bool

    def status(self, word: str, active: int = 0, trouble: str = "") -> Status:
        """Return what is retained of the agent. `trouble`: why it cannot do its role's part, though it is there."""
        return Status(
            status=word,
            agent_id=self.agent_id,
            role=self.role,
            incarnation=self.incarnation,
            host=self.host,
            pid=self.pid,
            started_at=self.started_at,
            capabilities=list(self.types),
            capacity=self.capacity,
            active=active,
            version=__version__,
            trouble=trouble or None,
            ephemeral=self.ephemeral,
        )

    def register(self) -> Register:
        """Return what it says on each connect."""
        return Register(agent_id=self.agent_id, role=self.role, capabilities=list(self.types))

    def is_younger_than(self, other: Status) -> bool:
        """Return which of two with one id must go: the one that started later."""
        theirs = other.started_at or 0.0
        return (self.started_at, self.incarnation) > (theirs, other.incarnation or "")

    def beat(self, **vitals: object) -> Heartbeat:
        """Return a heartbeat of this life."""
        known = {"agent_id": self.agent_id, "incarnation": self.incarnation, "capacity": self.capacity}
        return Heartbeat(**{**known, **vitals})  # type: ignore[arg-type]


def types_of(spec: RunSpec) -> frozenset[str]:
    """Return what our runtime does: its role's types, and those its layout gives it.

    Round another program it only holds the presence, unless the layout gives it handlers of our dialect.
    """
    if spec.command is not None:
        return with_companions(spec.handlers) if spec.dialect == "swarm" else frozenset()
    return with_companions({*ROLE_TYPES.get(spec.role, ()), *spec.handlers})


def fallback_of(spec: RunSpec) -> frozenset[str]:
    """Return what it does while nobody else does."""
    return frozenset() if spec.command is not None else frozenset(FALLBACK_TYPES.get(spec.role, ()))


def identity_of(spec: RunSpec) -> PresenceMessages:
    """Return a new life for the agent of the spec."""
    return PresenceMessages(
        agent_id=spec.agent_id,
        role=spec.role,
        incarnation=uuid.uuid4().hex,
        host=spec.host or host_name(),
        pid=pane_pid(),
        started_at=round(time.time(), 3),
        types=tuple(sorted(types_of(spec))),
        capacity=spec.capacity,
        ephemeral=spec.ephemeral,
    )
