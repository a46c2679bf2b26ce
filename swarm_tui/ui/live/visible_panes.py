"""Panes that can be seen: which are on this host, and which of them show."""

from collections.abc import Callable

from swarm_tui.domain.views import AgentView
from swarm_tui.ui.desk.capabilities import ShowsPanes, capability
from swarm_tui.ui.desk.desk import Desk, HistoryReader

HISTORY = 5000
"""Lines that a pane of ours keeps of what scrolled away."""


SHOWN = 200
"""Lines of a recorded pane that are read to show its end."""
_PAST = "past:"
"""Begins the id of what stands for an agent's recorded pane."""


class VisiblePanes:
    """The panes of one desk. `later` calls a function on the screen's thread."""

    def __init__(self, desk: Desk, later: Callable[..., object]) -> None:
        self._desk = desk
        self._later = later
        self._watched: frozenset[str] = frozenset()
        self._size: tuple[int, int] | None = None

    def local_pane(self, agent: AgentView) -> str | None:
        """Return the agent's pane, where this host has it; of the past what stands for its record."""
        source = self._desk.source
        if self._desk.model.moment is not None:
            return None if agent.pane_id is None else _PAST + agent.agent_id
        if source.panes.why_not() is not None or agent.pane_id is None:
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
            return ["Nothing is kept of its pane of then"]
        reason = source.panes.why_not()
        if source.facts.printed:
            return ["This is a recording", f"{self._desk.registry.told('time')} shows what its panes printed, and when"]
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
        """Capture what shows, and nothing else, at the size at which it shows; `anew` also what has not changed.

        Who may only read, or wants none changed, changes no size.
        """
        front = self._desk.front
        shown = capability(front, ShowsPanes)
        wanted = frozenset[str]() if shown is None else shown.panes()
        keep = self._desk.read_only or not self._desk.config.panels.resize_panes
        size = None if shown is None or keep else shown.pane_size()
        if anew or (wanted, size) != (self._watched, self._size):
            past_too = anew or wanted != self._watched
            self._watched, self._size = wanted, size
            self._desk.source.panes.watch(frozenset(pane for pane in wanted if not pane.startswith(_PAST)), size)
            if past_too:
                self._show_past(wanted)

    def _show_past(self, wanted: frozenset[str]) -> None:
        """Get what these panes held at the moment that shows, off the screen's thread."""
        moment = self._desk.model.moment
        past = [pane for pane in wanted if pane.startswith(_PAST)]
        if moment is None or not past:
            return

        def read() -> dict[str, list[str]]:
            return {pane: self._lines_of(pane, SHOWN, moment.at) for pane in past}

        def show(panes: dict[str, list[str]]) -> None:
            screen = capability(self._desk.front, ShowsPanes)
            if screen is not None and self._desk.model.moment is moment:
                screen.captured(panes)

        self._desk.in_thread(read, show)

    def _lines_of(self, pane: str, lines: int, at: float) -> list[str]:
        return self._desk.source.pane_at(pane.removeprefix(_PAST), lines, at) or []

    def load_history(self, pane: HistoryReader) -> None:
        """Get all that the pane printed, off the screen's thread; the pane may show another agent when it comes."""
        pane_id = pane.pane_id
        if pane_id is None:
            return

        moment = self._desk.model.moment

        def read() -> list[str]:
            try:
                if moment is not None:
                    return self._lines_of(pane_id, HISTORY, moment.at)
                return self._desk.source.panes.history(pane_id, HISTORY)
            except Exception:
                self._later(pane.history, pane_id, [])
                raise

        self._desk.in_thread(read, lambda lines: pane.history(pane_id, lines))
