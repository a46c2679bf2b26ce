"""Panes that can be seen: which are on this host, and which of them show."""

from collections.abc import Callable

from swarm_tui.domain.views import AgentView
from swarm_tui.ui.desk.capabilities import ShowsPanes, capability
from swarm_tui.ui.desk.desk import Desk, HistoryReader

HISTORY = 5000
"""Lines that a pane of ours keeps of what scrolled away."""


class VisiblePanes:
    """The panes of one desk. `later` calls a function on the screen's thread."""

    def __init__(self, desk: Desk, later: Callable[..., object]) -> None:
        self._desk = desk
        self._later = later
        self._watched: frozenset[str] = frozenset()

    def local_pane(self, agent: AgentView) -> str | None:
        """Return the agent's pane, where this host has it."""
        source = self._desk.source
        if source.panes.why_not() is not None or agent.pane_id is None or self._desk.model.moment is not None:
            return None
        return agent.pane_id if agent.host in (None, source.facts.host) else None

    def address_of(self, agent: AgentView) -> str | None:
        """Return where ssh reaches the other host that has the agent's pane."""
        host = self._desk.model.fleet.hosts.get(agent.host or "")
        if (
            host is None
            or self._desk.model.moment is not None
            or agent.pane_id is None
            or agent.host == self._desk.source.facts.host
        ):
            return None
        return host.address

    def why_no_pane(self, agent: AgentView) -> list[str]:
        """Return why there is nothing to see of its pane, in lines."""
        source = self._desk.source
        if self._desk.model.moment is not None:
            return ["Panes are not recorded", f"{self._desk.registry.told('now')} shows what is in it now"]
        reason = source.panes.why_not()
        if reason is not None:
            return ["No panes here", reason]
        if agent.pane_id is None:
            return [f"{agent.agent_id} has no pane", "it was not started by `swarm-tui up`, or it is down"]
        if agent.host not in (None, source.facts.host):
            if self.address_of(agent) is not None:
                return [f"It runs on {agent.host}", f"{self._desk.registry.told('attach')} attaches over ssh"]
            return [f"It runs on {agent.host}", "whose layout gives no `address` for ssh: log in there and attach"]
        return ["The pane is empty"]

    def watch(self, anew: bool = False) -> None:
        """Capture what shows, and nothing else; `anew` also what has not changed."""
        front = self._desk.front
        shown = capability(front, ShowsPanes)
        wanted = frozenset[str]() if shown is None else shown.panes()
        if anew or wanted != self._watched:
            self._watched = wanted
            self._desk.source.panes.watch(wanted)

    def load_history(self, pane: HistoryReader) -> None:
        """Get all that the pane printed, off the screen's thread; the pane may show another agent when it comes."""
        pane_id = pane.pane_id
        if pane_id is None:
            return

        def read() -> list[str]:
            try:
                return self._desk.source.panes.history(pane_id, HISTORY)
            except Exception:
                self._later(pane.history, pane_id, [])
                raise

        self._desk.in_thread(read, lambda lines: pane.history(pane_id, lines))
