"""The base of every live list: lines with a cursor, which keys, wheel and clicks move."""

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message

from swarm_tui.ui.desk.capabilities import Copies
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.drawn_lines import DrawnLines


class Lines(DrawnLines, can_focus=True):
    """A scrolling list with a cursor. `tail` keeps the cursor on the last line as lines arrive."""

    DEFAULT_CSS = "Lines { height: 1fr; width: 1fr; }"
    CURSOR = True

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
        self.cursor = 0
        self.tail = False

    def stands_out(self, index: int) -> bool:
        return self.CURSOR and index == self.cursor

    def laid_over(self, index: int, parts: Parts) -> tuple[Parts, Style | None]:
        if not self.stands_out(index):
            return parts, None
        if self.has_focus or not self.can_focus:
            parts = _pointed(parts, self.look["accent"])
        return parts, self.look["cursor"] if self.has_focus else self.look["rest"]

    # Moving.

    def show(self, index: int) -> None:
        """Scroll as little as brings line `index` into view."""
        last = max(0, self.count() - self.room)
        top = min(self.top, last)
        if index < top:
            top = index
        elif index >= top + self.room:
            top = index - self.room + 1
        self.scroll_lines(max(0, min(top, last)))

    def move(self, by: int) -> None:
        """Move the cursor by lines."""
        self.go(self.cursor + by)

    def go(self, index: int) -> None:
        """Put the cursor on line `index`, or on the nearest there is."""
        index = max(0, min(index, self.count() - 1))
        if not self.CURSOR:
            self.scroll_lines(max(0, min(index, self.count() - self.room)))
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
        """Tell whether the movement keys lead anywhere."""
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
        self.scroll_lines(max(0, min(self.top + step, self.count() - self.room)))
        self.go(self.cursor + step)

    # Events.

    def on_resize(self) -> None:
        self.forget_drawn()
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
        self.scroll_lines(top)
        if self.CURSOR and self.room:
            self.go(max(top, min(self.cursor, top + self.room - 1)))

    def copy_under(self, y: int) -> None:
        if 0 <= y - self.HEAD + self.top < self.count():
            self.focus()
            self.go(y - self.HEAD + self.top)
            if isinstance(self.screen, Copies):  # A dialog has nothing to copy.
                self.screen.copy()

    def head_clicked(self, x: int) -> None:
        """Take a click on the fixed lines."""

    def on_click(self, event: events.Click) -> None:
        y = event.y - self.HEAD
        if self.was_drag or event.button != 1:
            return
        if y < 0:
            self.head_clicked(event.x)
        elif self.has_bar and event.x >= self.text_width:
            self.wheel(self.bar.top_at(y) - self.top)
        elif self.top + y < self.count():
            if self.CURSOR:
                self.go(self.top + y)
            if event.chain == 2:
                self.post_message(self.Opened(self))


def _pointed(parts: Parts, style: Style) -> Parts:
    """Return the line with a bar in its margin, a heading in its rule: the cursor is not told by its colour alone."""
    if not parts or not parts[0].text.startswith((" ", "─")):
        return parts
    first = parts[0]
    return [Segment("▌", style), Segment(first.text[1:], first.style), *parts[1:]]
