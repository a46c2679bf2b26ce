"""Agents that a person sent away: when each is back, or is not, is told."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from swarm_tui.domain.states import LIVE
from swarm_tui.domain.views import AgentView

PATIENCE = 45.0
"""Seconds after which it is said that an agent is not back: one at work may take half of that to end."""


class Awaited(Struct, frozen=True):
    """The life that is to end, and when that was asked for."""

    incarnation: str | None
    asked: float


class Returns:
    """Told whom a person restarted, and then of every change and second. `told` gives the key of an act."""

    def __init__(self, told: Callable[[str], str]) -> None:
        self._told = told
        self._awaited: dict[str, Awaited] = {}

    def expect(self, agents: Iterable[AgentView], now: float) -> None:
        """These were asked to start again."""
        self._awaited.update({agent.agent_id: Awaited(agent.incarnation, now) for agent in agents})

    def awaits(self, agent_id: str) -> bool:
        """Whether its end is what a person asked for."""
        return agent_id in self._awaited

    def hear(self, agents: Mapping[str, AgentView], now: float) -> tuple[str, bool] | None:
        """A sentence about those that are back, or overdue (True); None when there is nothing to say."""
        back = [name for name, was in self._awaited.items() if _is_back(agents.get(name), was)]
        late = [name for name, was in self._awaited.items() if name not in back and now - was.asked > PATIENCE]
        took = max((now - self._awaited[name].asked for name in back), default=0.0)
        for name in (*back, *late):
            del self._awaited[name]
        if late:
            return f"{_names(late)} not back after {PATIENCE:.0f} s: {self._told('logs')} shows the log", True
        return (f"{_names(back)} back with a new process, {took:.1f} s after it was asked for", False) if back else None


def _is_back(agent: AgentView | None, was: Awaited) -> bool:
    return agent is not None and agent.state in LIVE and agent.incarnation not in (None, was.incarnation)


def _names(names: list[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{len(names)} agents are"
