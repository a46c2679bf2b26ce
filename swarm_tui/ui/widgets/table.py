"""A live table: rows in order, columns that fit the width, marks, a filter, and one line redrawn per change."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style

from swarm_tui.ui.look.text import Parts, fit, flat
from swarm_tui.ui.model.filters import Searched, read_filter
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.sorted_rows import Key, RowCursor, SortedRows
from swarm_tui.ui.widgets.columns import Column, Scene, lay_out
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.order import Order

Row = TypeVar("Row")
FLASH = 1.5
"""Seconds that a change stands out."""


class Table(Lines, Generic[Row]):
    """Rows of one kind. Subclasses name the columns, the rows, their order and what a filter looks at."""

    HEAD = 1
    NOUN = "rows"
    COLUMNS: Sequence[Column[Any]] = ()

    def __init__(self, model: Model, *, id: str) -> None:
        super().__init__(id=id)
        self.model = model
        self.rows = SortedRows()
        self.order = Order(self.COLUMNS)
        self.pattern = ""
        self.problems = False
        self.row_cursor = RowCursor(self.rows, model.clock)
        self.changed_at: dict[str, float] = {}
        self._laid: tuple[int, list[tuple[Column[Any], int]]] | None = None

    # What a subclass gives.

    def source(self) -> Mapping[str, Row]:
        """Return all rows by id."""
        raise NotImplementedError

    def key(self, row: Row) -> Key:
        """Return its place in the order."""
        raise NotImplementedError

    def searched(self, row: Row) -> Searched:
        """Return what the filter looks at."""
        raise NotImplementedError

    def in_trouble(self, row: Row) -> bool:
        """Tell whether the problems-only view shows it."""
        raise NotImplementedError

    def title(self) -> list[tuple[str, str]]:
        """Return the panel's name and counts, as (text, style)."""
        raise NotImplementedError

    def faded(self, row: Row, scene: Scene) -> bool:
        """Tell whether the row's facts are too old to trust."""
        return scene.stale

    def flag(self, row: Row) -> Segment:
        """Return one character before the row, where the user's mark does not stand."""
        return Segment(" ")

    # Rows.

    def wanted(self, row: Row) -> bool:
        """Tell whether the row passes the filter and the problems-only view."""
        if self.problems and not self.in_trouble(row):
            return False
        if not self.pattern:
            return True
        return read_filter(self.pattern).takes(self.searched(row), self.model.clock())

    def current(self) -> str | None:
        """Return the id under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

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
        self.refill()

    def head_clicked(self, x: int) -> None:
        at = 2
        for column, size in self.laid(self.text_width):
            if at <= x < at + size and column.sort is not None:
                self.order.click(column.head)
                self.sort()
            at += size + 1

    def go(self, index: int) -> None:
        super().go(index)
        self.row_cursor.choose(self.current())

    def select(self, row: str) -> bool:
        """Put the cursor on the id; False when it does not show."""
        index = self.rows.index(row)
        if index is None:
            return False
        self.go(index)
        return True

    def lend(self, row: str | None) -> None:
        """Put the cursor on the id, or at the top, till the view is wide again: what the user chose stays chosen."""
        chosen = self.row_cursor.chosen
        if row is not None and self.select(row):
            self.row_cursor.chosen = chosen
        elif row is None:
            self.row_cursor.let_go()
            self._settle(self.current())
            self.redraw()

    def refill(self) -> None:
        """Choose and order all rows again, as facts changed."""
        held = self.current()
        self._fill()
        self._settle(held, slips=True)
        self.redraw()

    def narrow(self) -> None:
        """Choose all rows again, as the user narrows or widens the view: the cursor comes back to what they chose."""
        held = self.current()
        self._fill()
        self._settle(self.row_cursor.back(held))
        self.redraw()

    def _fill(self) -> None:
        rows = self.source()
        self.rows.fill((name, self.order.key(row, self.key(row))) for name, row in rows.items() if self.wanted(row))

    def apply(self, ids: Iterable[str], now: float) -> None:
        """Take in the rows that changed."""
        held, rows, moved = self.current(), self.source(), False
        touched = list(ids)
        for name in touched:
            row = rows.get(name)
            self.forget_line(name)
            key = self.order.key(row, self.key(row)) if row is not None and self.wanted(row) else None
            moved |= self.rows.put(name, key)
            if row is None:
                self.changed_at.pop(name, None)
                self.model.marks[self.NOUN].discard(name)
        if moved:
            before = self._laid
            self._settle(held, slips=True)
            if before is None or self.laid(before[0]) != before[1]:
                self.forget_drawn()
            self.refresh()
        else:
            self.redraw_lines(index for name in touched if (index := self.rows.index(name)) is not None)
            self.redraw_head()

    def _settle(self, held: str | None, *, slips: bool = False) -> None:
        """Put the cursor on `held`; where that does not show, on what is in its place. `slips`: nobody wanted that."""
        self._laid = None
        self.cursor = self.row_cursor.place(held, self.cursor)
        self.show(self.cursor)
        if self.current() != held:
            self.row_cursor.moved(slipped=slips and held is not None)
            self.post_message(self.Moved(self))

    # Lines.

    def count(self) -> int:
        return len(self.rows)

    def identity(self, index: int) -> Hashable:
        return self.rows[index] if index < len(self.rows) else index

    def scene(self) -> Scene:
        """Return what the cells need to know."""
        return Scene(self.look, self.model.clock(), self.model.stale, self.model.fleet.tasks, self.changed_at)

    def limits(self) -> dict[str, int]:
        """Return the most columns of those heads whose width depends on what they hold."""
        return {}

    def laid(self, width: int) -> list[tuple[Column[Any], int]]:
        """Return the columns that fit `width`, less those of the cursor's bar and the marks."""
        if self._laid is None or self._laid[0] != width:
            self._laid = (width, lay_out(self.COLUMNS, width - 2, self.limits()))
        return self._laid[1]

    def parts(self, index: int, width: int) -> Parts:
        name = self.rows[index]
        row = self.source().get(name)
        if row is None:
            return []
        scene = self._frame.once(self.scene)
        mark = Segment("◆", self.look["mark"]) if name in self.model.marks[self.NOUN] else self.flag(row)
        parts: Parts = [Segment(" "), mark]
        for column, size in self.laid(width):
            if len(parts) > 2:
                parts.append(Segment(" "))
            parts.extend(column.draw(row, scene, size))
        if self.faded(row, scene):
            dim = Style(dim=True, bold=False)
            parts = [Segment(s.text, (s.style or Style()) + dim) for s in parts]
        return parts

    def empty(self) -> list[str]:
        waiting = self.model.waiting()
        if waiting and not self.pattern:
            return [f"Opening: waiting for {waiting}"]
        return self.nothing()

    def nothing(self) -> list[str]:
        """Return what to say when there is no row: what is so, and what to do next."""
        return []

    def head(self, width: int) -> list[Parts]:
        look = self.look
        strong = look["head-on"] if self.has_focus else look["strong"]
        title = [Segment("▌" if self.has_focus else " ", look["accent"])]
        title += [Segment(text, strong if style == "title" else look[style]) for text, style in self.title()]
        title += _narrowed(self)
        used = sum(segment.cell_length for segment in title)
        heads: Parts = []
        at = 2
        for column, size in self.laid(width - 1):
            if at > used + (not heads):
                heads.append(Segment(" " * (at - used)))
                sorts = bool(column.head) and column.head == self.order.head
                text = fit(column.head[: size - sorts] + (self.order.arrow if sorts else ""), size, column.right)
                heads.append(Segment(text, look["accent" if sorts else "quiet"]))
                used = at + size
            at += size + 1
        return [title + heads]


def _narrowed(table: Table[Any]) -> Parts:
    """Return what keeps rows from showing, their order, and what an act would take."""
    look, marks, order = table.look, len(table.model.marks[table.NOUN]), table.order
    parts = [Segment(f" {marks} marked", look["mark"])] if marks else []
    if order.head:
        parts.append(Segment(f" {order.arrow}{order.head}", look["accent"]))
    if table.problems:
        parts.append(Segment(" !", look["warn"]))
    if table.pattern:
        parts.append(Segment(f" /{flat(table.pattern, 20)}", look["accent"]))
    return parts
