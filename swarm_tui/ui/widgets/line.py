"""A line to type in."""

from textual.binding import Binding
from textual.events import Key
from textual.widget import Widget
from textual.widgets import Input

from swarm_tui.ui.desk.desk import desk_of

#: The keys of Input itself, not those by which whatever it inherits from scrolls.
_EDITS = {binding.key: binding.action for binding in Binding.make_bindings(Input.BINDINGS)}


class Line(Input):
    """An Input whose editing keys act in the order in which they were typed.

    Those that Textual finds by a binding act only when they have climbed to the app; by then the letters that were
    typed after them are in. After one of the keys that it `holds`, what comes next is for whatever that key leads to.
    """

    def __init__(self, value: str = "", *, placeholder: str = "", holds: frozenset[str] = frozenset()) -> None:
        super().__init__(value, placeholder=placeholder, compact=True, select_on_focus=False)
        self.cursor_blink = False
        self._holds = holds

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
