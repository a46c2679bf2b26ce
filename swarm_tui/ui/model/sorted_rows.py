"""A list kept in order while its members change, and which of them the cursor is on: what a live table shows."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from typing import Any

Key = tuple[Any, ...]
SEE_TIME = 1.0
"""Seconds that a person needs to see that another row came under the cursor."""


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


class SortedRows:
    """Ids in the order of their groups, values and keys, those first that are there; a change costs a bisection.

    All are kept in order, and those that show are chosen from them: narrowing a hundred thousand sorts nothing. What
    does not show is no part of it for those who read it.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._own: list[str] = []
        """All ids in the order of their keys alone."""
        self._values: dict[str, Any] | None = None
        """Value of each id; of those without one None, which stand last."""
        self._falls = False
        self._groups: dict[str, Any] | None = None
        self._order = self._own
        """All ids in the order that holds; the same list where that is the one of their keys."""
        self._passing: set[str] | None = None
        """Ids that show; None where all do."""
        self._shown = self._order
        """Those in order; the same list where all show."""

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, index: int) -> str:
        return self._shown[index]

    def __contains__(self, row: str) -> bool:
        return row in (self._keys if self._passing is None else self._passing)

    def index(self, row: str) -> int | None:
        """Return where the id is; None when it does not show."""
        return bisect_left(self._shown, self._rank(row), key=self._rank) if row in self else None

    def ids(self) -> list[str]:
        """Return the ids that show, in order."""
        return list(self._shown)

    def groups(self) -> list[tuple[Any, int]]:
        """Return each group that shows with the index after its last, in order; none where rows are not grouped."""
        found: list[tuple[Any, int]] = []
        if (groups := self._groups) is not None:
            at = 0
            while at < len(self._shown):
                group = groups[self._shown[at]]
                at = bisect_right(self._shown, group, at, key=groups.__getitem__)
                found.append((group, at))
        return found

    def group(self, row: str) -> Any:
        """Return the group of an id; None where rows are not grouped."""
        return None if self._groups is None else self._groups.get(row)

    # Changes.

    def fill(self, rows: Iterable[tuple[str, Key]]) -> None:
        """Begin again with these, in the order of their keys; all show."""
        self._keys = keys = dict(rows)
        self._own = sorted(keys)
        self._own.sort(key=keys.__getitem__)
        self._values = self._groups = self._passing = None
        self._order = self._shown = self._own

    def order_by(self, values: dict[str, Any] | None, groups: dict[str, Any] | None, *, falls: bool) -> None:
        """Put them in the order of their groups, then of their values, then of their keys; those that show stay."""
        self._values, self._groups, self._falls = values, groups, falls
        self._order = self._own
        if values is not None:
            self._order = _sorted(self._own, values, falls)
        if groups is not None:
            self._order = _sorted(self._order, groups, False)
        self._choose()

    def narrow(self, passing: set[str] | None) -> None:
        """Show these, or all."""
        self._passing = passing
        self._choose()

    def _choose(self) -> None:
        passing = self._passing
        if passing is None:
            self._shown = self._order
        elif len(passing) * 8 < len(self._order):
            self._shown = sorted(passing, key=self._rank)
        else:
            self._shown = [row for row in self._order if row in passing]

    def put(self, row: str, key: Key | None, value: Any = None, group: Any = None, *, passes: bool = True) -> bool:
        """Give the id its key, or take it out (None); True when what shows, or its order, changed."""
        known = row in self._keys
        showed = known and row in self
        same = (
            known
            and self._keys[row] == key
            and (self._values is None or self._values[row] == value)
            and (self._groups is None or self._groups[row] == group)
        )
        shows = key is not None and (self._passing is None or passes)
        if same and shows == showed:
            return False
        if known:
            self._take_out(row, showed=showed)
        if key is not None:
            self._keys[row] = key
            if self._values is not None:
                self._values[row] = value
            if self._groups is not None:
                self._groups[row] = group
            self._put_in(row, shows=shows)
        return showed or shows

    def _take_out(self, row: str, *, showed: bool) -> None:
        rank = self._rank(row)
        if self._shown is not self._order and showed:
            del self._shown[bisect_left(self._shown, rank, key=self._rank)]
        if self._order is not self._own:
            del self._order[bisect_left(self._order, rank, key=self._rank)]
        del self._own[bisect_left(self._own, (self._keys[row], row), key=self._own_rank)]
        del self._keys[row]
        for kept in (self._values, self._groups):
            if kept is not None:
                del kept[row]
        if self._passing is not None:
            self._passing.discard(row)

    def _put_in(self, row: str, *, shows: bool) -> None:
        insort(self._own, row, key=self._own_rank)
        if self._order is not self._own:
            insort(self._order, row, key=self._rank)
        if self._passing is not None and shows:
            self._passing.add(row)
        if self._shown is not self._order and shows:
            insort(self._shown, row, key=self._rank)

    def _own_rank(self, row: str) -> tuple[Key, str]:
        return self._keys[row], row

    def _rank(self, row: str) -> Key:
        """Return what places a row in the order that holds."""
        own = self._keys[row], row
        if self._values is not None:
            value = self._values[row]
            own = (True, 0, own) if value is None else (False, Falling(value) if self._falls else value, own)  # type: ignore[assignment]
        return own if self._groups is None else (self._groups[row], own)


def _sorted(order: list[str], values: dict[str, Any], falls: bool) -> list[str]:
    """Return the ids in the order of their values, those without one last; those alike stay in their order."""
    distinct = set(values.values())
    lacking = [row for row in order if values[row] is None] if None in distinct else []
    distinct.discard(None)
    if len(distinct) * 8 > len(order):
        there = [row for row in order if values[row] is not None] if lacking else order
        return sorted(there, key=values.__getitem__, reverse=falls) + lacking
    alike: dict[Any, list[str]] = {value: [] for value in sorted(distinct, reverse=falls)}
    for row in order:
        if (value := values[row]) is not None:
            alike[value].append(row)
    return [row for rows in alike.values() for row in rows] + lacking


class RowCursor:
    """The row that the cursor keeps to while rows come, go and move.

    `line_of` gives the line of a row, None where it does not show, `count` the number of lines.
    """

    def __init__(
        self, line_of: Callable[[str], int | None], count: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self._line_of, self._count, self._clock = line_of, count, clock
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
        wanted = next((row for row in (self.chosen, held) if row is not None and self._line_of(row) is not None), None)
        self._at_first = self.chosen is None or wanted is None
        return wanted

    def place(self, held: str | None, at: int) -> int:
        """Return the line of `held`; where that does not show, `at`, or the last line."""
        stays = held or self.chosen
        index = 0 if self._at_first else self._line_of(stays) if stays else None
        return max(0, min(at if index is None else index, self._count() - 1))

    def moved(self, *, slipped: bool) -> None:
        """Note that another row is under the cursor; `slipped`: nobody wanted that."""
        self._slipped = self._clock() if slipped else None

    def slipped(self) -> bool:
        """Tell whether what is under the cursor is so new there that a key may have been meant for what was before."""
        return self._slipped is not None and 0.0 <= self._clock() - self._slipped < SEE_TIME
