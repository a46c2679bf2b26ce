"""The four panels of the main screen: how they are composed and arranged, and what is at hand in them."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize

from swarm_tui.ui.desk.capabilities import HasAgents, HasTasks, ListsProblems, Numbered, Panelled, ShowsPanes, Zoomable
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.screens.arrangement import PANELS, Arrangement
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.agents import AgentTable
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.header import Header, ProblemStrip
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.pane import PaneView
from swarm_tui.ui.widgets.prompt import Prompt
from swarm_tui.ui.widgets.streamlist import StreamList
from swarm_tui.ui.widgets.tasks import TaskTable
from swarm_tui.ui.widgets.time_bar import TimeBar


class PanelScreen(SwarmScreen, HasAgents, ListsProblems, HasTasks, Numbered, Panelled, ShowsPanes, Zoomable):
    """Four panels, arranged for the screen's size."""

    CSS = """
    PanelScreen { layers: below above; }
    #body { layout: grid; height: 1fr; grid-gutter: 0 1; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.arranged = Arrangement(self, desk.config.panels.show, desk.state.sizes)
        self._panel = self.arranged.panels[0]
        self._panels: dict[str, Lines] = {}

    def compose(self) -> ComposeResult:
        desk = self.desk
        yield Header(self.model, desk.source.facts, desk.registry, read_only=desk.read_only, id="header")
        yield ProblemStrip(self.model, desk.registry.told, id="problem-strip")
        with Container(id="body"):
            yield AgentTable(self.model, id="agents")
            yield TaskTable(self.model, id="tasks")
            yield StreamList(self.model, id="stream")
            yield PaneView(id="pane")
        yield TimeBar(desk.time, desk.clock, desk.registry.told, id="time")
        yield Prompt()
        yield Footer(id="footer")

    def on_mount(self) -> None:
        self.agents, self.tasks = self.query_one(AgentTable), self.query_one(TaskTable)
        self.stream, self.pane = self.query_one(StreamList), self.query_one(PaneView)
        self.header, self._panels = self.query_one(Header), {name: self.query_one(f"#{name}", Lines) for name in PANELS}
        self.problem_strip, self.time_bar = self.query_one(ProblemStrip), self.query_one(TimeBar)
        self.tasks.tab = self.desk.state.tab
        self.agents.pattern = self.desk.state.filters.get("agents", "")
        self.tasks.pattern = self.desk.state.filters.get("tasks", "")
        for table in (self.agents, self.tasks):
            table.order.restore(self.desk.state.sorts.get(table.NOUN, ""))
            kept = self.desk.state.groups.get(table.NOUN, "")
            table.grouping = kept if kept in table.GROUPS else ""
        self.model.stream.filter(self.desk.state.filters.get("stream", ""))
        self.problem_strip.show()
        self.agents.refill()
        self.tasks.refill()
        self.follow_agent()
        self.set_focus(self.query_one(f"#{self.arranged.panels[0]}"))

    # Arrangement.

    def on_resize(self, event: Resize) -> None:
        self.fit_panels()

    def fit_panels(self) -> None:
        """Give each panel its place and size, and capture the pane if it has come into view."""
        self.arranged.fit(self.panel)
        self.desk.panes.watch()

    def resize_panel(self, by: int) -> None:
        """Make the panel with the focus larger or smaller; where it cannot be, nothing is kept of it."""
        sizes, rows = dict(self.arranged.sizes), self.arranged.rows
        self.arranged.resize(self.panel, by)
        self.fit_panels()
        if self.arranged.rows == rows:
            self.arranged.sizes = sizes
            self.desk.say(f"the panel cannot be {'larger' if by > 0 else 'smaller'} here", bad=True)
        self.desk.state.sizes = dict(self.arranged.sizes)

    def zoom(self) -> None:
        """Give the panel all the room, or give it back."""
        self.zoomed = self.arranged.zoomed = not self.arranged.zoomed
        self.fit_panels()

    # What is at hand.

    @property
    def panel(self) -> str:
        """Return the panel with the focus, or the one that had it where a line is typed now."""
        focused = self.focused
        if focused is not None and focused.id in PANELS:
            self._panel = focused.id
        return self._panel

    @property
    def scope(self) -> str:
        return self.panel

    @property
    def lines(self) -> Lines | None:
        return self._panels.get(self.panel)

    def agent_ids(self) -> list[str]:
        if self.panel == "pane":
            return [self.pane.agent_id] if self.pane.agent_id else []
        if self.panel == "tasks":
            task = self.model.task(self.tasks.current())
            return [task.agent_id] if task and task.agent_id else []
        return self.agents.targets()

    def selected_agent(self) -> str | None:
        return self.agents.current() if self.panel == "agents" else super().selected_agent()

    def task_ids(self) -> list[str]:
        return self.tasks.targets() if self.panel == "tasks" else []

    def panes(self) -> frozenset[str]:
        return frozenset({self.pane.pane_id}) if self.pane.pane_id and self.pane.display else frozenset()

    def pane_size(self) -> tuple[int, int] | None:
        return self.pane.room_for_text()

    def turn_panel(self, by: int) -> None:
        """Focus the next panel."""
        panels = self.arranged.panels
        if len(panels) == 1:
            self.desk.say("no other panel is open", bad=True)
        self.focus_panel(panels[(panels.index(self.panel) + by) % len(panels)])

    def focus_panel(self, name: str) -> None:
        """Focus this panel, and make it show."""
        self.arranged.open(name)
        widget = self.query_one(f"#{name}")
        widget.display = True
        self.set_focus(widget)
        self.fit_panels()

    def on_descendant_focus(self) -> None:
        self.fit_panels()

    def agents_listed(self) -> Sequence[str]:
        """Return the agents in the order of the agents panel: their numbers."""
        return self.agents.rows.ids()

    def numbered(self) -> int:
        return len(self.agents.rows)

    def captured(self, panes: dict[str, list[str]]) -> None:
        if self.pane.pane_id in panes:
            self.pane.capture(panes[self.pane.pane_id])

    def go_agent(self, number: int) -> None:
        if number <= len(self.agents.rows):
            self.agents.select(self.agents.rows[number - 1])
            if self.panel not in ("agents", "pane"):
                self.focus_panel("agents")

    def follow_agent(self) -> None:
        """Show the pane of the agent under the cursor."""
        agent = self.model.agent(self.agents.current())
        before = self.pane.pane_id
        if agent is None:
            why = ["No agent is in trouble, so none is selected"] if self.only_problems else ["No agent is selected"]
            self.pane.follow_agent(None, None, ("", "plain"), why)
        else:
            glyph, style = glyphs.AGENT[agent.state]
            local = self.desk.panes.local_pane(agent)
            why = self.desk.panes.why_no_pane(agent)
            self.pane.follow_agent(agent.agent_id, local, (f"{glyph} {agent.word}", style), why)
        if self.pane.pane_id != before:
            self.desk.panes.watch()

    def on_lines_moved(self, event: Lines.Moved) -> None:
        self.follow_agent()
