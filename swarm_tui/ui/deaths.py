"""An agent that died and is back looks like one that never died: it is told once, when it happens."""

from collections.abc import Callable, Iterable, Mapping

from swarm_tui.domain.problems import ended_badly
from swarm_tui.domain.views import AgentView


class Deaths:
    """Told which agents changed; says who was started again after an end that nobody wanted.

    `told` gives the key of an act.
    """

    def __init__(self, told: Callable[[str], str]) -> None:
        self._told = told
        self._restarts: dict[str, int] = {}

    def hear(
        self, touched: Iterable[str], agents: Mapping[str, AgentView], wanted: Callable[[str], bool]
    ) -> str | None:
        """A sentence about those who died since the last call, or None. `wanted`: a person asked for its end."""
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
