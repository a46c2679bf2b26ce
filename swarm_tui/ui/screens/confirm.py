"""A question before an act that breaks something: No first."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from swarm_tui.ui.text import flat

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


class ConfirmScreen(ModalScreen[bool]):
    """True only for a plain yes."""

    CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen #box { width: 64; max-width: 90%; height: auto; padding: 1 2; background: $panel;
                         border: round $warning; }
    ConfirmScreen Horizontal { height: auto; align-horizontal: center; margin-top: 1; }
    ConfirmScreen Button { margin: 0 2; min-width: 14; border: none; height: 1;
                           background: $surface; color: $foreground; }
    ConfirmScreen Button:focus { background: $warning; color: $background; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n,N,escape,q", "answer(False)"),
        Binding("left,right,h,l,tab", "turn"),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, app: "SwarmApp", question: str, verb: str) -> None:
        super().__init__()
        self.question = flat(question)
        self.verb = verb

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(Content(self.question))
            with Horizontal():
                yield Button(Content("No (n)"), id="no")
                yield Button(Content(f"Yes, {self.verb} (y)"), id="yes")

    def action_answer(self, yes: bool) -> None:
        """Answer with a key."""
        self.dismiss(yes)

    def action_turn(self) -> None:
        """To the other answer."""
        self.query_one("#yes" if self.query_one("#no").has_focus else "#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
