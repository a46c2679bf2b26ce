"""The line to type in: filters and commands. It takes the footer's place while it is open."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.text import flat

if TYPE_CHECKING:
    from textual.events import Key
    from textual.widgets import Input


Complete = Callable[[str], tuple[str, list[str]]]
"""Returns the line as far as it can mean only one thing, and all that its last word may become."""


class Prompt(Widget):
    """Hidden until `ask`; what it holds is made then, so that no screen waits for it before anybody types."""

    DEFAULT_CSS = """
    Prompt { layout: horizontal; height: 1; dock: bottom; display: none; background: $panel; layer: above; }
    Prompt Static { width: auto; padding: 0 1; color: $accent; text-style: bold; }
    Prompt #options { max-width: 60%; color: $text-muted; text-style: none; }
    Prompt Input { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
    Prompt Input:focus { border: none; }
    """

    def __init__(self, *, id: str = "prompt") -> None:
        super().__init__(id=id)
        self._before: Widget | None = None
        self._done: Callable[[str], None] | None = None
        self._typed: Callable[[str], None] | None = None
        self._left: Callable[[], None] | None = None
        self._complete: Complete | None = None
        self._said = ""
        """What is to be told of the change that comes next: the last line is behind this one."""

    def _field(self, label: str) -> "Input":
        from textual.widgets import Input, Static

        from swarm_tui.ui.widgets.line import Line

        if not self.children:
            field = Line(holds=frozenset(("enter", "escape")), says=self._say)
            self.mount(Static(Content(label), id="label"), field, Static(id="options"))
            return field
        self.query_one("#label", Static).update(Content(label))
        return self.query_one(Input)

    def ask(
        self,
        label: str,
        text: str,
        done: Callable[[str], None],
        typed: Callable[[str], None] | None,
        left: Callable[[], None] | None,
        complete: Complete | None = None,
        hint: str = "",
    ) -> None:
        """Open, and call back; `hint` shows while nothing is typed."""
        self._complete = complete
        self._before = self.screen.focused
        self._done, self._typed, self._left = done, None, left
        field = self._field(label)
        with self.prevent(field.Changed):
            field.value = text
        field.cursor_position = len(text)
        field.placeholder = hint
        self._typed = typed
        self.display = True
        self.screen.set_focus(field)

    def select(self) -> None:
        """Let what is typed take the place of what stands there."""
        from textual.widgets import Input

        self.query_one(Input).select_all()

    def close(self) -> None:
        """Hide, and give the focus back."""
        # First: what is hidden with the focus hands it to whatever comes next.
        if self._before is not None:
            self.screen.set_focus(self._before)
        self.display = False

    def on_input_changed(self, event: "Input.Changed") -> None:
        event.stop()
        said, self._said = self._said, ""
        self._tell([said] if said else [])
        if self.display and self._typed is not None:
            self._typed(event.value)

    def on_input_submitted(self, event: "Input.Submitted") -> None:
        event.stop()
        self.close()
        if self._done is not None:
            self._done(event.value)
        self._go_on()

    def on_key(self, event: "Key") -> None:
        """Give up at Esc, complete at Tab; the screen behind has acts of its own on these keys."""
        if event.key == "tab":
            event.prevent_default().stop()
            self._fill()
        if event.key == "escape":
            event.prevent_default().stop()
            self.close()
            if self._left is not None:
                self._left()
            self._go_on()

    def _fill(self) -> None:
        """Complete what is typed, and tell what it may become."""
        from textual.widgets import Input

        field = self.query_one(Input)
        if self._complete is None:
            return
        text, found = self._complete(field.value)
        with self.prevent(field.Changed):
            field.value = text
        field.cursor_position = len(text)
        self._tell(found if len(found) > 1 else [])

    def _say(self, words: str) -> None:
        self._said = words

    def _tell(self, options: list[str]) -> None:
        from textual.widgets import Static

        for told in self.query("#options").results(Static):
            told.update(Content(flat("  ".join(options), 300)))

    def _go_on(self) -> None:
        desk_of(self).typed_keys.release()

    def on_descendant_blur(self) -> None:
        if self.display and not self.has_focus_within:
            self.display = False
