"""The acts that can be taken back, the last one first."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm_tui.ui.context import Context

KEEP = 20
Asks = Callable[[], "str | None"]


class Undo:
    """A short stack of what to say to take an act back."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, Callable[[], object], Asks]] = []

    def push(self, what: str, back: Callable[[], object], *, reverses: str = "", asks: Asks = lambda: None) -> None:
        """Remember how to take `what` back; one that `reverses` an earlier act by hand leaves nothing of both.

        `asks` gives the question to ask first where taking back would break what has begun since.
        Otherwise an undo that is meant to set things right would halt or drain again what was just set right.
        """
        kept = [entry for entry in self._stack if entry[0] != reverses]
        if len(kept) == len(self._stack):
            kept.append((what, back, asks))
        self._stack = kept[-KEEP:]

    def forget(self, what: str) -> None:
        """That act was taken back by hand."""
        self._stack = [entry for entry in self._stack if entry[0] != what]

    def why_not(self) -> str | None:
        """Why nothing can be taken back."""
        return None if self._stack else "nothing to undo: no act of this screen can be taken back"

    def question(self) -> str | None:
        """What to ask before the last act is taken back; None where that breaks nothing."""
        return self._stack[-1][2]() if self._stack else None

    def pop(self, context: "Context") -> None:
        """Take the last act back."""
        what, back, _ = self._stack.pop()
        back()
        context.say(f"undone: {what}")
