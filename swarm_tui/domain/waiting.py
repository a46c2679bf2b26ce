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
    """Agents that say they do a type: those that are there and take tasks, with room or without, and the others."""

    free: list[str] = []
    busy: list[str] = []
    away: list[str] = []


class Rooms:
    """Finds who could do which type, and has room, at one moment of a fleet: looked at once, when first asked."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._doers: dict[str, Doers] | None = None
        self._silent = False

    def _found(self) -> dict[str, Doers]:
        if self._doers is None:
            self._doers = {}
            stand_ins: dict[str, Doers] = {}
            for agent in self._fleet.agents.values():
                # One that names no type, as a program of another make may, could do any.
                names_none = not agent.capabilities and agent.role not in SERVICES
                self._silent = self._silent or (names_none and agent.state in LIVE)
                for name in agent.capabilities:
                    own = name not in FALLBACK_TYPES.get(agent.role, ())
                    doers = (self._doers if own else stand_ins).setdefault(name, Doers())
                    _place(agent, doers).append(agent.agent_id)
            for name, doers in stand_ins.items():
                if name not in self._doers or not (self._doers[name].free or self._doers[name].busy):
                    self._doers[name] = doers
        return self._doers

    def why_waiting(self, task_type: str, wanted: str | None) -> str:
        """Return that all who could do such a task are busy; empty where one has room, or nobody is known."""
        doers = self._found().get(task_type)
        if doers is None:
            return ""
        if wanted:
            return all_busy([wanted], meant=True) if wanted in doers.busy else ""
        return all_busy(doers.busy, meant=False) if doers.busy and not doers.free and not self._silent else ""

    def doubt(self, task_type: str, wanted: str) -> str:
        """Return why nobody would do such a task that is sent now; empty where somebody is there who does."""
        found, agents = self._found(), self._fleet.agents
        doers = found.get(task_type)
        if not agents:
            return ""
        if wanted:
            if wanted not in agents:
                return f"no agent {wanted} is known here"
            if agents[wanted].capabilities and task_type not in agents[wanted].capabilities:
                return f"{wanted} does no {task_type}"
            return "" if agents[wanted].state in LIVE else f"{wanted} is away"
        if self._silent or (doers is not None and (doers.free or doers.busy)):
            return ""
        return f"no known agent does {task_type}" if doers is None else away(doers.away)


def _place(agent: AgentView, doers: Doers) -> list[str]:
    """Return the list that the agent belongs to."""
    if agent.state not in LIVE or agent.state is AgentState.DRAINING:
        return doers.away
    return doers.busy if max(agent.active, len(agent.tasks)) >= agent.capacity else doers.free
