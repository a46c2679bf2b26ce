"""Rows in pages that each fit a reply which every reader takes."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from swarm_tui.protocol.raw import MAX_DEPTH, MAX_VALUES, too_much

PAGE_BYTES = 96 * 1024
#: The rest is for the envelope, and for the commas between the rows.
PAGE_VALUES = MAX_VALUES - 1000
#: A row stands in a list, in the reply's payload, in its envelope.
ROW_DEPTH = MAX_DEPTH - 3


def over(row: Any, depth: int = ROW_DEPTH) -> str | None:
    """Return in what the row is too much even for a page of its own; None when it fits one."""
    return too_much(msgspec.json.encode(row), size=PAGE_BYTES, depth=depth, values=PAGE_VALUES)


def pages(rows: Iterable[Any]) -> Iterator[tuple[list[Any], bool]]:
    """Yield the rows, which each fit a page, in pages; with each whether another follows. At least one page."""
    page: list[Any] = []
    size = values = 0
    for row in rows:
        raw = msgspec.json.encode(row)
        # Marks in strings are counted too: it is quick, and errs towards smaller pages.
        marks = raw.count(b"{") + raw.count(b"[") + raw.count(b",") + 1
        if page and (size + len(raw) + 1 > PAGE_BYTES or values + marks > PAGE_VALUES):
            yield page, True
            page, size, values = [], 0, 0
        page.append(row)
        size += len(raw) + 1
        values += marks
    yield page, False
