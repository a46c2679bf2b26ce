"""What is seen of panes: the part of the app that knows which are on this host and which of them show."""

from typing import TYPE_CHECKING

from swarm_tui.domain.views import AgentView
from swarm_tui.ui.widgets.pane import PaneView

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp

HISTORY = 5000
"""Lines that a pane of ours keeps of what scrolled away."""


class VisiblePanes:
    """Mixed into the app."""

    _watched: frozenset[str] = frozenset()

    def local_pane(self: "SwarmApp", agent: AgentView) -> str | None:  # type: ignore[misc]
        """The agent's pane, where this host has it."""
        if self.source.panes.why_not() is not None or agent.pane_id is None:
            return None
        return agent.pane_id if agent.host in (None, self.source.facts.host) else None

    def address_of(self: "SwarmApp", agent: AgentView) -> str | None:  # type: ignore[misc]
        """Where ssh reaches the other host that has the agent's pane."""
        host = self.model.fleet.hosts.get(agent.host or "")
        if host is None or agent.pane_id is None or agent.host == self.source.facts.host:
            return None
        return host.address

    def why_no_pane(self: "SwarmApp", agent: AgentView) -> list[str]:  # type: ignore[misc]
        """Why there is nothing to see of its pane."""
        reason = self.source.panes.why_not()
        if reason is not None:
            return ["No panes here", reason]
        if agent.pane_id is None:
            return [f"{agent.agent_id} has no pane", "it was not started by `swarm-tui up`, or it is down"]
        if agent.host not in (None, self.source.facts.host):
            if self.address_of(agent) is not None:
                return [f"It runs on {agent.host}", f"{self.registry.told('attach')} attaches over ssh"]
            return [f"It runs on {agent.host}", "whose layout gives no `address` for ssh: log in there and attach"]
        return ["The pane is empty"]

    def watch_panes(self: "SwarmApp", anew: bool = False) -> None:  # type: ignore[misc]
        """Capture what shows, and nothing else; `anew` also what has not changed."""
        wanted = self.front.panes() if self.front is not None else frozenset()
        if anew or wanted != self._watched:
            self._watched = wanted
            self.source.panes.watch(wanted)

    def load_history(self: "SwarmApp", pane: PaneView) -> None:  # type: ignore[misc]
        """Get all that the pane printed, off the screen's thread; the pane may show another agent when it comes."""
        pane_id = pane.pane_id
        if pane_id is None:
            return

        def read() -> list[str]:
            try:
                return self.source.panes.history(pane_id, HISTORY)
            except Exception:
                self.call_later(pane.history, pane_id, [])
                raise

        self.in_thread(read, lambda lines: pane.history(pane_id, lines))
