"""The main screen: what its panels show as facts change, and what the keys do in them."""

from collections.abc import Callable, Set
from typing import NamedTuple

from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.capabilities import Copies, Follows, Markable, Opens, Searchable, Tabbed
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.screens.grouping import GroupedPanels
from swarm_tui.ui.widgets.pane import PaneView
from swarm_tui.ui.widgets.streamlist import StreamList
from swarm_tui.ui.widgets.table import Table
from swarm_tui.ui.widgets.tasks import TABS


class Narrowed(NamedTuple):
    """Filters that narrowed the view before only problems showed."""

    agents: str
    tasks: str
    stream: str
    tab: int


def _takes(action: Action, scope: str) -> bool:
    """Tell whether the act takes what is under the cursor."""
    return scope in action.scopes and (action.name == "open" or action.group in ("agents", "tasks"))


class MainScreen(GroupedPanels, Opens, Copies, Follows, Markable, Searchable, Tabbed):
    """Agents, tasks, stream and pane."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._wrong: dict[str, Set[str]] = {}
        self._before: Narrowed | None = None
        self._led = ("", "")
        """From which panel the problems were gone to, and to which."""

    # Changes.

    def take(self, delta: Delta, now: float) -> None:
        changed = ((self.agents, delta.agents), (self.tasks, delta.tasks))
        if delta.agents:
            before = len(self.agents.rows)
            self.agents.apply(delta.agents, now)
            self.follow_agent()
            if len(self.agents.rows) != before:
                self.fit_panels()
        if delta.tasks:
            self.tasks.apply(delta.tasks, now)
            self.agents.redraw_those_with(delta.tasks)
        if delta.stream or self.model.stream.paused:
            self.stream.extend()
        if delta.header:
            self._header(now)
            if any(ids & {table.current(), *self.model.marks[table.NOUN]} for table, ids in changed):
                self.renew_footer()

    def _header(self, now: float) -> None:
        self.header.renew()
        if self.problem_strip.show():
            self.fit_panels()
        for table in (self.agents, self.tasks):
            if table.problems and self._wrong.get(table.NOUN) != (wrong := self.model.wrong(table.NOUN)):
                self._wrong[table.NOUN] = wrong
                table.rechoose()

    def tick(self, now: float) -> None:
        if not self.is_mounted:
            return
        self._header(now)
        self.time_bar.renew()
        self.agents.tick()
        self.tasks.tick()
        self.stream.tick()

    def all_changed(self) -> None:
        """Draw everything anew: the link came or went, or the past was loaded."""
        if not self.is_mounted:
            return
        self.agents.refill()
        self.tasks.refill()
        self._redraw()

    def time_turned(self) -> None:
        """Draw everything anew: another moment shows."""
        if self.time_bar.show():
            self.fit_panels()
        self.all_changed()
        self.follow_agent()

    def _redraw(self) -> None:
        self.stream.extend()
        self.stream.redraw()
        self.pane.redraw()
        self._header(self.model.clock())
        self.fit_panels()

    # Acts.

    def press(self, action: Action) -> None:
        """Do the act; what it takes is chosen, and stays under the cursor. What only just came there is not taken."""
        table = self.agents if self.panel == "pane" else self.lines
        if isinstance(table, Table) and _takes(action, self.scope):
            slipped = table.row_cursor.slipped() and not self.model.marks[table.NOUN]
            row = table.here()
            table.row_cursor.choose(row)
            if slipped and row is not None and row == table.current():
                self.desk.notices.clear()
                told = self.desk.registry.told(action.name)
                self.desk.say(f"{told}: {row} came under the cursor just now; once more takes it", bad=True)
                return
        super().press(action)

    def open(self) -> None:
        if isinstance(table := self.lines, Table) and table.fold_here():
            self.fit_panels()
        elif self.panel == "agents" and (agent := self.agents.current()):
            self.desk.pages.open_agent(agent)
        elif self.panel == "tasks" and (task := self.tasks.current()):
            self.desk.pages.open_task(task)
        elif self.panel == "stream" and (message := self.stream.current()) is not None:
            self.desk.pages.open_message(message)

    def entering(self) -> str | None:
        return "fold" if isinstance(table := self.lines, Table) and table.on_head() else None

    def why_not_open(self) -> str | None:
        noun = {"agents": "agent", "tasks": "task", "stream": "message"}.get(self.panel, "page")
        return None if self.lines is not None and self.lines.count() else f"there is no {noun} here"

    def back(self) -> None:
        """Undo what narrows the view, one thing at a time; what hides marked rows before the marks."""
        table = self.lines
        shown = not self.hidden()
        if shown and any(self.model.marks.values()):
            self._unmark(self.agents, self.tasks)
        elif shown and self.arranged.zoomed:
            self.zoom()
        elif self.panel == "stream" and self.model.stream.pattern.text:
            self._filter_stream("")
        elif isinstance(table, Table) and table.pattern:
            self._filter_table(table, "")
        elif self.agents.problems:
            self.set_problems(False)
        elif self.panel == "tasks" and self.tasks.tab:
            self.turn_tab(-self.tasks.tab)
        elif isinstance(table, PaneView) and (table.needle or not table.tail):
            table.needle = ""
            table.follow_end()
        elif cleared := self._widen_others():
            self.desk.say(f"nothing narrowed this panel: {cleared} is cleared")
        elif self.desk.time.on:
            self.desk.say(f"nothing narrows the view; {self.desk.registry.told('now')} goes back to now")
        else:
            self.desk.say("nothing narrows the view: there is nothing to clear")

    def _widen_others(self) -> str:
        """Clear what narrows another panel, one thing at a time; what that was, empty where nothing does."""
        for table in (self.agents, self.tasks):
            if text := table.pattern:
                self._filter_table(table, "")
                return f"the filter /{text} of the {table.NOUN}"
        if self.tasks.tab:
            self.turn_tab(-self.tasks.tab)
            return "the tasks' state tab"
        if text := self.model.stream.pattern.text:
            self._filter_stream("")
            return f"the filter /{text} of the stream"
        return ""

    def set_problems(self, on: bool) -> None:
        """Show only what is wrong, and all of that whatever filters say; or everything, as narrowed as before."""
        now = Narrowed(self.agents.pattern, self.tasks.pattern, self.model.stream.pattern.text, self.tasks.tab)
        if on and not self.agents.problems:
            self._before, now = now, Narrowed("", "", "", 0)
        elif not on and self._before is not None:
            now = self._before
            self._before = None
            self._keep(now)
            (came_from, led_to), self._led = self._led, ("", "")
            if came_from and self.panel == led_to:
                self.focus_panel(came_from)
        self.agents.pattern, self.tasks.pattern, self.tasks.tab = now.agents, now.tasks, now.tab
        self.agents.problems = self.tasks.problems = self.problem_strip.spread = on
        self.only_problems = on
        self.stream.narrow(lambda: self.model.stream.filter(now.stream, problems=on))
        self.agents.narrow()
        self.tasks.narrow()
        self._redraw()

    def lead_to(self, panel: str, subject_id: str) -> None:
        """Put the cursor on the worst of the problems; whoever moves no further is led back when all shows again."""
        self._led = (self._led[0] or self.panel, panel)
        self.focus_panel(panel)
        if panel == "agents":
            self.agents.lend(subject_id)
        else:
            self.tasks.lend(None)

    def narrow_stream(self, change: Callable[[], None]) -> None:
        """Do what narrows or widens the stream, and draw it anew."""
        self.stream.narrow(change)

    def _keep(self, now: Narrowed) -> None:
        """Remember for the next opening how the view is narrowed: never what narrowed the problems."""
        state = self.desk.state
        state.filters.update(agents=now.agents, tasks=now.tasks, stream=now.stream)
        state.tab = now.tab

    def ask_filter(self) -> None:
        panel = self.lines
        if isinstance(panel, StreamList):
            old = self.model.stream.pattern.text
            hint = "words, a topic (tasks/#), or since:5m"
            self.ask("filter stream:", old, self._filter_stream, None, lambda: self._filter_stream(old), hint=hint)
        elif isinstance(panel, Table):
            old = panel.pattern
            self.ask(
                f"filter {panel.NOUN}:",
                old,
                lambda text: self._filter_table(panel, text),
                lambda text: self._filter_table(panel, text),
                lambda: self._filter_table(panel, old),
                hint="words, or state:failed type:testing.* agent: since:5m",
            )
        elif isinstance(panel, PaneView):
            self.ask("find:", panel.needle, panel.search)

    def set_filter(self, text: str) -> bool:
        panel = self.lines
        if isinstance(panel, StreamList):
            self._filter_stream(text)
        elif isinstance(panel, Table):
            self._filter_table(panel, text)
        elif isinstance(panel, PaneView):
            panel.search(text)
        return panel is not None

    def _filter_table(self, table: Table, text: str) -> None:  # type: ignore[type-arg]
        table.pattern = text
        self.desk.state.filters[table.NOUN] = text
        table.narrow()
        self.fit_panels()

    def _filter_stream(self, text: str) -> None:
        self.stream.narrow(lambda: self.model.stream.filter(text))
        self.desk.state.filters["stream"] = text

    def turn_tab(self, by: int) -> None:
        """Show the next tab of the tasks."""
        self.tasks.turn(by)
        self.desk.state.tab = self.tasks.tab

    def hidden(self) -> int:
        table = self.lines
        if not isinstance(table, Table):
            return 0
        known = table.source()
        return sum(1 for row in self.model.marks[table.NOUN] if row in known and row not in table.rows)

    def action_show(self, panel: str, pattern: str = "", tab: str = "all") -> None:
        """Show only those that a figure of the header counts."""
        self.set_problems(False)
        self.focus_panel(panel)
        table = self.agents if panel == "agents" else self.tasks
        if table is self.tasks:
            self.turn_tab([name for name, _ in TABS].index(tab) - self.tasks.tab)
        self._filter_table(table, pattern)

    def unmark(self) -> None:
        if isinstance(table := self.lines, Table):
            self._unmark(table)

    def _unmark(self, *tables: Table) -> None:  # type: ignore[type-arg]
        for table in tables:
            self.model.marks[table.NOUN].clear()
            table.redraw()

    def follow(self) -> None:
        panel = self.lines
        if isinstance(panel, StreamList):
            panel.follow(not panel.tail)
        elif isinstance(panel, PaneView):
            panel.follow_end()

    def copy(self) -> None:
        panel = self.lines
        if isinstance(panel, Table) and panel.targets():
            self.desk.copy("\n".join(panel.targets()))
        elif isinstance(panel, StreamList) and (message := panel.current()) is not None:
            self.desk.copy(panel.text_of(message))
        elif isinstance(panel, PaneView):
            self.desk.copy(panel.text())
