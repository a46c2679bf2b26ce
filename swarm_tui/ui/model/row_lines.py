"""The lines of a table: a row each or so many cells of rows, under the heads of their groups, which can be folded."""

from bisect import bisect_right
from typing import Any

from msgspec import Struct

from swarm_tui.ui.model.sorted_rows import SortedRows

#: How the name of a head begins; no id holds it.
HEADING = "\0"
Group = tuple[Any, str]
"""A group: its place among others, and its name."""


def head_of(label: str) -> str:
    """Return the name of the head of the group that is called so."""
    return HEADING + label


class Span(Struct, frozen=True, gc=False):
    """A group's rows, from index `begin` to before `end`; `line` is that of its head, or of its first rows."""

    line: int
    label: str
    begin: int
    end: int
    folded: bool


class RowLines:
    """Lines by index, laid anew when it is told that rows `changed`. `across`: rows side by side on a line."""

    def __init__(self, rows: SortedRows) -> None:
        self._rows = rows
        self.across = 1
        self.grouped = False
        self.folded: set[str] = set()
        """Labels of the groups that are folded."""
        self._spans: list[Span] | None = None
        self._of_label: dict[str, Span] | None = None
        self._count = 0

    @property
    def plain(self) -> bool:
        """Tell whether each line is a row, and each row a line."""
        return not self.grouped and self.across == 1

    def changed(self) -> None:
        """Lay all out anew when it is asked for."""
        self._spans = None

    def spans(self) -> list[Span]:
        """Return the groups that show; all rows as one without a name where they are not grouped."""
        if self._spans is None:
            groups: list[tuple[Group, int]] = self._rows.groups() if self.grouped else [((0, ""), len(self._rows))]
            found, line, begin = [], 0, 0
            for (_, label), end in groups:
                folded = self.grouped and label in self.folded
                found.append(Span(line, label, begin, end, folded))
                line += self.grouped + (0 if folded else -(-(end - begin) // self.across))
                begin = end
            self._spans, self._count = found, line
            self._of_label = None
        return self._spans

    def of_head(self, name: str) -> Span | None:
        """Return the group whose head has this name; None where none has."""
        spans = self.spans()
        if self._of_label is None:
            self._of_label = {span.label: span for span in spans} if self.grouped else {}
        return self._of_label.get(name.removeprefix(HEADING))

    def count(self) -> int:
        """Count the lines."""
        if self.plain:
            return len(self._rows)
        self.spans()
        return self._count

    def span(self, line: int) -> Span:
        """Return the group that a line is in."""
        spans = self.spans()
        return spans[max(0, bisect_right(spans, line, key=lambda span: span.line) - 1)]

    def is_head(self, line: int) -> bool:
        """Tell whether the line is the head of a group."""
        return self.grouped and self.span(line).line == line

    def held(self, line: int) -> range:
        """Return the indices of the rows on a line; none of a head."""
        if self.plain:
            return range(line, line + 1)
        span = self.span(line)
        first = span.begin + (line - span.line - self.grouped) * self.across
        return range(first, min(first + self.across, span.end)) if first >= span.begin else range(0)

    def name(self, line: int, cell: int = 0) -> str | None:
        """Return the id of the row at a line, or the name of the head; None where nothing is."""
        if not 0 <= line < self.count():
            return None
        if self.is_head(line):
            return head_of(self.span(line).label)
        held = self.held(line)
        return self._rows[held[min(cell, len(held) - 1)]] if held else None

    def place(self, name: str) -> tuple[int, int] | None:
        """Return the line and the cell of a row, or of a head; None where it does not show, or in a folded group."""
        if name.startswith(HEADING):
            head = self.of_head(name)
            return None if head is None else (head.line, 0)
        index = self._rows.index(name)
        if index is None or self.plain:
            return None if index is None else (index, 0)
        spans = self.spans()
        span = spans[bisect_right(spans, index, key=lambda span: span.begin) - 1]
        line, cell = divmod(index - span.begin, self.across)
        return None if span.folded else (span.line + self.grouped + line, cell)

    def line_of(self, name: str) -> int | None:
        """Return the line of a row or of a head; None where it does not show."""
        place = self.place(name)
        return None if place is None else place[0]
