"""A terminal pane: live at its end; scrolled, or searched, it holds still and has the pane's history before it."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.sgr import parse, plain
from swarm_tui.ui.look.text import Parts, flat
from swarm_tui.ui.widgets.lines import Lines

FAR = -1_000_000
"""Higher than any history reaches."""
_HIT = Style(bold=True, underline=True, reverse=True)


ALIKE = 20
"""Lines that must be the same for two readings to be laid over each other."""


class Scrollback:
    """Lines of one reading, in rows of `width` columns.

    `whole` says that it holds the pane's history, and not only what the terminal shows.
    """

    def __init__(self, raw: Sequence[str] = (), *, whole: bool = False, width: int = 0) -> None:
        end = len(raw)
        while end and not raw[end - 1].strip():
            end -= 1
        self.read = list(raw[:end])
        """Its lines, however wide."""
        self.raw: list[str] = []
        """Its rows: no wider than there is room for."""
        self.whole = whole
        self.lines: list[Parts] = []
        style = Style()
        for line in self.read:
            segments, style = parse(line.rstrip(), style)
            for number, row in enumerate(_wrapped(segments, width)):
                self.raw.append(line if number == 0 and row is segments else "".join(part.text for part in row))
                self.lines.append(row)

    def text_of(self, index: int) -> str:
        """Return a line without colours."""
        return plain(self.raw[index]).rstrip()

    def text(self) -> str:
        """Return all lines, without colours."""
        return "\n".join(self.text_of(index) for index in range(len(self.raw)))

    def has(self, index: int, words: str) -> bool:
        """Tell whether the line holds the words, in capitals or not."""
        return words.lower() in "".join(segment.text for segment in self.lines[index]).lower()

    def hits(self, words: str) -> list[int]:
        """Return the lines that hold the words."""
        return [index for index in range(len(self.lines)) if self.has(index, words)]

    def lower_by(self, older: "Scrollback") -> int:
        """Return by how many lines what an older reading holds stands lower in this one."""
        most = 0 if older.whole or not self.whole else len(self.raw) - len(older.raw)
        for by in range(most, -len(older.raw), -1):
            here, there = max(0, by), max(0, -by)
            size = min(ALIKE, len(self.raw) - here, len(older.raw) - there)
            if self.raw[here : here + size] == older.raw[there : there + size]:
                return by
        return most


def _wrapped(line: Parts, width: int) -> list[Parts]:
    """Return the line in rows of so many columns; whole where `width` is 0."""
    size = sum(part.cell_length for part in line)
    if not width or size <= width:
        return [line]
    return [list(row) for row in Segment.divide(line, [*range(width, size, width), size])]


class PaneView(Lines):
    """A pane. Only the changed lines are redrawn while it follows.

    What has scrolled is one reading of all the pane printed, so that no line is missing between the history and the
    end; it is read when somebody goes above the first line, and again for each search.
    """

    HEAD = 1
    CURSOR = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pane_id: str | None = None
        self.agent_id: str | None = None
        self.state: tuple[str, str] = ("", "plain")
        self.why_empty: list[str] = []
        self.needle = ""
        self._forget()

    def _forget(self) -> None:
        self.top, self.tail = 0, True
        self.hit: int | None = None
        self._hits: list[int] = []
        self._scrollback = Scrollback()
        self._live: list[str] = []
        self._pending_scrolls: list[int] = []
        """By how many lines to go once the history is there: the keys that were pressed since it was asked for."""
        self._pending_search: str | None = None

    def follow_agent(self, agent_id: str | None, pane_id: str | None, state: tuple[str, str], why: list[str]) -> None:
        """Show another agent's pane, or a new state of the same."""
        if (agent_id, pane_id) != (self.agent_id, self.pane_id):
            self.agent_id, self.pane_id = agent_id, pane_id
            self._forget()
            self.redraw()
        if why != self.why_empty:
            self.why_empty = why
            if not self.count():
                self.redraw()
        if state != self.state:
            self.state = state
            self.redraw_head()

    # What is read.

    def capture(self, lines: list[str]) -> None:
        """Take in the pane as it is now."""
        self._live = lines
        if self.tail:
            self._set(Scrollback(lines, width=self.text_width))

    def history(self, pane_id: str, lines: list[str]) -> None:
        """Take in all that the pane printed, as it was asked for; nothing when it could not be had."""
        if pane_id != self.pane_id or not (self._pending_scrolls or self._pending_search):
            return
        scrolls, sought = self._pending_scrolls, self._pending_search
        self._pending_scrolls, self._pending_search = [], None
        if lines:
            fresh = Scrollback(lines, whole=True, width=self.text_width)
            by = fresh.lower_by(self._scrollback)
            self.hit = None if self.hit is None or self.hit + by < 0 else self.hit + by
            self.top = max(0, self.top + by)
            self._set(fresh)
        for by in scrolls:
            self.go(max(0, self.top + by))
        if sought is not None:
            self._find(sought)
        self.redraw()

    def _set(self, fresh: Scrollback) -> None:
        before, self._scrollback = self._scrollback.lines, fresh
        if len(before) != len(fresh.lines):
            if self.tail:
                self.show_end()
            self.redraw()
            return
        pairs = enumerate(zip(before, fresh.lines, strict=True))
        self.redraw_lines(i for i, (old, new) in pairs if old != new)

    # Moving.

    def show_end(self) -> None:
        """Go to the end."""
        self.top = self.cursor = max(0, self.count() - self.room)

    def follow_end(self) -> None:
        """Keep to the end from now on."""
        self.tail = True
        self.hit = self._pending_search = None
        self._pending_scrolls = []
        self._set(Scrollback(self._live, width=self.text_width))
        self.show_end()
        self.redraw()

    def go(self, index: int) -> None:
        if self._pending_scrolls or (index < 0 and not self._scrollback.whole and self.pane_id is not None):
            self._await(index - self.top)
            return
        super().go(index)
        if self.top < self.count() - self.room:
            self.tail = False
        elif not self.tail:
            self.follow_end()
        self.redraw_head()

    def _await(self, by: int) -> None:
        """Hold still, above the first line, and get what is older."""
        if not self._pending_scrolls:
            desk_of(self).panes.load_history(self)
        self._pending_scrolls.append(by)
        self.tail = False
        self.redraw_head()

    def last(self) -> None:
        self.follow_end()

    def move(self, by: int) -> None:
        self.go(self.top + by)

    def first(self) -> None:
        self.go(FAR)

    def page(self, by: int) -> None:
        self.go(self.top + by * max(1, self.room - 1))

    def wheel(self, by: int) -> None:
        self.go(self.top + by)

    def room_for_text(self) -> tuple[int, int] | None:
        """Return the columns and lines that its text has; None before it was laid out."""
        return (self.text_width, self.room) if self.text_width and self.room else None

    def on_resize(self) -> None:
        super().on_resize()
        desk_of(self).panes.watch()
        if any(sum(part.cell_length for part in row) > self.text_width for row in self._scrollback.lines) or (
            len(self._scrollback.raw) > len(self._scrollback.read)
        ):
            self._set(Scrollback(self._scrollback.read, whole=self._scrollback.whole, width=self.text_width))
            self.top = max(0, min(self.top, self.count() - self.room))
            self.redraw()
        if self.tail:
            self.show_end()

    # Searching.

    def search(self, words: str) -> None:
        """Go to the last line that holds the words, of all that the pane printed; the same again: to the one before."""
        if not words or self.pane_id is None:
            self.needle, self.hit = words, None
            self.redraw()
            return
        self._pending_search = words
        desk_of(self).panes.load_history(self)

    def _find(self, words: str) -> None:
        """Go to the next hit above the last one, or above the view's end; from the first on to the last."""
        before = self.hit if words == self.needle else None
        self.needle, self.hit, self._hits = words, None, self._scrollback.hits(words)
        if self._hits:
            end = self.top + self.room if before is None else before
            self.hit = max((hit for hit in self._hits if hit < end), default=self._hits[-1])
            self.tail = False
            self.scroll_lines(max(0, min(self.hit - self.room // 2, self.count() - self.room)))
            return
        desk_of(self).say(f"the pane has no {words!r}")
        if self.tail:
            self.follow_end()

    # Drawing.

    def count(self) -> int:
        return len(self._scrollback.lines)

    def parts(self, index: int, width: int) -> Parts:
        if self.needle and self._scrollback.has(index, self.needle):
            text = "".join(segment.text for segment in self._scrollback.lines[index])
            return [Segment(text, self.look["match"] + _HIT if index == self.hit else self.look["match"])]
        return self._scrollback.lines[index]

    def head(self, width: int) -> list[Parts]:
        look = self.look
        parts = [
            Segment("▌" if self.has_focus else " ", look["accent"]),
            Segment("PANE", look["head-on"] if self.has_focus else look["strong"]),
            Segment(f" {flat(self.agent_id or '', 40)} ", look["strong"]),
            Segment(self.state[0], look[self.state[1]]),
        ]
        if self.hit is not None:
            place = len(self._hits) - self._hits.index(self.hit)
            parts.append(Segment(f" /{flat(self.needle, 20)} {place} of {len(self._hits)}", look["accent"]))
        if not self.tail:
            below = max(0, self.count() - self.top - self.room)
            held = f" held{f', {below} lines below' if below else ''}: {self.told('follow')} follows"
            parts.append(Segment(held, look["warn"]))
        return [parts]

    def empty(self) -> list[str]:
        return self.why_empty

    # Copying.

    def text(self) -> str:
        """Return all lines, without colours."""
        return self._scrollback.text()

    def copy_under(self, y: int) -> None:
        line = y - self.HEAD
        if line >= 0 and self.top + line < self.count() and (text := self._scrollback.text_of(self.top + line)):
            self.focus()
            desk_of(self).copy(text)
