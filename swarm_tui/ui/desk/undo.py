"""The acts that can be taken back, the last one first."""

import time
from collections.abc import Callable
from typing import NamedTuple

KEEP = 20
FRESH = 180.0
"""Seconds in which an act is taken back without a question: after that nobody remembers it."""
BRIEF = 28
"""Letters of an act that the last line has."""
Asks = Callable[[], "str | None"]


class _Entry(NamedTuple):
    what: str
    back: Callable[[], object]
    asks: Asks
    at: float


class Undo:
    """A short stack of what to say to take an act back."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._stack: list[_Entry] = []
        self._passed = False
        """Whether something was done since that cannot be taken back."""

    def push(self, what: str, back: Callable[[], object], *, reverses: str = "", asks: Asks = lambda: None) -> None:
        """Remember how to take `what` back; an earlier act that it `reverses` by hand is forgotten.

        `asks` gives the question to ask first where taking back would break what has begun since.
        """
        self.forget(reverses)
        self._stack = [*self._stack, _Entry(what, back, asks, self._clock())][-KEEP:]
        self._passed = False

    def forget(self, what: str) -> None:
        """Drop the act: it was taken back by hand."""
        self._stack = [entry for entry in self._stack if entry.what != what]

    @property
    def last(self) -> object:
        """Return what would be taken back; another one after each act that can be."""
        return self._stack[-1] if self._stack else None

    def passed(self) -> None:
        """Note that something else was done, which cannot be taken back."""
        self._passed = True

    def why_not(self) -> str | None:
        """Return why nothing can be taken back."""
        return None if self._stack else "nothing to undo: no act of this screen can be taken back"

    def label(self) -> str | None:
        """Return what the key would take back, for the last line; None where it asks first, and so says it."""
        if self._old():
            return None
        what = self._stack[-1].what
        return f"undo “{what if len(what) <= BRIEF else what[: BRIEF - 1] + '…'}”"

    def question(self) -> str | None:
        """Return what to ask before the last act is taken back; None where that breaks nothing and surprises nobody."""
        if not self._stack:
            return None
        entry = self._stack[-1]
        if (asked := entry.asks()) is not None or not self._old():
            return asked
        passed = max(0, int(self._clock() - entry.at))
        ago = f"{passed} s" if passed < 120 else f"{passed // 60} min"
        return f"Undo this, of {ago} ago: {entry.what}?"

    def _old(self) -> bool:
        """Tell whether the last act on the stack is not what a person has in mind."""
        return not self._stack or self._passed or not 0.0 <= self._clock() - self._stack[-1].at < FRESH

    def pop(self, say: Callable[[str], None]) -> None:
        """Take the last act back, and `say` so."""
        entry = self._stack.pop()
        self._passed = True
        said = entry.back()
        say(said if isinstance(said, str) else f"undone: {entry.what}")
