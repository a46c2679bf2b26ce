"""A question before an act that breaks something: No first."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from swarm_tui.ui.desk.act_runner import Question
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look.text import flat
from swarm_tui.ui.screens.dialog import Dialog
from swarm_tui.ui.widgets.footer import Hint

LONGEST = 4000
"""Letters of a line of what is asked: nobody says yes to what they cannot read."""


class ConfirmScreen(Dialog[bool]):
    """True only for a plain yes. What is asked follows the state; what is void says so and cannot be answered yes."""

    CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen #box { width: 64; max-width: 90%; height: auto; padding: 1 2; background: $panel;
                         border: round $warning; }
    ConfirmScreen #asked { height: auto; max-height: 65vh; scrollbar-size-vertical: 1; }
    ConfirmScreen #void { display: none; margin-top: 1; color: $error; text-style: bold; }
    ConfirmScreen Horizontal { height: auto; align-horizontal: center; margin-top: 1; }
    ConfirmScreen Button { margin: 0 2; min-width: 14; border: none; height: 1;
                           background: $surface; color: $foreground; }
    ConfirmScreen Button:focus { background: $warning; color: $background; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n,N,escape,q", "answer(False)"),
        Binding("left,right,h,l,tab,shift+tab", "turn"),
        Binding("down,j", "read(1)"),
        Binding("up,k", "read(-1)"),
        Binding("pagedown,space", "read(10)"),
        Binding("pageup", "read(-10)"),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, desk: Desk, asked: Question) -> None:
        super().__init__(desk)
        self.bind_acts("answer(False)", "back")
        self.asked = asked
        self.void: str | None = None
        """Why it cannot be done any more."""

    @property
    def question(self) -> str:
        """Return what is asked now."""
        return "\n".join(flat(line, LONGEST) for line in self.asked.question().split("\n"))

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            with VerticalScroll(id="asked", can_focus=False):
                yield Static(Content(self.question), id="question")
            yield Static(id="void")
            with Horizontal():
                yield Button(Content("No (n)"), id="no")
                yield Button(Content(f"Yes, {self.asked.verb} (y)"), id="yes")
        yield self.keys_line

    def hints(self) -> list[Hint]:
        if self.void is not None:
            return [(self.leaves, "close")]
        return [
            ("n", "no"),
            ("y", f"yes, {self.asked.verb}"),
            ("tab", "the other"),
            ("enter", "take it"),
            (self.leaves, "no"),
            *([("↓", "read on")] if self.is_mounted and self.query_one("#asked").max_scroll_y else []),
        ]

    def renew(self) -> None:
        if not self.is_mounted:
            return
        self.query_one("#question", Static).update(Content(self.question))
        void = self.asked.why_not()
        if void == self.void:
            return
        self.void = void
        note, yes = self.query_one("#void", Static), self.query_one("#yes")
        note.display, yes.display = void is not None, void is None
        note.update(Content(flat(f"Not any more: {void}", 300) if void else ""))
        self.query_one("#no", Button).label = Content("No (n)" if void is None else "Close")
        self.query_one("#no").focus()
        self.keys_line.renew()

    def action_answer(self, yes: bool) -> None:
        """Answer with a key."""
        self.renew()
        if not (yes and self.void):
            self.dismiss(yes)

    def action_read(self, by: int) -> None:
        """Move through a question that is longer than the screen."""
        self.query_one("#asked", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_turn(self) -> None:
        """Go to the other answer."""
        if self.void is None:
            self.query_one("#yes" if self.query_one("#no").has_focus else "#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")
