"""A live table: rows in order, columns that fit the width, marks, a filter, and one line redrawn per change."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style

from swarm_tui.ui.look.text import Parts, fit, flat
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.row_lines import HEADING, head_of
from swarm_tui.ui.widgets.columns import Column, Scene, lay_out
from swarm_tui.ui.widgets.table_rows import Row, TableRows

FLASH = 1.5
"""Seconds that a change stands out."""


class Table(TableRows[Row]):
    """Rows as they are drawn, under the heads of their groups where they are grouped."""

    def __init__(self, model: Model, *, id: str) -> None:
        super().__init__(model, id=id)
        self._laid: tuple[int, list[tuple[Column[Any], int]]] | None = None

    def title(self) -> list[tuple[str, str]]:
        """Return the panel's name and counts, as (text, style)."""
        raise NotImplementedError

    def faded(self, row: Row, scene: Scene) -> bool:
        """Tell whether the row's facts are too old to trust."""
        return scene.stale

    def flag(self, row: Row) -> Segment:
        """Return one character before the row, where the user's mark does not stand."""
        return Segment(" ")

    def head_clicked(self, x: int) -> None:
        at = 2
        for column, size in self.laid(self.text_width):
            if at <= x < at + size and column.sort is not None:
                self.order.click(column.head)
                self.sort()
            at += size + 1

    def settle(self, held: str | None, *, slips: bool = False) -> None:
        self._laid = None
        super().settle(held, slips=slips)

    def rows_moved(self, held: str | None) -> None:
        before = self._laid
        super().rows_moved(held)
        if before is None or self.laid(before[0]) != before[1]:
            self.forget_drawn()
        if self.row_lines.grouped:
            for span in self.row_lines.spans():
                self.forget_line(head_of(span.label))

    def redraw_rows(self, ids: Iterable[str]) -> None:
        super().redraw_rows(ids)
        if self.row_lines.grouped:
            spans = self.row_lines.spans()
            self.redraw_lines(span.line for span in spans if self.top <= span.line < self.top + self.room)

    # Groups.

    def group_by(self, name: str) -> None:
        """Group the rows by this, or by nothing where it is empty; all groups are open."""
        self.grouping = name
        self.row_lines.folded.clear()
        self.sort()

    def fold_here(self) -> bool:
        """Fold or open the group whose head is under the cursor; False where there is none."""
        name = self.here() or ""
        if self.on_head():
            self.fold(name.removeprefix(HEADING))
        return name.startswith(HEADING)

    def on_head(self) -> bool:
        """Tell whether the cursor is on the head of a group."""
        return (self.here() or "").startswith(HEADING)

    def mark(self) -> None:
        """Mark the row under the cursor, or take its mark away, and go on; at the head of a group all of it."""
        marks, name = self.model.marks[self.NOUN], self.here()
        if name is None:
            return
        if not self.on_head():
            marks ^= {name}
            self.redraw_line(self.cursor)
        elif (ids := set(self.of_group(name.removeprefix(HEADING)))) <= marks:
            marks -= ids
            self.redraw()
        else:
            marks |= ids
            self.redraw()
        self.redraw_head()
        self.move(1)

    def fold_all(self) -> None:
        """Fold all groups, or open all where all are folded."""
        labels = {span.label for span in self.row_lines.spans()}
        held = self.here()
        group = None if held is None or held.startswith(HEADING) else self.rows.group(held)
        folds = not labels <= self.row_lines.folded
        self.row_lines.folded.clear()
        self.row_lines.folded |= labels if folds else set()
        self.row_lines.changed()
        self.settle(head_of(group[1]) if folds and group is not None else held)
        self.row_cursor.choose(self.here())
        self.redraw()

    def of_group(self, label: str) -> list[str]:
        """Return the ids that show, or are folded away, of the group that is called so."""
        span = self.row_lines.of_head(head_of(label))
        return [] if span is None else [self.rows[index] for index in range(span.begin, span.end)]

    def group_parts(self, label: str, ids: Sequence[str], width: int) -> Parts:
        """Return what the head of a group says after its name and count."""
        return []

    def _group_line(self, index: int, width: int) -> Parts:
        look, span = self.look, self.row_lines.span(index)
        mark = "▸" if span.folded else "▾"
        parts = [
            Segment(" "),
            Segment(f"{mark} {flat(span.label, 60)} ", look["strong"]),
            Segment(f"{span.end - span.begin:,}", look["quiet"]),
        ]
        return [*parts, *self.group_parts(span.label, self.of_group(span.label), width)]

    # Lines.

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
        name = self.row_lines.name(index)
        if name is not None and name.startswith(HEADING):
            return self._group_line(index, width)
        row = None if name is None else self.source().get(name)
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

    def titled(self) -> Parts:
        """Return the panel's name and counts, and what narrows and orders its rows."""
        look = self.look
        strong = look["head-on"] if self.has_focus else look["strong"]
        title = [Segment("▌" if self.has_focus else " ", look["accent"])]
        title += [Segment(text, strong if style == "title" else look[style]) for text, style in self.title()]
        return title + _narrowed(self)

    def head(self, width: int) -> list[Parts]:
        look, title = self.look, self.titled()
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
    if table.grouping:
        parts.append(Segment(f" by {table.grouping}", look["accent"]))
    if order.head:
        parts.append(Segment(f" {order.arrow}{order.head}", look["accent"]))
    if table.problems:
        parts.append(Segment(" !", look["warn"]))
    if table.pattern:
        parts.append(Segment(f" /{flat(table.pattern, 20)}", look["accent"]))
    return parts
