"""The dispatcher's settings, as the layout gives them."""

from msgspec import Struct

from swarm_tui.domain.states import CANCEL_WITHIN
from swarm_tui.domain.usage import Budget
from swarm_tui.domain.workflows.schedule import Schedule
from swarm_tui.protocol.names import ROLE_TYPES


class TypePolicy(Struct, frozen=True, kw_only=True):
    """A task type's rule, as the layout gives it. `timeout` in seconds."""

    roles: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    timeout: float = 900.0
    max_attempts: int = 3
    idempotent: bool = True
    approve: bool = False
    keyless: tuple[str, ...] = ()
    """Agents of another dialect that may do it though a person had to approve it."""


class DispatchSettings(Struct, frozen=True, kw_only=True):
    """Settings that stand while a dispatcher leads. Times are seconds."""

    proved: bool = False
    """Orders are proved here: what proves nothing (an empty retained message) decides nothing."""

    rules: dict[str, TypePolicy] = {}
    approve: tuple[str, ...] = ()
    """Patterns of types that need a person, for the types of which only an agent speaks."""
    scale: dict[str, tuple[int, int]] = {}
    """Role to (min, max) agents."""
    schedules: tuple[Schedule, ...] = ()
    lease: float = 30.0
    """A task that was given away is not given to another for so long after the last sign of it."""
    approvers: int = 1
    """Persons who must approve a task of them, told apart by identity."""
    approve_within: float = 3600.0
    ask_within: float = 600.0
    merge_checks: tuple[str, ...] | None = None
    """Types of what is asked of a merge's result; None: of the usual ones those that somebody does."""
    budget: Budget | None = None
    costly: frozenset[str] = frozenset()
    """Types whose tasks cost money."""
    max_open: int = 100_000
    """Tasks that may be open at once."""
    retry_first: float = 5.0
    """The longest delay before the second attempt; it doubles with each."""
    retry_max: float = 600.0
    scale_every: float = 15.0
    scale_down_after: float = 300.0
    scale_down_every: float = 60.0
    suspect_after: float = 35.0
    """An agent silent for so long is given nothing."""
    cancel_wait: float = CANCEL_WITHIN
    agents: frozenset[str] = frozenset()
    """Agents that the layout names: mail may wait for one that was not heard of yet."""

    def has_role(self, name: str) -> bool:
        """Return whether the layout, or else swarm-tui itself, knows a role of that name."""
        return name in ROLE_TYPES or name in self.scale or any(name in rule.roles for rule in self.rules.values())
