"""A line to type in."""

from collections.abc import Callable

from textual.binding import Binding
from textual.events import Key, Paste
from textual.widget import Widget
from textual.widgets import Input

from swarm_tui.ui.desk.desk import desk_of

#: The keys of Input itself, not those by which whatever it inherits from scrolls.
_EDITS = {binding.key: binding.action for binding in Binding.make_bindings(Input.BINDINGS)}


def as_one_line(text: str) -> tuple[str, int]:
    """Return what was pasted as one line, its lines joined by spaces, and how many they were, blank ones aside."""
    lines = [line for line in text.splitlines() if line.strip()]
    return (lines[0], 1) if len(lines) == 1 else (" ".join(line.strip() for line in lines), len(lines))


class Line(Input):
    """An Input whose editing keys act in the order in which they were typed, and that takes all lines of a paste.

    Those that Textual finds by a binding act only when they have climbed to the app; by then the letters that were
    typed after them are in. After one of the keys that it `holds`, what comes next is for whatever that key leads to.
    """

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        holds: frozenset[str] = frozenset(),
        says: Callable[[str], None] | None = None,
    ) -> None:
        """`says` tells what became of a paste; the last line does if it is not given."""
        super().__init__(value, placeholder=placeholder, compact=True, select_on_focus=False)
        self.cursor_blink = False
        self._holds = holds
        self._says = says

    async def _on_key(self, event: Key) -> None:
        keys = desk_of(self).typed_keys
        if keys.holding:
            keys.hold_late(event)
            event.prevent_default().stop()
            return
        action = _EDITS.get(event.key)
        if event.key in self._holds:
            keys.hold()
            if action is None:
                # Behind the word of what was typed before it, which the line has yet to send on.
                event.prevent_default().stop()
                self.call_later(self._pass_on, Key(event.key, event.character))
                return
        if action is not None and not event.is_printable:
            event.prevent_default().stop()
            await self.run_action(action)

    def _pass_on(self, key: Key) -> None:
        if isinstance(self.parent, Widget):
            self.parent._forward_event(key)

    def _on_paste(self, event: Paste) -> None:
        """Take all of it: an Input takes the first line and says nothing of the others."""
        event.prevent_default().stop()
        text, lines = as_one_line(event.text)
        if text:
            self.replace(text, *self.selection)
        if lines > 1:
            (self._says or desk_of(self).say)(f"{lines:,} lines joined by spaces")
