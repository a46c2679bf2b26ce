"""Numbers of agents of a role that a person has just asked for, as long as that is the best that is known."""

from msgspec import Struct

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import AgentState

STAYS = 15.0
"""Seconds after which a wish that nobody answered counts no more: what runs is what counts then."""
_GONE = frozenset({AgentState.STOPPED, AgentState.OFFLINE})


class PendingScale(Struct, frozen=True):
    """So many, asked for then."""

    count: int
    at: float


class PendingScales:
    """Told of each wish; a key pressed twice at once counts on from the first."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._requests: dict[str, PendingScale] = {}

    def runs(self, role: str) -> int:
        """Count the agents of the role that are there, or are kept there."""
        return sum(1 for agent in self._fleet.agents.values() if agent.role == role and agent.state not in _GONE)

    def now(self, role: str, now: float, by: int) -> int:
        """Return the number that one more or one less is counted from.

        The swarm's own count counts only for one more: it may be older than what a person asked for since, and one less
        than that could be more than what runs.
        """
        known, request = self._fleet.scale.get(role), self._requests.get(role)
        if request is not None and now - request.at < STAYS and (known is None or known.since < request.at):
            return request.count
        return max(self.runs(role), known.desired if known is not None and by > 0 else 0)

    def set(self, role: str, count: int, now: float) -> None:
        """Note that a person asked for so many."""
        self._requests[role] = PendingScale(count, now)
