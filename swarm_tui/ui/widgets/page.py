"""A page of lines that are laid out once and again when its facts change."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from rich.segment import Segment
from rich.style import Style

from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.lines import Lines

#: A line of a page, and what it is about: something to open, or to copy.
Line = tuple[Parts, object]


class Value(Struct, frozen=True):
    """The saying of a line, without its name, and whole where the line shows only a part; `about` is what it opens."""

    said: Any
    about: object = None

    @property
    def text(self) -> str:
        """Return it as it is copied: text as it is, anything else as JSON."""
        return self.said if isinstance(self.said, str) else msgspec.json.encode(self.said).decode()


class PageLines(Lines):
    """`lay(width)` gives the lines; `renew()` asks for them again and redraws only those that differ."""

    def __init__(self, lay: Callable[[int], list[Line]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lay = lay
        self.laid: list[Line] = []
        self.needle = ""
        """What was looked for last; it stands out."""
        self._for = -1

    def leave(self) -> None:
        """Forget what it was about, and begin at the top again."""
        self.top = self.cursor = 0
        self.tail = False
        self.needle = ""
        self.laid = []
        self.forget_drawn()

    def renew(self) -> None:
        """Lay the page out again."""
        width = max(20, self.size.width - 1)
        before, self.laid, self._for = self.laid, self._lay(width), width
        if len(before) != len(self.laid):
            self.cursor = max(0, min(self.cursor, len(self.laid) - 1))
            self.top = max(0, min(self.top, len(self.laid) - self.room))
            if self.tail:
                self.cursor = max(0, len(self.laid) - 1)
                self.top = max(0, len(self.laid) - self.room)
            self.redraw()
            return
        self.redraw_lines(i for i, (old, new) in enumerate(zip(before, self.laid, strict=True)) if old[0] != new[0])

    def on_resize(self) -> None:
        self.renew()

    def count(self) -> int:
        return len(self.laid)

    def parts(self, index: int, width: int) -> Parts:
        parts = self.laid[index][0]
        return highlighted(parts, self.needle, self.look["match"]) if self.needle else parts

    def subject(self) -> object:
        """Return what the line under the cursor is about."""
        about = self.laid[self.cursor][1] if self.cursor < len(self.laid) else None
        return about.about if isinstance(about, Value) else about

    def value(self) -> str | None:
        """Return what the line under the cursor says; None where it is no name with a value."""
        about = self.laid[self.cursor][1] if self.cursor < len(self.laid) else None
        return about.text if isinstance(about, Value) else None

    def text(self, index: int) -> str:
        """Return the line as text."""
        return "".join(segment.text for segment in self.laid[index][0]).rstrip()


def beside(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Put two blocks of lines side by side, the left one `width` columns; what a line is about the left one says."""
    lines: list[Line] = []
    for number in range(max(len(left), len(right))):
        parts, about = left[number] if number < len(left) else ([], None)
        used = sum(part.cell_length for part in parts)
        lines.append(
            ([*parts, Segment(" " * max(0, width - used)), *(right[number][0] if number < len(right) else [])], about)
        )
    return lines


def rule(title: str, width: int, page: Lines, about: object = None) -> Line:
    """Return a heading across the page."""
    text = f"── {title} "
    return [Segment(text, page.look["accent"]), Segment("─" * max(0, width - len(text)), page.look["track"])], about


def highlighted(parts: Parts, needle: str, style: Style) -> Parts:
    """Return the parts with each `needle` in them in another style."""
    text, low = "".join(part.text for part in parts).lower(), needle.lower()
    if not needle or low not in text or len(text) != sum(len(part.text) for part in parts):
        return parts
    lit = bytearray(len(text))
    at = text.find(low)
    while at >= 0:
        lit[at : at + len(low)] = b"\1" * len(low)
        at = text.find(low, at + len(low))
    drawn: Parts = []
    start = 0
    for part in parts:
        for n, character in enumerate(part.text):
            base = part.style or Style()
            drawn.append(Segment(character, base + style if lit[start + n] else base))
        start += len(part.text)
    return list(Segment.simplify(drawn))
