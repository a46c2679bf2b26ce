"""Notices to the person: one line at a time, all of them kept."""

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from swarm_tui.ui.look.text import flat

LONGEST = 1000
"""Letters of a notice: the last line shows as much as it has room for, the page of notices all."""
STAYS = 5.0
"""Seconds after which the last line is that of the keys again."""


class Notice(Struct, frozen=True):
    """A line, told at `at`."""

    at: float
    text: str
    bad: bool = False


class Notices:
    """The latest ones; `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.all: deque[Notice] = deque(maxlen=500)
        self._shown = False

    def add(self, text: str, *, bad: bool = False) -> Notice:
        """Tell."""
        notice = Notice(self._clock(), flat(text, LONGEST), bad)
        self.all.append(notice)
        self._shown = True
        return notice

    def current(self) -> Notice | None:
        """Return the one to show now."""
        if not self._shown or not self.all or self._clock() - self.all[-1].at > STAYS:
            return None
        return self.all[-1]

    def clear(self) -> None:
        """Show none any more: the user has gone on."""
        self._shown = False
