"""Words for why a task waits for an agent with room, and who that could be, as a fleet knows its agents."""

from collections.abc import Iterable

from msgspec import Struct

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import LIVE, AgentState
from swarm_tui.domain.views import AgentView
from swarm_tui.protocol.names import FALLBACK_TYPES

#: Agents that a reason names.
NAMED = 3
#: Roles that take no tasks.
SERVICES = frozenset({"task-manager"})


def named(agents: Iterable[str]) -> str:
    """Return some of the names, in order, with how many more there are."""
    names = sorted(agents)
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def all_busy(agents: list[str], *, meant: bool) -> str:
    """Return that none of those who do a task has room; `meant`: it is for one agent alone."""
    if meant:
        return f"{named(agents)}, for whom it is meant, is busy"
    return (
        f"{agents[0]}, who alone does it, is busy" if len(agents) == 1 else f"all who do it are busy: {named(agents)}"
    )


def away(agents: list[str]) -> str:
    """Return that those who do a task are not there."""
    one = len(agents) == 1
    return f"{named(agents)}, who {'does' if one else 'do'} it, {'is' if one else 'are'} away"


class Doers(Struct):
    """Agents that say they do a type: those that are there and take tasks, with room or without, and the others.

    `silent`: one is there that names no type, as a program of another make may: it could do any.
    """

    free: list[str] = []
    busy: list[str] = []
    away: list[str] = []
    silent: bool = False


class Rooms:
    """Finds who could do a type, and has room, at one moment of a fleet: looked at once for each type, when asked."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._known: dict[str, Doers] = {}

    def why_waiting(self, task_type: str, wanted: str | None) -> str:
        """Return that all who could do such a task are busy; empty where one has room, or nobody is known."""
        if wanted:
            agent = self._fleet.agents.get(wanted)
            return all_busy([wanted], meant=True) if agent is not None and _is_busy(agent, task_type) else ""
        doers = self._doers(task_type)
        return all_busy(doers.busy, meant=False) if doers.busy and not doers.free and not doers.silent else ""

    def doubt(self, task_type: str, wanted: str) -> str:
        """Return why nobody would do such a task that is sent now; empty where somebody is there who does."""
        agents = self._fleet.agents
        if not agents:
            return ""
        if wanted:
            if wanted not in agents:
                return f"no agent {wanted} is known here"
            if agents[wanted].capabilities and task_type not in agents[wanted].capabilities:
                return f"{wanted} does no {task_type}"
            return "" if agents[wanted].state in LIVE else f"{wanted} is away"
        doers = self._doers(task_type)
        if doers.free or doers.busy or doers.silent:
            return ""
        return away(doers.away) if doers.away else f"no known agent does {task_type}"

    def _doers(self, task_type: str) -> Doers:
        if task_type not in self._known:
            self._known[task_type] = self._look(task_type)
        return self._known[task_type]

    def _look(self, task_type: str) -> Doers:
        """Look for who does the type, no further than to the first with room, or that could do any."""
        own, stand_in = Doers(), Doers()
        for agent in self._fleet.agents.values():
            if task_type not in agent.capabilities:
                if not agent.capabilities and agent.state in LIVE and agent.role not in SERVICES:
                    return Doers(silent=True)
                continue
            doers = stand_in if task_type in FALLBACK_TYPES.get(agent.role, ()) else own
            if agent.state not in LIVE or agent.state is AgentState.DRAINING:
                doers.away.append(agent.agent_id)
            elif _is_full(agent):
                doers.busy.append(agent.agent_id)
            else:
                doers.free.append(agent.agent_id)
                if doers is own:
                    return own
        return own if own.busy or not (stand_in.free or stand_in.busy or stand_in.away) else stand_in


def _is_full(agent: AgentView) -> bool:
    return max(agent.active, len(agent.tasks)) >= agent.capacity


def _is_busy(agent: AgentView, task_type: str) -> bool:
    """Tell whether it is there, does the type, and has no room."""
    takes = agent.state in LIVE and agent.state is not AgentState.DRAINING
    return takes and task_type in agent.capabilities and _is_full(agent)
