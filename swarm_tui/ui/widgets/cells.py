"""A table that can be turned into a map: each row a cell, as many as there is room for, state by glyph and colour."""

from collections.abc import Hashable

from rich.segment import Segment
from rich.style import Style
from textual.events import Click

from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.table import Table
from swarm_tui.ui.widgets.table_rows import Row

MARGIN = 2
"""Columns before the first cell."""


class CellTable(Table[Row]):
    """Order, groups, filter, marks and cursor are those of the table."""

    mapped = False
    """True while it is a map."""
    cell = 0
    """Cell of the cursor in its line."""

    # What a subclass gives.

    def cell_look(self, row: Row) -> tuple[str, str]:
        """Return the glyph of a row and its style."""
        raise NotImplementedError

    def told_of(self, row: Row, width: int) -> Parts:
        """Return what the map's first line tells of the row under the cursor."""
        raise NotImplementedError

    def legend(self, words: bool) -> Parts:
        """Return what the glyphs mean and how many there are of each, in words or by the glyphs alone."""
        return []

    # Cells.

    @property
    def _cell_width(self) -> int:
        """Return two columns a cell where all have room so, else one."""
        roomy = max(1, (self.text_width - MARGIN) // 2) * max(1, self.room)
        return 2 if len(self.rows) <= roomy else 1

    def show_map(self, on: bool) -> None:
        """Be a map, or the table again; the cursor stays on its row."""
        held = self.here()
        self.mapped = on
        self._lay_cells()
        self.settle(held)
        self.redraw()

    def _lay_cells(self) -> None:
        across = max(2, (self.text_width - MARGIN) // self._cell_width) if self.mapped else 1
        if across != self.row_lines.across:
            self.row_lines.across = across
            self.row_lines.changed()

    def step(self, by: int) -> None:
        """Go to the cell before or after, in whichever line that is."""
        held = self.row_lines.held(self.cursor)
        cell, line = min(self.cell, len(held) - 1) + by, self.cursor
        if not 0 <= cell < len(held):
            line += by
            if not 0 <= line < self.count():
                return
            cell = max(0, len(self.row_lines.held(line)) - 1) if by < 0 else 0
        self.cell = cell
        self.go(line)
        self.redraw_line(line)
        self.redraw_head()
        self.post_message(self.Moved(self))

    def here(self) -> str | None:
        return self.row_lines.name(self.cursor, self.cell)

    def go(self, index: int) -> None:
        super().go(index)
        if self.mapped:
            self.redraw_head()

    def settle(self, held: str | None, *, slips: bool = False) -> None:
        if self.mapped:
            self._lay_cells()
            place = None if held is None else self.row_lines.place(held)
            self.cell = self.cell if place is None else place[1]
        super().settle(held, slips=slips)

    def select(self, row: str) -> bool:
        place = self.row_lines.place(row)
        self.cell = self.cell if place is None else place[1]
        found = super().select(row)
        self.redraw_line(self.cursor)
        return found

    def rows_moved(self, held: str | None) -> None:
        super().rows_moved(held)
        if self.mapped:
            self.forget_drawn()

    def on_resize(self) -> None:
        if self.mapped:
            self.settle(self.here())  # Textual has the base's handler do its part afterwards.

    def on_click(self, event: Click) -> None:
        if self.mapped:
            self.cell = max(0, (event.x - MARGIN) // self._cell_width)
            self.redraw_line(self.cursor)
            self.redraw_head()

    # Lines.

    def identity(self, index: int) -> Hashable:
        if self.mapped and not self.row_lines.is_head(index):
            return "cells", index
        return super().identity(index)

    def dated(self, index: int) -> object:
        return () if self.mapped else super().dated(index)

    def laid_over(self, index: int, parts: Parts) -> tuple[Parts, Style | None]:
        if self.mapped and not self.row_lines.is_head(index):
            return parts, None
        return super().laid_over(index, parts)

    def parts(self, index: int, width: int) -> Parts:
        if not self.mapped or self.row_lines.is_head(index):
            return super().parts(index, width)
        rows, marks, look, wide = self.source(), self.model.marks[self.NOUN], self.look, self._cell_width
        parts: Parts = [Segment(" " * MARGIN)]
        held = self.row_lines.held(index)
        at = min(self.cell, len(held) - 1) if index == self.cursor else -1
        for number, each in enumerate(held):
            name = self.rows[each]
            row = rows.get(name)
            glyph, style = (
                ("◆", "mark") if name in marks else self.cell_look(row) if row is not None else (" ", "plain")
            )
            if number == at:
                parts.append(Segment(glyph, look[style] + Style(reverse=True, bold=True)))
                parts.append(Segment(" " * (wide - 1)))
            else:
                parts.append(Segment(glyph + " " * (wide - 1), look[style]))
        return parts

    def head(self, width: int) -> list[Parts]:
        if not self.mapped:
            return super().head(width)
        title = self.titled()
        row = self.source().get(self.here() or "")
        if row is None:
            return [title]
        room = width - sum(part.cell_length for part in title) - 3
        for words in (True, False):
            legend = self.legend(words)
            size = sum(part.cell_length for part in legend)
            if size and size <= room * 3 // 5:
                told = self.told_of(row, room - size)
                spare = room - size - sum(part.cell_length for part in told)
                return [[*title, Segment("  "), *told, Segment(" " * spare), *legend]]
        return [[*title, Segment("  "), *self.told_of(row, room)]]
