"""The base of every live list: lines by index, each drawn once and cached, one region refreshed for a changed line."""

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from swarm_tui.ui.desk.capabilities import Copies
from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.dragging import Dragging


class Lines(Dragging, can_focus=True):
    """A scrolling list with a cursor. Subclasses say how many lines there are and what each holds.

    `tail` keeps the cursor on the last line as lines arrive. A line's identity is `identity(index)`: the cursor stays
    on it when lines move.
    """

    DEFAULT_CSS = "Lines { height: 1fr; width: 1fr; }"
    HEAD = 0
    """Fixed lines at the top."""
    CURSOR = True
    BAR = True
    """Whether the scroll bar shows."""

    class Opened(Message):
        """Enter, or a double click, on a line."""

        def __init__(self, lines: "Lines") -> None:
            super().__init__()
            self.lines = lines

    class Moved(Message):
        """The cursor is on another line."""

        def __init__(self, lines: "Lines") -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.top = 0
        self.cursor = 0
        self.tail = False
        self._cache: dict[int, Strip] = {}

    # What a subclass gives.

    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def parts(self, index: int, width: int) -> Parts:
        """Line `index` in exactly or at most `width` columns."""
        raise NotImplementedError

    def head(self, width: int) -> list[Parts]:
        """The fixed lines at the top."""
        return []

    def identity(self, index: int) -> str:
        """What line `index` is about; "" when lines have no identity."""
        return ""

    def marked(self, index: int) -> bool:
        """Whether line `index` carries the user's mark."""
        return False

    def empty(self) -> list[str]:
        """What to say when there is no line: what is so, and what to do next."""
        return []

    def told(self, act: str) -> str:
        """The key of an act, for a sentence."""
        return desk_of(self).registry.told(act)

    # Geometry.

    @property
    def look(self) -> ThemeStyles:
        """The styles of the theme."""
        return desk_of(self).look

    @property
    def room(self) -> int:
        """How many lines fit."""
        return max(0, self.size.height - self.HEAD)

    @property
    def _wide(self) -> int:
        """The columns of a line; the last one is the scroll bar's, so that a line keeps its width as others come."""
        return max(0, self.size.width - 1)

    def show(self, index: int) -> None:
        """Scroll as little as brings line `index` into view."""
        last = max(0, self.count() - self.room)
        top = min(self.top, last)
        if index < top:
            top = index
        elif index >= top + self.room:
            top = index - self.room + 1
        self._scroll(max(0, min(top, last)))

    def _scroll(self, top: int) -> None:
        if top != self.top:
            self.top = top
            self._cache.clear()
            self.refresh()

    # Redrawing.

    def redraw(self) -> None:
        """Draw all that shows again."""
        self._cache.clear()
        self.refresh()

    def redraw_line(self, index: int) -> None:
        """Draw one line again, if it shows and has changed."""
        if not self.top <= index < self.top + self.room:
            return
        old = self._cache.pop(index, None)
        if index >= self.count() or old is None or self._strip(index) != old:
            self.refresh(Region(0, self.HEAD + index - self.top, self.size.width, 1))

    def redraw_lines(self, indices: Iterable[int]) -> None:
        """Draw these lines again."""
        for index in indices:
            self.redraw_line(index)

    def redraw_head(self) -> None:
        """Draw the fixed lines again."""
        if self.HEAD:
            self.refresh(Region(0, 0, self.size.width, self.HEAD))

    def tick(self) -> None:
        """A second went by: draw the lines whose ages changed."""
        for index in list(self._cache):
            self.redraw_line(index)

    # Moving.

    def move(self, by: int) -> None:
        """Move the cursor by lines."""
        self.go(self.cursor + by)

    def go(self, index: int) -> None:
        """Put the cursor on line `index`, or on the nearest there is."""
        index = max(0, min(index, self.count() - 1))
        if not self.CURSOR:
            self._scroll(max(0, min(index, self.count() - self.room)))
            self.cursor = self.top
            return
        old, self.cursor = self.cursor, index
        if old != index:
            self.redraw_line(old)
            self.redraw_line(index)
        self.show(index)
        if old != index:
            self.post_message(self.Moved(self))

    def goes(self) -> bool:
        """Whether the movement keys lead anywhere."""
        return self.count() > 0

    def first(self) -> None:
        """Go to the first line."""
        self.go(0)

    def last(self) -> None:
        """Go to the last line."""
        self.go(self.count() - 1)

    def page(self, by: int) -> None:
        """Move by pages: what shows moves too, wherever in it the cursor stands."""
        step = by * max(1, self.room - 1)
        self._scroll(max(0, min(self.top + step, self.count() - self.room)))
        self.go(self.cursor + step)

    # Drawing.

    def render_line(self, y: int) -> Strip:
        return self.lit(y, self.bare_line(y))

    @property
    def text_width(self) -> int:
        return self._wide

    def bare_line(self, y: int) -> Strip:
        """One line of the widget, from the cache where it is there."""
        width = self.size.width
        base = self.rich_style
        if y < self.HEAD:
            heads = self.head(width)
            return self._finish(heads[y] if y < len(heads) else [], width, base, self.look["head"])
        index = self.top + y - self.HEAD
        if index >= self.count():
            return self._blank(y - self.HEAD, width, base)
        return self._strip(index)

    def _strip(self, index: int) -> Strip:
        strip = self._cache.get(index)
        if strip is None:
            strip = self._draw(index)
            self._cache[index] = strip
        return strip

    def _draw(self, index: int) -> Strip:
        wide = self._wide
        over, parts = None, self.parts(index, wide)
        if self.CURSOR and index == self.cursor:
            over = self.look["cursor"] if self.has_focus else self.look["rest"]
            if self.has_focus or not self.can_focus:
                parts = _pointed(parts, self.look["accent"])
        strip = self._finish(parts, wide, self.rich_style, over)
        if self._has_bar:
            return Strip.join([strip, self._bar(index - self.top)])
        return strip.adjust_cell_length(self.size.width, self.rich_style + over if over else self.rich_style)

    @staticmethod
    def _finish(parts: Parts, width: int, base: Style, over: Style | None) -> Strip:
        style = base + over if over is not None else base
        strip = Strip(Segment.apply_style(parts, style)).simplify()
        return strip.adjust_cell_length(width, style)

    @property
    def _has_bar(self) -> bool:
        return self.BAR and self.count() > self.room

    def _bar_top(self, y: int) -> int:
        """The line that is at the top when the scroll bar stands at `y`."""
        return round(y * (self.count() - self.room) / max(1, self.room - 1))

    def _bar(self, y: int) -> Strip:
        count, room = max(1, self.count()), max(1, self.room)
        size = max(1, room * room // count)
        start = round(self.top * (room - size) / max(1, count - room))
        on = start <= y < start + size
        return Strip([Segment("▐" if on else "│", self.rich_style + self.look["accent" if on else "track"])], 1)

    def _blank(self, y: int, width: int, base: Style) -> Strip:
        says = self.empty() if self.count() == 0 else []
        start = max(0, (self.room - len(says)) // 2)
        if says and start <= y < start + len(says):
            text = says[y - start].center(width)
            return Strip(
                [Segment(text[:width], base + self.look["strong" if y == start else "quiet"])]
            ).adjust_cell_length(width, base)
        return Strip.blank(width, base)

    # Events.

    def notify_style_update(self) -> None:
        """The theme changed."""
        self._cache.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        self._cache.clear()
        self.show(self.count() - 1 if self.tail else self.cursor)
        self.refresh()

    def on_focus(self) -> None:
        self._focus_changed()

    def on_blur(self) -> None:
        self._focus_changed()

    def _focus_changed(self) -> None:
        self.redraw_head()
        self.redraw_line(self.cursor)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.wheel(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.wheel(-3)

    def wheel(self, by: int) -> None:
        """Scroll by lines and take the cursor along only as far as it must."""
        top = max(0, min(self.top + by, self.count() - self.room))
        self._scroll(top)
        if self.CURSOR and self.room:
            self.go(max(top, min(self.cursor, top + self.room - 1)))

    def copy_under(self, y: int) -> None:
        if 0 <= y - self.HEAD + self.top < self.count():
            self.focus()
            self.go(y - self.HEAD + self.top)
            if isinstance(self.screen, Copies):  # A dialog has nothing to copy.
                self.screen.copy()

    def on_click(self, event: events.Click) -> None:
        y = event.y - self.HEAD
        if self._was_drag or event.button != 1:
            return
        if y < 0:
            self.head_clicked(event.x)
        elif self._has_bar and event.x >= self._wide:
            self.wheel(self._bar_top(y) - self.top)
        elif self.top + y < self.count():
            if self.CURSOR:
                self.go(self.top + y)
            if event.chain == 2:
                self.post_message(self.Opened(self))

    def head_clicked(self, x: int) -> None:
        """A click on the fixed lines."""


def _pointed(parts: Parts, style: Style) -> Parts:
    """The line with a bar in its margin, a heading in its rule: the cursor is not told by its colour alone."""
    if not parts or not parts[0].text.startswith((" ", "─")):
        return parts
    first = parts[0]
    return [Segment("▌", style), Segment(first.text[1:], first.style), *parts[1:]]
