"""The dispatcher's record of an agent."""

from msgspec import Struct


class AgentRecord(Struct, kw_only=True):
    """An agent as the dispatcher sees it. `seen` and `known_since` are monotonic."""

    agent_id: str
    role: str = "general"
    incarnation: str | None = None
    status: str = "offline"
    capacity: int = 1
    known_since: float = 0.0
    seen: float | None = None
    """Its last sign of life; None while all we have is what the broker retained."""
    incarnation_seen: float = 0.0
    """When the incarnation that is known last said itself that it lives, or was first heard of. Monotonic."""
    greeted: float = 0.0
    """When it last said that it is there after one of the two connections had begun anew. Monotonic."""
    used: int = 0
    """When it last got a task, as a count of offers."""
    pid: int | None = None
    started_at: float | None = None
    """When its process began, by its host's clock."""
    former: tuple[int | None, str | None] = (None, None)
    """Process and incarnation before this one: its supervisor's word may come after its successor's birth."""
    types: frozenset[str] = frozenset()
    """Types that it says it can do."""
    home: str = ""
    """The host whose key proves its words; empty for one without keys."""
    said_at: float = 0.0
    """The time of its newest proved status but for its end, by its own clock."""
    beat_at: float = 0.0
    """The time of its newest proved heartbeat, by its own clock."""
    beat_id: str = ""
    off_at: float = 0.0
    """The time of its newest heartbeat, by its own clock, while that clock is off; else 0."""
    off_times: int = 0
    """Heartbeats in a row that said so."""
    foreign: bool = False
    uptime: float = 0.0
    """Of a foreign agent: how long it had run when it last said so, seconds."""
    began: float | None = None
    """Of a foreign agent, by its own clock: when its process began at the latest, as far as it was heard."""
    claims: bool = False
    """Of a foreign agent: it says when it takes a task, so its silence on one means that it did not."""
