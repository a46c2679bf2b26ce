"""The rows of a live table: all in order, and those chosen that pass its filter, with the cursor on one of them."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from swarm_tui.ui.model.filters import is_narrower, read_filter
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.row_lines import HEADING, Group, RowLines, head_of
from swarm_tui.ui.model.sorted_rows import Key, RowCursor, SortedRows
from swarm_tui.ui.widgets.columns import Column
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.order import Order

Row = TypeVar("Row")


class TableRows(Lines, Generic[Row]):
    """Rows of one kind. Subclasses name the columns, the rows, their order, what groups them and what a filter sees."""

    HEAD = 1
    NOUN = "rows"
    COLUMNS: Sequence[Column[Any]] = ()
    GROUPS: Mapping[str, Callable[[Any], Group]] = {}
    """Ways to group rows, by their names; each gives a row's group."""

    def __init__(self, model: Model, *, id: str) -> None:
        super().__init__(id=id)
        self.model = model
        self.rows = SortedRows()
        self.order = Order(self.COLUMNS)
        self.pattern = ""
        self.problems = False
        self.row_lines = RowLines(self.rows)
        self.row_cursor = RowCursor(self.row_lines.line_of, self.row_lines.count, model.clock)
        self.grouping = ""
        """Name of the way in which rows are grouped; empty where they are not."""
        self._narrowed_by: tuple[object, ...] = ()
        """All that chose the rows that show now."""
        self.changed_at: dict[str, float] = {}

    # What a subclass gives.

    def source(self) -> Mapping[str, Row]:
        """Return all rows by id."""
        raise NotImplementedError

    def key(self, row: Row) -> Key:
        """Return its place in the order."""
        raise NotImplementedError

    def has(self, word: str, *, of_all: bool) -> Callable[[Row], bool]:
        """Return what tells whether a row has the word, which is in small letters; `of_all` rows there are now."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, Callable[[Row], str | None]]:
        """Return what gives the facts of a row that a filter can ask for by name."""
        raise NotImplementedError

    def heard(self, row: Row) -> float | None:
        """Return when something was last heard of the row."""
        raise NotImplementedError

    def in_trouble(self, row: Row) -> bool:
        """Tell whether the problems-only view shows it."""
        raise NotImplementedError

    # Rows.

    def passing(self, *, of_all: bool = False) -> list[Callable[[Row], bool]]:
        """Return what a row must pass to show; nothing where all show. `of_all`: it is asked of all there are now."""
        checks: list[Callable[[Row], bool]] = [self.in_trouble] if self.problems else []
        if self.pattern:
            checks.append(read_filter(self.pattern).compiled(self, self.model.clock(), of_all=of_all))
        return checks

    def wanted(self, row: Row) -> bool:
        """Tell whether the row passes the filter and the problems-only view."""
        return all(check(row) for check in self.passing())

    def here(self) -> str | None:
        """Return the id under the cursor, or the name of the head of a group."""
        return self.row_lines.name(self.cursor)

    def current(self) -> str | None:
        """Return the id under the cursor; None on the head of a group."""
        name = self.here()
        return None if name is None or name.startswith(HEADING) else name

    def targets(self) -> list[str]:
        """Return the marked ids that show, or the one under the cursor where none is marked."""
        marks = self.model.marks[self.NOUN]
        if marks:
            return [row for row in self.rows.ids() if row in marks]
        return [current] if (current := self.current()) else []

    def sort(self, head: str | None = None) -> None:
        """Sort by the column of that name, by none where it is empty; without a name, as the order is now."""
        if head is not None:
            self.order.choose(head)
        held = self.here()
        self._order_rows()
        self.settle(held)
        self.redraw()

    def go(self, index: int) -> None:
        super().go(index)
        self.row_cursor.choose(self.here())

    def select(self, row: str) -> bool:
        """Put the cursor on the id, in a folded group too; False when it does not show."""
        if row not in self.rows:
            return False
        if (group := self.rows.group(row)) is not None and group[1] in self.row_lines.folded:
            self.fold(group[1])
        line = self.row_lines.line_of(row)
        if line is not None:
            self.go(line)
        return line is not None

    def lend(self, row: str | None) -> None:
        """Put the cursor on the id, or at the top, till the view is wide again: what the user chose stays chosen."""
        chosen = self.row_cursor.chosen
        if row is not None and self.select(row):
            self.row_cursor.chosen = chosen
        elif row is None:
            self.row_cursor.let_go()
            self.settle(self.here())
            self.redraw()

    def fold(self, label: str) -> None:
        """Fold the group that is called so, or open it; the cursor goes to its head where its row is gone."""
        held = self.here()
        self.row_lines.folded ^= {label}
        self.row_lines.changed()
        shows = held is not None and self.row_lines.line_of(held) is not None
        self.settle(held if shows else head_of(label))
        self.row_cursor.choose(self.here())
        self.redraw()

    def refill(self) -> None:
        """Choose and order all rows again, as facts changed."""
        held = self.here()
        self._fill()
        self.settle(held, slips=True)
        self.redraw()

    def rechoose(self) -> None:
        """Choose the rows that show again, as what is wrong changed."""
        held = self.here()
        self._narrow_rows()
        self.settle(held, slips=True)
        self.redraw()

    def narrow(self) -> None:
        """Choose all rows again, as the user narrows or widens the view: the cursor comes back to what they chose."""
        held = self.here()
        self._narrow_rows()
        self.settle(self.row_cursor.back(held))
        self.redraw()

    def _fill(self) -> None:
        self.rows.fill((name, self.key(row), row) for name, row in self.source().items())
        if self.order.value is not None or self.grouping:
            self._order_rows()
        self._narrow_rows()

    def _order_rows(self) -> None:
        group = self.GROUPS.get(self.grouping)
        self.rows.order_by(self.order.value, group, falls=self.order.falls)
        self.row_lines.grouped = group is not None
        self.row_lines.changed()

    def narrows(self) -> tuple[object, ...]:
        """Return all that chooses which rows show, the filter's words last."""
        return (self.problems, self.pattern)

    def _narrow_rows(self) -> None:
        before, self._narrowed_by = self._narrowed_by, self.narrows()
        # A letter more in the filter leaves none that was not there before.
        further = bool(before and before[-1] and self.pattern) and before[:-1] == self._narrowed_by[:-1]
        further = further and not self.problems and is_narrower(self.pattern, str(before[-1]))
        self.rows.narrow(self.passing(of_all=True), further=further)
        self.row_lines.changed()

    def apply(self, ids: Iterable[str], now: float) -> None:
        """Take in the rows that changed."""
        held, rows, moved = self.here(), self.source(), False
        touched, checks = list(ids), self.passing()
        value, group = self.order.value, self.GROUPS.get(self.grouping)
        for name in touched:
            row = rows.get(name)
            self.forget_line(name)
            if row is None:
                moved |= self.rows.put(name, None)
                self.changed_at.pop(name, None)
                self.model.marks[self.NOUN].discard(name)
            else:
                moved |= self.rows.put(
                    name,
                    self.key(row),
                    row,
                    None if value is None else value(row),
                    None if group is None else group(row),
                    passes=all(check(row) for check in checks),
                )
        if moved:
            self.row_lines.changed()
            self.rows_moved(held)
        else:
            self.redraw_rows(touched)

    def rows_moved(self, held: str | None) -> None:
        """Draw anew what shows otherwise now that rows came, went or moved."""
        self.settle(held, slips=True)
        self.refresh()

    def redraw_rows(self, ids: Iterable[str]) -> None:
        """Draw these rows anew, which stay where they are."""
        self.redraw_lines(line for name in ids if (line := self.row_lines.line_of(name)) is not None)
        self.redraw_head()

    def settle(self, held: str | None, *, slips: bool = False) -> None:
        """Put the cursor on `held`; where that does not show, on what is in its place. `slips`: nobody wanted that."""
        self.cursor = self.row_cursor.place(held, self.cursor)
        self.show(self.cursor)
        if self.here() != held:
            self.row_cursor.moved(slipped=slips and held is not None)
            self.post_message(self.Moved(self))

    # Lines.

    def count(self) -> int:
        return self.row_lines.count()

    def identity(self, index: int) -> Hashable:
        return self.row_lines.name(index) or index
