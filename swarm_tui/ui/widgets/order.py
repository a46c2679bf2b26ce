"""The order of a table's rows: its own, or by a column that a person chose."""

from collections.abc import Sequence
from typing import Any

from swarm_tui.ui.model.sorted_rows import Key
from swarm_tui.ui.widgets.columns import Column


class Falling:
    """A value that stands before those that are less."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Falling) and bool(self.value == other.value)

    def __lt__(self, other: "Falling") -> bool:
        return bool(other.value < self.value)

    def __hash__(self) -> int:
        return hash(self.value)


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

    def key(self, row: Any, own: Key) -> Key:
        """Return a row's place, given that in the table's own order; rows without a value stand last."""
        if self._chosen is None or self._chosen.sort is None:
            return own
        value = self._chosen.sort(row)
        if value is None:
            return (True, 0, own)
        return (False, Falling(value) if self._falls else value, own)

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
