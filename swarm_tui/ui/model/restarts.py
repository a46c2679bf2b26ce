"""Restarts as a person is told of them: those asked for, until each is back, and those after a death."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from swarm_tui.config.model import RestartPolicy
from swarm_tui.domain.problems import ended_badly
from swarm_tui.domain.states import LIVE
from swarm_tui.domain.views import AgentView

COMES_BACK = 15.0
"""Seconds in which a new process says that it is there."""


def restart_time(policy: RestartPolicy) -> float:
    """Return the seconds after which an agent that was started again is late: one at work has time to end first."""
    return policy.drain_wait + policy.term_wait + COMES_BACK


class AwaitedRestart(Struct, frozen=True):
    """The life that is to end, and when that was asked for."""

    incarnation: str | None
    asked: float


class AwaitedRestarts:
    """Told whom a person restarted, and then of every change and second. `told` gives the key of an act.

    `within`: seconds after which one that is not back is late.
    """

    def __init__(self, told: Callable[[str], str], within: float) -> None:
        self._within = within
        self._told = told
        self._awaited: dict[str, AwaitedRestart] = {}

    def expect(self, agents: Iterable[AgentView], now: float) -> None:
        """Expect these back: they were asked to start again."""
        self._awaited.update({agent.agent_id: AwaitedRestart(agent.incarnation, now) for agent in agents})

    def awaits(self, agent_id: str) -> bool:
        """Tell whether its end is what a person asked for."""
        return agent_id in self._awaited

    def update(self, agents: Mapping[str, AgentView], now: float) -> tuple[str, bool] | None:
        """Return a sentence about those that are back, or overdue (True); None when there is nothing to say."""
        back = [name for name, was in self._awaited.items() if _is_back(agents.get(name), was)]
        late = [name for name, was in self._awaited.items() if name not in back and now - was.asked > self._within]
        took = max((now - self._awaited[name].asked for name in back), default=0.0)
        for name in (*back, *late):
            del self._awaited[name]
        if late:
            return f"{_names(late)} not back after {self._within:.0f} s: {self._told('logs')} shows the log", True
        return (f"{_names(back)} back with a new process, {took:.1f} s after it was asked for", False) if back else None


def _is_back(agent: AgentView | None, was: AwaitedRestart) -> bool:
    return agent is not None and agent.state in LIVE and agent.incarnation not in (None, was.incarnation)


def _names(names: list[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{len(names)} agents are"


class UnwantedExits:
    """Told which agents changed; says who was started again after an end that nobody wanted.

    `told` gives the key of an act.
    """

    def __init__(self, told: Callable[[str], str]) -> None:
        self._told = told
        self._restarts: dict[str, int] = {}

    def update(
        self, touched: Iterable[str], agents: Mapping[str, AgentView], wanted: Callable[[str], bool]
    ) -> str | None:
        """Return a sentence about those who died since the last call, or None. `wanted`: a person asked for its end."""
        died = []
        for agent_id in sorted(touched):
            agent = agents.get(agent_id)
            if agent is None or agent.pid is None:
                continue
            before = self._restarts.get(agent_id)
            self._restarts[agent_id] = agent.restarts
            if before is not None and agent.restarts > before and not wanted(agent_id) and (how := ended_badly(agent)):
                died.append(f"{agent_id} {how}")
        if not died:
            return None
        more = f", and {len(died) - 2} more" if len(died) > 2 else ""
        return f"{', '.join(died[:2])}{more}: started again; {self._told('logs')} shows the log"
