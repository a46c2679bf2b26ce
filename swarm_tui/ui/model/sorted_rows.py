"""A list kept in order while its members change, and which of them the cursor is on: what a live table shows."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any

Key = tuple[Any, ...]
SEE_TIME = 1.0
"""Seconds that a person needs to see that another row came under the cursor."""


class SortedRows:
    """Ids in the order of their keys; a change costs a bisection, not a sort."""

    def __init__(self) -> None:
        self._order: list[tuple[Key, str]] = []
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> str:
        return self._order[index][1]

    def __contains__(self, row: str) -> bool:
        return row in self._keys

    def index(self, row: str) -> int | None:
        """Return where the id is; None when it is not there."""
        key = self._keys.get(row)
        return None if key is None else bisect_left(self._order, (key, row))

    def put(self, row: str, key: Key | None) -> bool:
        """Give the id its key, or take it out (None); True when the order changed."""
        old = self._keys.get(row)
        if old == key:
            return False
        if old is not None:
            del self._order[bisect_left(self._order, (old, row))]
            del self._keys[row]
        if key is not None:
            insort(self._order, (key, row))
            self._keys[row] = key
        return True

    def fill(self, rows: Iterable[tuple[str, Key]]) -> None:
        """Begin again with these."""
        self._keys = dict(rows)
        self._order = sorted((key, row) for row, key in self._keys.items())

    def ids(self) -> list[str]:
        """Return all ids, in order."""
        return [row for _, row in self._order]


class RowCursor:
    """The row that the cursor keeps to while rows come, go and move."""

    def __init__(self, rows: SortedRows, clock: Callable[[], float]) -> None:
        self._rows, self._clock = rows, clock
        self.chosen: str | None = None
        """What the user put the cursor on; it may be hidden now."""
        self._at_first = True
        """Whether the cursor keeps to the first row, whatever that is: nobody has put it anywhere in this view."""
        self._slipped: float | None = None
        """When another row came under the cursor without anybody's doing."""

    def choose(self, row: str | None) -> None:
        """Keep to what is under the cursor, as the user wants it."""
        if row is not None:
            self.chosen, self._at_first, self._slipped = row, False, None

    def let_go(self) -> None:
        """Keep to the first row, till the user chooses."""
        self._at_first = True

    def back(self, held: str | None) -> str | None:
        """Return the row to come back to as the view becomes narrower or wider: what was chosen, or what is `held`."""
        wanted = next((row for row in (self.chosen, held) if row is not None and row in self._rows), None)
        self._at_first = self.chosen is None or wanted is None
        return wanted

    def place(self, held: str | None, at: int) -> int:
        """Return the line of `held`; where that does not show, `at`, or the last line."""
        stays = held or self.chosen
        index = 0 if self._at_first else self._rows.index(stays) if stays else None
        return max(0, min(at if index is None else index, len(self._rows) - 1))

    def moved(self, *, slipped: bool) -> None:
        """Note that another row is under the cursor; `slipped`: nobody wanted that."""
        self._slipped = self._clock() if slipped else None

    def slipped(self) -> bool:
        """Tell whether what is under the cursor is so new there that a key may have been meant for what was before."""
        return self._slipped is not None and 0.0 <= self._clock() - self._slipped < SEE_TIME
