"""The main screen: agents, tasks, stream and pane, arranged for the room there is."""

from collections.abc import Set
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize

from swarm_tui.protocol.envelope import Event
from swarm_tui.ui import look as looks
from swarm_tui.ui.lines import Lines
from swarm_tui.ui.model import Delta
from swarm_tui.ui.screens.arrangement import PANELS, Arrangement
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.agents import AgentTable
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.header import Header, TroubleStrip
from swarm_tui.ui.widgets.pane import PaneView
from swarm_tui.ui.widgets.prompt import Prompt
from swarm_tui.ui.widgets.streamlist import StreamList
from swarm_tui.ui.widgets.table import Table
from swarm_tui.ui.widgets.tasks import TaskTable

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


class MainScreen(SwarmScreen):
    """Four panels. Narrow: stacked, stream and pane sharing the last place. Wide: two columns."""

    CSS = """
    MainScreen { layers: below above; }
    #body { layout: vertical; height: 1fr; }
    #left { layout: vertical; height: 1fr; width: 1fr; }
    #right { layout: horizontal; height: 10; width: 1fr; }
    #body.wide { layout: horizontal; }
    #body.wide #left { width: 11fr; }
    #body.wide #right { layout: vertical; height: 1fr; width: 9fr; margin-left: 1; }
    #body.medium #pane { margin-left: 1; }
    #body.wide #pane { height: 2fr; }
    """

    def __init__(self, app: "SwarmApp") -> None:
        super().__init__(app)
        self.arranged = Arrangement(self, app.config.panels.show, app.state.sizes)
        self._wrong: dict[str, Set[str]] = {}

    def compose(self) -> ComposeResult:
        app = self.swarm_app
        yield Header(self.model, app.source.facts, read_only=app.read_only, id="header")
        yield TroubleStrip(id="trouble")
        with Container(id="body"):
            with Container(id="left"):
                yield AgentTable(self.model, id="agents")
                yield TaskTable(self.model, id="tasks")
            with Container(id="right"):
                yield StreamList(self.model, id="stream")
                yield PaneView(id="pane")
        yield Prompt()
        yield Footer(id="footer")

    def on_mount(self) -> None:
        self.agents, self.tasks = self.query_one(AgentTable), self.query_one(TaskTable)
        self.stream, self.pane = self.query_one(StreamList), self.query_one(PaneView)
        self.trouble = self.query_one(TroubleStrip)
        self.tasks.tab = self.swarm_app.state.tab
        self.agents.pattern = self.swarm_app.state.filters.get("agents", "")
        self.tasks.pattern = self.swarm_app.state.filters.get("tasks", "")
        self.model.stream.filter(self.swarm_app.state.filters.get("stream", ""))
        self.trouble.show(self.model.problems())
        self.agents.refill()
        self.tasks.refill()
        self._follow_pane()
        self.set_focus(self.query_one(f"#{self.arranged.panels[0]}"))

    # Arrangement.

    def on_resize(self, event: Resize) -> None:
        self.fit_panels()

    def fit_panels(self) -> None:
        """Give each panel its place and size."""
        self.arranged.fit(self.panel)

    def resize_panel(self, by: int) -> None:
        """Make the panel with the focus larger or smaller."""
        self.arranged.resize(self.panel, by)
        self.swarm_app.state.sizes = dict(self.arranged.sizes)
        self.fit_panels()

    def zoom(self) -> None:
        """Give the panel all the room, or give it back."""
        self.arranged.zoomed = not self.arranged.zoomed
        self.fit_panels()

    # What is at hand.

    @property
    def panel(self) -> str:
        """The panel with the focus."""
        focused = self.focused
        return focused.id if focused is not None and focused.id in PANELS else self.arranged.panels[0]

    @property
    def scope(self) -> str:
        return self.panel

    @property
    def lines(self) -> Lines | None:
        return self.query_one(f"#{self.panel}", Lines)

    def agent_ids(self) -> list[str]:
        if self.panel == "pane":
            return [self.pane.agent_id] if self.pane.agent_id else []
        if self.panel == "tasks":
            task = self.model.task(self.tasks.current())
            return [task.agent_id] if task and task.agent_id else []
        return self.agents.targets()

    def task_ids(self) -> list[str]:
        return self.tasks.targets() if self.panel == "tasks" else []

    def panes(self) -> frozenset[str]:
        return frozenset({self.pane.pane_id}) if self.pane.pane_id and self.pane.display else frozenset()

    def turn_panel(self, by: int) -> None:
        """Focus the next panel."""
        panels = self.arranged.panels
        self.focus_panel(panels[(panels.index(self.panel) + by) % len(panels)])

    def focus_panel(self, name: str) -> None:
        """Focus this panel, and make it show."""
        self.arranged.open(name)
        widget = self.query_one(f"#{name}")
        widget.display = True
        self.query_one("#left" if name in ("agents", "tasks") else "#right").display = True
        self.set_focus(widget)
        self.fit_panels()
        self.swarm_app.watch_panes()

    def on_descendant_focus(self) -> None:
        self.fit_panels()
        super().on_descendant_focus()

    def go_agent(self, number: int) -> None:
        if number <= len(self.agents.rows):
            self.agents.go(number - 1)
            if self.panel not in ("agents", "pane"):
                self.focus_panel("agents")

    # Changes.

    def take(self, delta: Delta, now: float) -> None:
        if delta.agents:
            before = len(self.agents.rows)
            self.agents.apply(delta.agents, now)
            self._follow_pane()
            if len(self.agents.rows) != before:
                self.fit_panels()
        if delta.tasks:
            self.tasks.apply(delta.tasks, now)
            if not delta.agents:
                self.agents.redraw_lines(range(self.agents.top, self.agents.top + self.agents.room))
        if delta.stream or self.model.stream.paused:
            self.stream.extend()
        if delta.header:
            self._header(now)
            self.renew_footer()

    def _header(self, now: float) -> None:
        self.query_one(Header).renew()
        shown = self.trouble.display
        self.trouble.show(self.model.problems())
        if self.trouble.display != shown:
            self.fit_panels()
        for table in (self.agents, self.tasks):
            if table.problems and self._wrong.get(table.NOUN) != (wrong := self.model.wrong(table.NOUN)):
                self._wrong[table.NOUN] = wrong
                table.refill()

    def tick(self, now: float) -> None:
        if not self.is_mounted:
            return
        self._header(now)
        self.agents.tick()
        self.tasks.tick()

    def all_changed(self) -> None:
        """The link came or went, or the past was loaded: draw everything anew."""
        if not self.is_mounted:
            return
        self.agents.refill()
        self.tasks.refill()
        self.stream.extend()
        self.stream.redraw()
        self.pane.redraw()
        self._header(self.model.clock())
        self.fit_panels()

    def captured(self, panes: dict[str, list[str]]) -> None:
        if self.pane.pane_id in panes:
            self.pane.capture(panes[self.pane.pane_id])

    def on_lines_moved(self) -> None:
        self._follow_pane()
        super().on_lines_moved()

    def _follow_pane(self) -> None:
        agent = self.model.agent(self.agents.current())
        before = self.pane.pane_id
        if agent is None:
            self.pane.follow_agent(None, None, ("", "plain"), ["No agent selected"])
        else:
            glyph, style = looks.AGENT[agent.state]
            local = self.swarm_app.local_pane(agent)
            why = self.swarm_app.why_no_pane(agent)
            self.pane.follow_agent(agent.agent_id, local, (f"{glyph} {agent.state.value}", style), why)
        if self.pane.pane_id != before:
            self.swarm_app.watch_panes()

    # Acts.

    def open(self) -> None:
        if self.panel == "agents" and (agent := self.agents.current()):
            self.swarm_app.open_agent(agent)
        elif self.panel == "tasks" and (task := self.tasks.current()):
            self.swarm_app.open_task(task)
        elif self.panel == "stream" and (message := self.stream.current()) is not None:
            self.swarm_app.open_message(message)

    def back(self) -> None:
        """Undo what narrows the view, one thing at a time."""
        table = self.lines
        if any(self.model.marks.values()):
            self.unmark()
        elif self.arranged.zoomed:
            self.zoom()
        elif self.panel == "stream" and self.model.stream.pattern.text:
            self._filter_stream("")
        elif isinstance(table, Table) and table.pattern:
            self._filter_table(table, "")
        elif self.agents.problems:
            self.set_problems(False)
        elif self.panel == "tasks" and self.tasks.tab:
            self.turn_tab(-self.tasks.tab)
        elif isinstance(table, PaneView):
            table.needle = ""
            table.follow_end()
        else:
            self.focus_panel("agents")

    def set_problems(self, on: bool) -> None:
        """Only what is wrong, or everything."""
        self.agents.problems = self.tasks.problems = on
        self.model.stream.filter(problems=on)
        self.all_changed()

    def ask_filter(self) -> None:
        panel = self.lines
        if isinstance(panel, StreamList):
            old = self.model.stream.pattern.text
            self.ask("/", old, self._filter_stream, None, lambda: self._filter_stream(old))
        elif isinstance(panel, Table):
            old = panel.pattern
            self.ask(
                "/", old, lambda text: self._filter_table(panel, text), lambda text: self._filter_table(panel, text),
                lambda: self._filter_table(panel, old),
            )  # fmt: skip
        elif isinstance(panel, PaneView):
            self.swarm_app.load_history(panel)
            self.ask("find", panel.needle, lambda text: self._find(panel, text))

    def _find(self, pane: PaneView, text: str) -> None:
        if text and not pane.find(text):
            self.swarm_app.say(f"the pane has no {text!r}")

    def _filter_table(self, table: Table, text: str) -> None:  # type: ignore[type-arg]
        table.pattern = text
        self.swarm_app.state.filters[table.NOUN] = text
        table.refill()

    def _filter_stream(self, text: str) -> None:
        self.model.stream.filter(text)
        self.swarm_app.state.filters["stream"] = text
        self.stream.follow(True)
        self.stream.redraw()

    def turn_tab(self, by: int) -> None:
        """The next tab of the tasks."""
        self.tasks.turn(by)
        self.swarm_app.state.tab = self.tasks.tab

    def mark(self) -> None:
        """Mark the line, and go on."""
        table = self.lines
        if isinstance(table, Table) and (row := table.current()) is not None:
            self.model.marks[table.NOUN] ^= {row}
            table.redraw_line(table.cursor)
            table.move(1)
            self.renew_footer()

    def mark_all(self) -> None:
        """Mark all that show, or none."""
        table = self.lines
        if isinstance(table, Table):
            marks, ids = self.model.marks[table.NOUN], set(table.rows.ids())
            self.model.marks[table.NOUN] = set() if marks >= ids else ids
            table.redraw()

    def unmark(self) -> None:
        for marks in self.model.marks.values():
            marks.clear()
        self.agents.redraw()
        self.tasks.redraw()

    def follow(self) -> None:
        panel = self.lines
        if isinstance(panel, StreamList):
            panel.follow(not panel.tail)
        elif isinstance(panel, PaneView):
            panel.follow_end()

    def copy(self) -> None:
        panel = self.lines
        if isinstance(panel, Table) and panel.targets():
            self.swarm_app.copy("\n".join(panel.targets()))
        elif isinstance(panel, StreamList) and (message := panel.current()) is not None:
            self.swarm_app.copy(panel.text_of(message))
        elif isinstance(panel, PaneView):
            self.swarm_app.copy(panel.text())

    def selected_event(self) -> Event | None:
        """The message under the stream's cursor."""
        message = self.stream.current()
        return message if isinstance(message, Event) else None
