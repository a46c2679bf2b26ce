"""A list kept in order while its members change, and which of them the cursor is on: what a live table shows."""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain
from typing import Any, TypeAlias

Key = tuple[Any, ...]
Slots: TypeAlias = "array[int]"
SEE_TIME = 1.0
"""Seconds that a person needs to see that another row came under the cursor."""
SAMPLE = 500
"""Of so many of its rows, about, the number of a column's different values is guessed."""


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
    """Rows in the order of their groups, values and keys, those first that are there; a change costs a bisection.

    All are kept in order, and those that show are chosen from them: narrowing a hundred thousand sorts nothing. What
    does not show is no part of it for those who read it, and who reads it gets ids. Each row has a slot, a number; what
    is known of it is in lists by slot, because a look at an object of its own for each costs more than all else does.
    """

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._names: list[str] = []
        self._keys: list[Key] = []
        self._rows: list[Any] = []
        self._values: list[Any] | None = None
        """What the rows are sorted by; None stands last."""
        self._groups: list[Any] | None = None
        self._ends: list[tuple[Any, int]] | None = None
        """What `groups` gives, while it is known."""
        self._falls = False
        self._passing: bytearray | None = None
        """1 for each row that shows; None where all do."""
        self._own = _slots()
        """All in the order of their keys alone."""
        self._order = self._own
        """All in the order that holds; the same where that is the one of their keys."""
        self._shown = self._order
        """Those that show in order; the same where all do."""

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, index: int) -> str:
        return self._names[self._shown[index]]

    def __contains__(self, name: str) -> bool:
        return (slot := self._slots.get(name)) is not None and self._shows(slot)

    def index(self, name: str) -> int | None:
        """Return where the id is; None when it does not show."""
        slot = self._slots.get(name)
        return self._at(self._shown, slot) if slot is not None and self._shows(slot) else None

    def ids(self) -> list[str]:
        """Return the ids that show, in order."""
        return list(map(self._names.__getitem__, self._shown))

    def groups(self) -> list[tuple[Any, int]]:
        """Return each group that shows with the index after its last, in order; none where rows are not grouped."""
        if self._ends is not None:
            return self._ends
        self._ends = found = list[tuple[Any, int]]()
        if (groups := self._groups) is not None:
            at, shown, count = 0, self._shown, len(self._shown)
            while at < count:
                group, step = groups[shown[at]], 1
                while at + step < count and groups[shown[at + step]] == group:
                    step *= 2
                at = bisect_right(shown, group, at + step // 2, min(at + step, count), key=groups.__getitem__)
                found.append((group, at))
        return found

    def group(self, name: str) -> Any:
        """Return the group of an id; None where rows are not grouped."""
        slot = self._slots.get(name)
        return None if self._groups is None or slot is None else self._groups[slot]

    # Changes.

    def fill(self, rows: Iterable[tuple[str, Key, Any]]) -> None:
        """Begin again with these, their ids first, in the order of their keys; all show."""
        there = list(rows)
        self._names, self._keys = [name for name, _, _ in there], [key for _, key, _ in there]
        self._rows, self._free = [row for _, _, row in there], []
        self._slots = {name: slot for slot, name in enumerate(self._names)}
        by_name = sorted(range(len(there)), key=self._names.__getitem__)
        self._own = self._order = self._shown = _slots(sorted(by_name, key=self._keys.__getitem__))
        self._values = self._groups = self._passing = self._ends = None

    def order_by(self, value: Callable[[Any], Any] | None, group: Callable[[Any], Any] | None, *, falls: bool) -> None:
        """Put them in the order of their groups, then of their values, then of their keys; those that show stay."""
        self._falls, self._order, self._ends = falls, self._own, None
        self._values = None if value is None else self._each(value)
        self._groups = None if group is None else self._each(group)
        if self._values is not None:
            self._order = _sorted(self._order, self._values, falls)
        passing = self._passing
        if self._groups is not None:
            alike = _alike(self._order, self._groups)
            labels = sorted(alike)
            self._order = _slots(chain.from_iterable(map(alike.__getitem__, labels)))
            if passing is None:
                self._ends = list(zip(labels, accumulate(len(alike[label]) for label in labels), strict=True))
        self._shown = self._order if passing is None else _slots(slot for slot in self._order if passing[slot])

    def _each(self, get: Callable[[Any], Any]) -> list[Any]:
        """Return what `get` gives of each row, by slot."""
        if not self._free:
            return list(map(get, self._rows))
        free = set(self._free)
        return [None if slot in free else get(row) for slot, row in enumerate(self._rows)]

    def narrow(self, checks: Sequence[Callable[[Any], bool]], *, further: bool = False) -> None:
        """Show those that pass all of these; `further`: of those that show."""
        among, rows, self._ends = self._shown if further else self._order, self._rows, None
        for check in checks:
            among = _slots(slot for slot in among if check(rows[slot]))
        self._shown = among
        if among is self._order:
            self._passing = None
        else:
            self._passing = bytearray(len(rows))
            for slot in among:
                self._passing[slot] = 1

    def put(
        self, name: str, key: Key | None, row: Any = None, value: Any = None, group: Any = None, *, passes: bool = True
    ) -> bool:
        """Give the row of that id its key, or take it out (None); True when what shows, or its order, changed."""
        slot = self._slots.get(name)
        showed = slot is not None and self._shows(slot)
        shows = key is not None and (self._passing is None or passes)
        if slot is not None:
            self._rows[slot] = row
            same = (
                self._keys[slot] == key
                and (self._values is None or self._values[slot] == value)
                and (self._groups is None or self._groups[slot] == group)
            )
            if same and shows == showed:
                return False
            self._take_out(slot, showed=showed)
        self._ends = None
        if key is None:
            if slot is not None:
                self._forget(slot)
            return showed
        if slot is None:
            slot = self._new(name, row)
        self._keys[slot] = key
        if self._values is not None:
            self._values[slot] = value
        if self._groups is not None:
            self._groups[slot] = group
        if self._passing is not None:
            self._passing[slot] = shows
        self._put_in(slot, shows=shows)
        return showed or shows

    def _shows(self, slot: int) -> bool:
        return self._passing is None or self._passing[slot] == 1

    def _new(self, name: str, row: Any) -> int:
        """Return a slot for the row, all but empty yet."""
        if self._free:
            slot = self._free.pop()
            self._names[slot], self._rows[slot] = name, row
        else:
            slot = len(self._names)
            self._names.append(name)
            self._rows.append(row)
            self._keys.append(())
            for kept in (self._values, self._groups):
                if kept is not None:
                    kept.append(None)
            if self._passing is not None:
                self._passing.append(0)
        self._slots[name] = slot
        return slot

    def _forget(self, slot: int) -> None:
        """Keep the slot for another row."""
        del self._slots[self._names[slot]]
        self._free.append(slot)
        self._rows[slot] = None

    def _take_out(self, slot: int, *, showed: bool) -> None:
        if self._shown is not self._order and showed:
            del self._shown[self._at(self._shown, slot)]
        if self._order is not self._own:
            del self._order[self._at(self._order, slot)]
        del self._own[bisect_left(self._own, self._own_rank(slot), key=self._own_rank)]

    def _put_in(self, slot: int, *, shows: bool) -> None:
        insort(self._own, slot, key=self._own_rank)
        if self._order is not self._own:
            insort(self._order, slot, key=self._rank)
        if self._shown is not self._order and shows:
            insort(self._shown, slot, key=self._rank)

    def _at(self, slots: Slots, slot: int) -> int:
        return bisect_left(slots, self._rank(slot), key=self._rank)

    def _own_rank(self, slot: int) -> tuple[Key, str]:
        return self._keys[slot], self._names[slot]

    def _rank(self, slot: int) -> Key:
        """Return what places a row in the order that holds."""
        own = self._own_rank(slot)
        if self._values is not None:
            value = self._values[slot]
            own = (True, 0, own) if value is None else (False, Falling(value) if self._falls else value, own)  # type: ignore[assignment]
        return own if self._groups is None else (self._groups[slot], own)


def _slots(slots: Iterable[int] = ()) -> Slots:
    return array("L", list(slots))


def _alike(order: Slots, values: list[Any]) -> dict[Any, list[int]]:
    """Return the slots of each value, in their order."""
    alike: dict[Any, list[int]] = {}
    for slot in order:
        if (found := alike.get(value := values[slot])) is None:
            found = alike[value] = []
        found.append(slot)
    return alike


def _sorted(order: Slots, values: list[Any], falls: bool) -> Slots:
    """Return the slots in the order of their values, those without one last; those alike stay in their order."""
    some = values[:: max(1, len(values) // SAMPLE)]
    if len(set(some)) * 8 > len(some):
        lacking = [slot for slot in order if values[slot] is None] if None in values else []
        there = [slot for slot in order if values[slot] is not None] if lacking else order
        return _slots(sorted(there, key=values.__getitem__, reverse=falls) + lacking)
    # Many rows have the same value: the values are sorted, not all that have them.
    alike = _alike(order, values)
    lacking = alike.pop(None, [])
    return _slots([*chain.from_iterable(alike[value] for value in sorted(alike, reverse=falls)), *lacking])


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
