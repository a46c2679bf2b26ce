"""Templates of the layout and the last tasks sent, to begin from."""

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import fit, flat
from swarm_tui.ui.model.draft import shown
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.screens.dialog import Dialog
from swarm_tui.ui.widgets.footer import Hint
from swarm_tui.ui.widgets.page import Line, PageLines

Choice = tuple[str, str, dict[str, Any]]


def choices_of(
    types: Iterable[TaskType], sent: Iterable[dict[str, Any]], drafts: Iterable[dict[str, Any]] = ()
) -> list[Choice]:
    """Return what a task can begin from: the layout's templates, then drafts and what was sent, the newest first."""
    templates = [
        ("template", f"{each.name}: {name}", {"type": each.name, "payload": payload})
        for each in types
        for name, payload in each.templates.items()
    ]
    begun = [
        ("draft", f"{draft.get('type') or 'no type'}: {draft.get('raw') or shown(draft.get('values'))}", draft)
        for draft in drafts
    ]
    before = [("sent", f"{entry.get('type')}: {shown(entry.get('payload'))}", entry) for entry in sent]
    return [*templates, *begun, *before]


class TemplatesScreen(Dialog[dict[str, Any] | None]):
    """Enter takes one."""

    CSS = """
    TemplatesScreen { align: center middle; }
    TemplatesScreen Vertical { width: 76; max-width: 96%; height: 14; background: $panel;
                               border: round $accent; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)"),
        Binding("k,up", "move(-1)"),
        Binding("enter", "take"),
        Binding("escape,q", "leave"),
    ]

    def __init__(self, desk: Desk, choices: list[Choice]) -> None:
        super().__init__(desk)
        for does, acts in (("leave", ("back", "template")), ("move(1)", ("down",)), ("move(-1)", ("up",))):
            self.bind_acts(does, *acts)
        self.choices = choices
        self.page = PageLines(self.lay)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.page
        yield self.keys_line

    def hints(self) -> list[Hint]:
        leave = (self.leaves, "close")
        return [("↑↓", "choose"), ("enter", "take it"), leave] if self.choices else [leave]

    def on_mount(self) -> None:
        self.page.focus()

    def lay(self, width: int) -> list[Line]:
        look = self.desk.look
        rows: list[Line] = [
            ([Segment(fit(f" {kind}", 10), look["quiet"]), Segment(fit(flat(text), width - 10))], entry)
            for kind, text, entry in self.choices
        ]
        return rows or [
            (
                [
                    Segment(
                        " No template yet: a layout's handlers may have `templates`; what you send shows here too",
                        look["quiet"],
                    )
                ],
                None,
            )
        ]

    def action_move(self, by: int) -> None:
        """Move."""
        self.page.move(by)

    def action_take(self) -> None:
        """Take the one under the cursor."""
        subject = self.page.subject()
        self.dismiss(subject if isinstance(subject, dict) else None)

    def on_lines_opened(self) -> None:
        self.action_take()

    def action_leave(self) -> None:
        """Take none of them."""
        self.dismiss(None)
