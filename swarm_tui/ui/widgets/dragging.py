"""Copying with the mouse: text that is dragged over goes to the clipboard, as in any terminal; the right button copies
what is under it."""

from rich.style import Style
from textual import events
from textual.strip import Strip

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.widgets.painting import PaintedRows

_LIT = Style(reverse=True)


class Dragging(PaintedRows):
    """A widget whose rows can be dragged over. Columns and lines are the widget's own."""

    ALLOW_SELECT = False
    _from: tuple[int, int] | None = None
    _to: tuple[int, int] | None = None
    was_drag = False

    def bare_line(self, y: int) -> Strip:
        """Return line `y` of the widget as it is without the mouse."""
        raise NotImplementedError

    def copy_under(self, y: int) -> None:
        """Copy line `y`: the right button was pressed on it."""

    @property
    def text_width(self) -> int:
        """Return the columns that hold text."""
        return self.size.width

    def lit(self, y: int, strip: Strip) -> Strip:
        """Return the line with what is dragged over standing out."""
        span = self._span(y)
        if span is None:
            return strip
        start, end = span
        middle = strip.crop(start, end).apply_style(_LIT)
        return Strip.join([strip.crop(0, start), middle, strip.crop(end, self.size.width)])

    def _span(self, y: int) -> tuple[int, int] | None:
        if self._from is None or self._to is None:
            return None
        (first, x1), (last, x2) = sorted([self._from, self._to])
        if not first <= y <= last:
            return None
        return (x1 if y == first else 0), min(x2 + 1 if y == last else self.text_width, self.text_width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.was_drag = False
        if event.button == 1:
            self._from, self._to = (event.y, event.x), None
        elif event.button == 3:
            event.stop()
            self.copy_under(event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._from is None or event.button != 1:
            return
        here = (max(0, min(event.y, self.size.height - 1)), max(0, min(event.x, self.size.width - 1)))
        if here != self._from and here != self._to:
            self.capture_mouse()
            self._to = here
            self.refresh()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self.release_mouse()
        text, self.was_drag = self._dragged(), self._to is not None
        self._from = self._to = None
        if self.was_drag:
            self.refresh()
        if text:
            desk_of(self).copy(text)

    def _dragged(self) -> str:
        lines = [
            self.bare_line(y).crop(*span).text.rstrip() for y in range(self.size.height) if (span := self._span(y))
        ]
        return "\n".join(lines).strip("\n")
