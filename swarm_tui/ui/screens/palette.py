"""The palette: any act, agent or task by a part of its name."""

from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.widgets import Input

from swarm_tui.ui.acts.filters import apply_filter
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import fit, flat
from swarm_tui.ui.screens.dialog import Dialog
from swarm_tui.ui.widgets.footer import Hint
from swarm_tui.ui.widgets.line import Line as InputLine
from swarm_tui.ui.widgets.page import Line, PageLines

MOST = 50


#: The score of an act that is found by its sentence alone: behind what is found by name.
_BY_HELP = 0.01


class PaletteScreen(Dialog[None]):
    """Acts that cannot act now say why, and stay in the list."""

    CSS = """
    PaletteScreen { align: center top; }
    PaletteScreen Vertical { width: 76; max-width: 96%; height: 80%; margin-top: 2; background: $panel;
                             border: round $accent; }
    PaletteScreen Input { border: none; height: 1; padding: 0 1; background: $panel; }
    PaletteScreen Input:focus { border: none; }
    PaletteScreen PageLines { background: $surface; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave"),
        Binding("down,ctrl+n", "move(1)"),
        Binding("up", "move(-1)"),
        Binding("pagedown", "move(10)"),
        Binding("pageup", "move(-10)"),
    ]
    AUTO_FOCUS = ""
    TYPES = True

    def __init__(self, desk: Desk, context: Context) -> None:
        super().__init__(desk)
        self.bind_acts("leave", "back", "palette")
        self.context = context
        self._filters = desk.filters.read()[0]
        self.page = PageLines(self.lay)
        self.page.can_focus = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield InputLine(placeholder="type a part of an act, an agent, a task, a kept filter")
            yield self.page
        yield self.keys_line

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Input))

    def hints(self) -> list[Hint]:
        return [("↑↓", "choose"), ("enter", "do it, or open it"), (self.leaves, "close")]

    def lay(self, width: int) -> list[Line]:
        query = self.query_one(Input).value.strip()
        found: list[tuple[float, Line]] = []
        for score, line in (*self._acts(query, width), *self._names(query, width)):
            found.append((score, line))
        found.sort(key=lambda pair: -pair[0])
        return [line for _, line in found[:MOST]] or [
            ([Segment(f"  Nothing matches; {self.leaves} closes", self.desk.look["quiet"])], None)
        ]

    def _acts(self, query: str, width: int) -> list[tuple[float, Line]]:
        desk, look = self.desk, self.desk.look
        rows: list[tuple[float, Line]] = []
        matcher = Matcher(query)
        for act in desk.registry.actions.values():
            score = matcher.match(act.label) if query else 1.0
            # Whole words of a sentence: scattered letters would find each act by any name, `bring down` too.
            if score <= 0 and all(word in act.help.lower() for word in query.lower().split()):
                score = _BY_HELP
            if not act.palette or score <= 0:
                continue
            why = act.why_not(self.context)
            key = desk.registry.key_text(act.name)
            parts = [
                Segment(" " + fit(key, 7), look["key" if why is None else "quiet"]),
                Segment(fit(act.label, 17) + " ", look["strong" if why is None else "quiet"]),
                Segment(fit(why or act.help, max(0, width - 26)), look["quiet"]),
            ]
            bonus = 1.0 if query and act.label.startswith(query.lower()) else 0.0
            rows.append((score + bonus + (0.2 if why is None else 0.0), (parts, act)))
        return rows

    def _names(self, query: str, width: int) -> list[tuple[float, Line]]:
        if not query:
            return []
        look, matcher = self.desk.look, Matcher(query)
        rows: list[tuple[float, Line]] = []
        fleet = self.desk.model.fleet
        for kind, names in (
            ("agent", list(fleet.agents)), ("task", list(fleet.tasks)[-5000:]), ("filter", list(self._filters)),
        ):  # fmt: skip
            for name in names:
                if query.lower() not in name.lower() and len(names) > 500:
                    continue
                score = matcher.match(name)
                if score > 0:
                    parts = [
                        Segment(" " + fit(kind, 7), look["quiet"]),
                        Segment(fit(flat(name), width - 9), look["strong"]),
                    ]
                    rows.append((score, (parts, (kind, name))))
        return rows

    @on(Input.Changed)
    def _typed(self) -> None:
        self.page.cursor = self.page.top = 0
        self.page.renew()
        self.page.redraw()

    @on(Input.Submitted)
    def _chosen(self) -> None:
        self.choose()

    def on_lines_opened(self) -> None:
        self.choose()

    def choose(self) -> None:
        """Do what is under the cursor."""
        subject = self.page.subject()
        self.dismiss()
        if isinstance(subject, Action):
            self.app.call_later(self.desk.perform, subject, self.context)
        elif isinstance(subject, tuple):
            kind, name = subject
            pages = self.desk.pages
            if kind == "agent":
                self.app.call_later(pages.open_agent, name)
            elif kind == "task":
                self.app.call_later(pages.open_task, name)
            else:
                self.app.call_later(apply_filter, self.desk, name)

    def action_move(self, by: int) -> None:
        """Move the cursor while the user types."""
        self.page.move(by)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss()
