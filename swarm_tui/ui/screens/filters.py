"""The filters that are kept by name, to apply or forget."""

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from swarm_tui.config.saved_filters import SavedFilter
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import fit, flat
from swarm_tui.ui.screens.dialog import Dialog
from swarm_tui.ui.widgets.footer import Hint
from swarm_tui.ui.widgets.page import Line, PageLines


class FiltersScreen(Dialog[str | None]):
    """Enter gives the name of the one under the cursor."""

    CSS = """
    FiltersScreen { align: center middle; }
    FiltersScreen Vertical { width: 76; max-width: 96%; height: 16; max-height: 90%; background: $panel;
                             border: round $accent; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)"),
        Binding("k,up", "move(-1)"),
        Binding("enter", "take"),
        Binding("x,delete", "forget"),
        Binding("escape,q", "leave"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        for does, acts in (("leave", ("back", "filters")), ("move(1)", ("down",)), ("move(-1)", ("up",))):
            self.bind_acts(does, *acts)
        self._forgotten: dict[str, SavedFilter] = {}
        self._found, self._mistakes = desk.filters.read()
        self.page = PageLines(self.lay)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.page
        yield self.keys_line

    def hints(self) -> list[Hint]:
        leave = (self.leaves, "close")
        there = self._found or self._forgotten
        return [("↑↓", "choose"), ("enter", "apply"), ("x", "forget, or keep again"), leave] if there else [leave]

    def on_mount(self) -> None:
        self.page.focus()

    def lay(self, width: int) -> list[Line]:
        look = self.desk.look
        rows: list[Line] = [([Segment(fit(f" {flat(text)}", width), look["bad"])], None) for text in self._mistakes]
        for name, kept in sorted((self._found | self._forgotten).items()):
            gone = name not in self._found
            parts = [
                Segment(fit(f" {flat(name)}", min(26, width // 3)) + " ", look["quiet" if gone else "strong"]),
                Segment(fit("forgotten" if gone else kept.panel, 10), look["quiet"]),
            ]
            used = sum(part.cell_length for part in parts)
            style = look["quiet" if gone else "plain"]
            rows.append(([*parts, Segment(fit(f"/{flat(kept.text)}", max(0, width - used)), style)], name))
        nothing = f" No filter is kept yet: {self.desk.registry.told('keep_filter')} keeps the panel's filter by a name"
        return rows or [([Segment(fit(nothing, width), look["quiet"])], None)]

    def action_move(self, by: int) -> None:
        """Move."""
        self.page.move(by)

    def action_take(self) -> None:
        """Apply the one under the cursor."""
        subject = self.page.subject()
        if isinstance(subject, str) and subject in self._found:
            self.dismiss(subject)

    def on_lines_opened(self) -> None:
        self.action_take()

    def action_forget(self) -> None:
        """Forget the one under the cursor; one that was forgotten here is kept again."""
        name = self.page.subject()
        if not isinstance(name, str):
            return
        if name in self._found:
            kept = self._found[name]
            if not self._failed(self.desk.filters.remove(name)):
                self._forgotten[name] = kept
        else:
            kept = self._forgotten[name]
            if not self._failed(self.desk.filters.keep(name, kept.panel, kept.text)):
                del self._forgotten[name]
        self._found, self._mistakes = self.desk.filters.read()
        self.page.renew()

    def _failed(self, reason: str | None) -> bool:
        if reason is not None:
            self.desk.say(reason, bad=True)
            self._mistakes = [reason]
        return reason is not None

    def action_leave(self) -> None:
        """Apply none of them."""
        self.dismiss(None)
