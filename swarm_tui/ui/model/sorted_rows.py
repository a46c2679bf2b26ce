"""A list kept in order while its members change: what a live table shows."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any

Key = tuple[Any, ...]


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
        """Where the id is; None when it is not there."""
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
        """All ids, in order."""
        return [row for _, row in self._order]
