"""Lines by index, each drawn once and kept; one region is refreshed for a line that changed."""

from collections.abc import Callable, Iterable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.dragging import Dragging


class ScrollBar:
    """The last column of a list: where in all its lines those are that show."""

    def __init__(self, count: Callable[[], int], room: Callable[[], int]) -> None:
        self._count, self._room = count, room

    @property
    def shown(self) -> bool:
        """Tell whether there are more lines than fit."""
        return self._count() > self._room()

    def top_at(self, y: int) -> int:
        """Return the line that is at the top when the bar stands at row `y`."""
        return round(y * (self._count() - self._room()) / max(1, self._room() - 1))

    def covers(self, y: int, top: int) -> bool:
        """Tell whether the bar stands at row `y`, counted from the first line that shows, which is line `top`."""
        count, room = max(1, self._count()), max(1, self._room())
        size = max(1, room * room // count)
        start = round(top * (room - size) / max(1, count - room))
        return start <= y < start + size


class DrawnLines(Dragging):
    """Lines of which a part shows, from `top` on. Subclasses say how many there are and what each holds."""

    HEAD = 0
    """Fixed lines at the top."""
    BAR = True
    """True where the scroll bar shows."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.top = 0
        self.bar = ScrollBar(self.count, lambda: self.room)
        self._cache: dict[int, Strip] = {}

    # What a subclass gives.

    def count(self) -> int:
        """Count the lines."""
        raise NotImplementedError

    def parts(self, index: int, width: int) -> Parts:
        """Return line `index` in exactly or at most `width` columns."""
        raise NotImplementedError

    def head(self, width: int) -> list[Parts]:
        """Return the fixed lines at the top."""
        return []

    def laid_over(self, index: int, parts: Parts) -> tuple[Parts, Style | None]:
        """Return the line as it stands out from others, and the style that is laid over it."""
        return parts, None

    def empty(self) -> list[str]:
        """Return what to say when there is no line: what is so, and what to do next."""
        return []

    def told(self, act: str) -> str:
        """Return the key of an act, for a sentence."""
        return desk_of(self).registry.told(act)

    # Geometry.

    @property
    def look(self) -> ThemeStyles:
        """Return the styles of the theme."""
        return desk_of(self).look

    @property
    def room(self) -> int:
        """Return how many lines fit."""
        return max(0, self.size.height - self.HEAD)

    @property
    def text_width(self) -> int:
        """Return a line's columns; the last one is the scroll bar's, so that a line keeps its width as others come."""
        return max(0, self.size.width - 1)

    @property
    def has_bar(self) -> bool:
        """Tell whether the last column is a scroll bar."""
        return self.BAR and self.bar.shown

    def scroll_lines(self, top: int) -> None:
        """Show the lines from `top` on."""
        if top != self.top:
            self.top = top
            self.redraw()

    # Redrawing.

    def forget_drawn(self) -> None:
        """Draw each line anew when it is asked for."""
        self._cache.clear()

    def redraw(self) -> None:
        """Draw all that shows again."""
        self._cache.clear()
        self.refresh()

    def redraw_line(self, index: int) -> None:
        """Draw one line again, if it shows and has changed."""
        if not self.top <= index < self.top + self.room:
            return
        old = self._cache.pop(index, None)
        if index >= self.count() or old is None or self.strip(index) != old:
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
        """Let a second pass: draw the lines whose ages changed."""
        for index in list(self._cache):
            self.redraw_line(index)

    def notify_style_update(self) -> None:
        """Draw all in the new theme."""
        self._cache.clear()
        super().notify_style_update()

    # Drawing.

    def render_line(self, y: int) -> Strip:
        return self.lit(y, self.bare_line(y))

    def bare_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y < self.HEAD:
            heads = self.head(width)
            return _finish(heads[y] if y < len(heads) else [], width, base, self.look["head"])
        index = self.top + y - self.HEAD
        if index >= self.count():
            return self._blank(y - self.HEAD, width, base)
        return self.strip(index)

    def strip(self, index: int) -> Strip:
        """Return line `index` as it is drawn, from the cache where it is there."""
        strip = self._cache.get(index)
        if strip is None:
            strip = self._cache[index] = self._draw(index)
        return strip

    def _draw(self, index: int) -> Strip:
        parts, over = self.laid_over(index, self.parts(index, self.text_width))
        base = self.rich_style
        strip = _finish(parts, self.text_width, base, over)
        if not self.has_bar:
            return strip.adjust_cell_length(self.size.width, base + over if over else base)
        on = self.bar.covers(index - self.top, self.top)
        bar = Segment("▐" if on else "│", base + self.look["accent" if on else "track"])
        return Strip.join([strip, Strip([bar], 1)])

    def _blank(self, y: int, width: int, base: Style) -> Strip:
        says = self.empty() if self.count() == 0 else []
        start = max(0, (self.room - len(says)) // 2)
        if says and start <= y < start + len(says):
            text = says[y - start].center(width)
            return Strip(
                [Segment(text[:width], base + self.look["strong" if y == start else "quiet"])]
            ).adjust_cell_length(width, base)
        return Strip.blank(width, base)


def _finish(parts: Parts, width: int, base: Style, over: Style | None) -> Strip:
    style = base + over if over is not None else base
    strip = Strip(Segment.apply_style(parts, style)).simplify()
    return strip.adjust_cell_length(width, style)
