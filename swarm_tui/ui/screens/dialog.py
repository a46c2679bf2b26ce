"""Dialogs over a screen, until they are answered: one has the last line too, so that only keys that work show there."""

from typing import TypeVar

from textual.binding import Binding
from textual.screen import ModalScreen

from swarm_tui.ui.desk.actions import pretty
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.desk.keymap import types
from swarm_tui.ui.widgets.footer import Hint, KeyLine

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """Subclasses yield `self.keys_line` in `compose`, and give `hints`. `TYPES`: text is typed in it."""

    TYPES = False

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.keys_line = KeyLine(self.hints)
        desk.typed_keys.hold()

    def keys_of(self, act: str) -> list[str]:
        """Return the keys of an act, but for those that are text here."""
        return [key for key in self.desk.registry.keys(act) if not (self.TYPES and types(key))]

    def bind_acts(self, does: str, *acts: str) -> None:
        """Let the keys of these acts do it too, where the dialog has no other use for them."""
        for act in acts:
            for key in self.keys_of(act):
                self._bindings.key_to_bindings.setdefault(key, [Binding(key, does, show=False)])

    @property
    def leaves(self) -> str:
        """Return the key that closes it: that of going back, or Esc, which always does."""
        return next((pretty(key) for key in self.keys_of("back")), pretty("escape"))

    def on_mount(self) -> None:
        # Called after the subclass's own: the focus is where the keys are to go.
        self.desk.typed_keys.release()

    def hints(self) -> list[Hint]:
        """Return the keys that work here, each with what it does."""
        raise NotImplementedError

    def renew(self) -> None:
        """Ask again what it is about: that may have changed."""
