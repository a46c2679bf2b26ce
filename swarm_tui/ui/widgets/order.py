"""The order of a table's rows: its own, or by a column that a person chose."""

from collections.abc import Callable, Sequence
from typing import Any

from swarm_tui.ui.widgets.columns import Column


class Order:
    """Choice of the column that rows are sorted by, and which way; none is the table's own order."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        self._columns = [column for column in columns if column.sort is not None]
        self._chosen: Column[Any] | None = None
        self._falls = False

    @property
    def head(self) -> str:
        """Return the chosen column's name; empty for the table's own order."""
        return self._chosen.head if self._chosen is not None else ""

    @property
    def arrow(self) -> str:
        """Return which way it goes, as an arrow."""
        return "" if self._chosen is None else "↓" if self._falls else "↑"

    @property
    def names(self) -> list[str]:
        """Return the columns that can be sorted by."""
        return [column.head for column in self._columns]

    @property
    def saved(self) -> str:
        """Return the choice as it is kept: the column's name, after a minus where the largest comes first."""
        return ("-" if self._falls else "") + self.head

    def restore(self, saved: str) -> None:
        """Choose what was kept."""
        if self.choose(saved.removeprefix("-")) and self._chosen is not None:
            self._falls = saved.startswith("-")

    @property
    def falls(self) -> bool:
        """Tell whether the largest comes first."""
        return self._falls

    @property
    def value(self) -> Callable[[Any], Any] | None:
        """Return what gives the value of a row that it is sorted by; None for the table's own order."""
        return None if self._chosen is None else self._chosen.sort

    def next(self) -> None:
        """Choose the next column; after the last one, none."""
        number = self._columns.index(self._chosen) + 1 if self._chosen is not None else 0
        self.choose(self._columns[number].head if number < len(self._columns) else "")

    def turn(self) -> None:
        """Go the other way."""
        self._falls = not self._falls

    def choose(self, head: str) -> bool:
        """Choose the column of that name, in capitals or not; False when there is none that can be sorted by."""
        found = next((column for column in self._columns if column.head.lower() == head.lower()), None)
        self._chosen, self._falls = found, found is not None and found.most_first
        return found is not None or not head

    def click(self, head: str) -> None:
        """Choose the column; of the chosen one go the other way, then back to the table's own order."""
        if head != self.head:
            self.choose(head)
        elif self._chosen is not None and self._falls == self._chosen.most_first:
            self.turn()
        else:
            self.choose("")
