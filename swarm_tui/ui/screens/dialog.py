"""What stands over a screen until it is answered: it has the last line too, so that only keys that work show there."""

from typing import TYPE_CHECKING, TypeVar

from textual.screen import ModalScreen

from swarm_tui.ui.widgets.footer import Hint, KeyLine

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """Subclasses yield `self.keys_line` in `compose`, and give `hints`."""

    def __init__(self, app: "SwarmApp") -> None:
        super().__init__()
        self.swarm_app = app
        self.keys_line = KeyLine(self.hints)
        app.hold()

    def on_mount(self) -> None:
        # Called after the subclass's own: the focus is where the keys are to go.
        self.swarm_app.release()

    def hints(self) -> list[Hint]:
        """The keys that work here, each with what it does."""
        raise NotImplementedError

    def renew(self) -> None:
        """What it is about may have changed."""
