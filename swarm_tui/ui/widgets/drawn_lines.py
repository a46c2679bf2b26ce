"""Lines by index, each drawn once and kept; one region is refreshed for a line that changed."""

from collections.abc import Callable, Hashable, Iterable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.dragging import Dragging
from swarm_tui.ui.widgets.painting import finished

SPARE = 4
"""Screenfuls of lines that are kept as drawn."""


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
        self._cache: dict[Hashable, tuple[bool, Strip]] = {}
        """Lines as drawn, with nothing in the last column, and whether each stood out."""
        self._whole: dict[Hashable, tuple[Strip, str, Strip]] = {}
        """Lines as they were shown last: what was drawn, the character of the bar, and both as one."""
        self._dated: dict[Hashable, tuple[Strip, object]] = {}
        """Of each line that shows: how it was drawn a second ago, and what of it was of its time."""

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

    def identity(self, index: int) -> Hashable:
        """Return what line `index` is about: what was drawn of that is kept, wherever the line moves."""
        return index

    def dated(self, index: int) -> object:
        """Return what of line `index` changes as time passes; None has it drawn anew each second."""
        return None

    def stands_out(self, index: int) -> bool:
        """Tell whether line `index` is drawn otherwise than others."""
        return False

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
        return max(0, self._frame.box.height - self.HEAD)

    @property
    def text_width(self) -> int:
        """Return a line's columns; the last one is the scroll bar's, so that a line keeps its width as others come."""
        return max(0, self._frame.box.width - 1)

    @property
    def has_bar(self) -> bool:
        """Tell whether the last column is a scroll bar."""
        return self.BAR and self.bar.shown

    def scroll_lines(self, top: int) -> None:
        """Show the lines from `top` on."""
        if top != self.top:
            self.top = top
            if len(self._cache) > SPARE * max(10, self.room):
                self._cache.clear()
            self.refresh()

    # Redrawing.

    def forget_drawn(self) -> None:
        """Draw each line anew when it is asked for."""
        self._cache.clear()

    def forget_line(self, identity: Hashable) -> None:
        """Draw the line about this anew when it is asked for."""
        self._cache.pop(identity, None)

    def redraw(self) -> None:
        """Draw all that shows again."""
        self._cache.clear()
        self.refresh()

    def redraw_line(self, index: int) -> None:
        """Draw one line again, if it shows and has changed."""
        self.redraw_lines([index])

    def redraw_lines(self, indices: Iterable[int]) -> None:
        """Draw these lines again, those that show and have changed."""
        with self._frame.measured():
            width, room = self._frame.box.width, self.room
            changed = [
                Region(0, self.HEAD + index - self.top, width, 1)
                for index in indices
                if self._changes(index) and self.top <= index < self.top + room
            ]
        if changed:
            self.refresh(*changed)

    def _changes(self, index: int) -> bool:
        """Draw a line anew if it shows; tell whether it looks otherwise than before."""
        old = self._cache.pop(self.identity(index), None)
        if not self.top <= index < self.top + self.room:
            return False
        return index >= self.count() or old is None or self.strip(index) != old[1]

    def redraw_head(self) -> None:
        """Draw the fixed lines again."""
        if self.HEAD:
            self.refresh(Region(0, 0, self.size.width, self.HEAD))

    def tick(self) -> None:
        """Let a second pass: draw the lines whose ages changed."""
        before, self._dated = self._dated, {}
        with self._frame.measured():
            showing = range(self.top, min(self.top + self.room, self.count()))
            names = {self.identity(index): index for index in showing}
            self._cache = {name: drawn for name, drawn in self._cache.items() if name in names}
            now = {name: self.dated(index) for name, index in names.items()}
            old = {name: drawn[1] for name, drawn in self._cache.items()}
            self.redraw_lines(
                index
                for name, index in names.items()
                if name not in old or now[name] is None or before.get(name) != (old[name], now[name])
            )
            self._dated = {name: (drawn[1], now[name]) for name, drawn in self._cache.items() if name in now}

    def notify_style_update(self) -> None:
        """Draw all in the new theme."""
        self._cache.clear()
        self._frame.restyled()
        super().notify_style_update()

    # Drawing.

    def render_line(self, y: int) -> Strip:
        return self.lit(y, self.bare_line(y))

    def bare_line(self, y: int) -> Strip:
        width = self._frame.box.width
        if y < self.HEAD:
            heads = self.head(width)
            return finished(heads[y] if y < len(heads) else [], width, self._frame, self.look["head"])
        index = self.top + y - self.HEAD
        if index >= self.count():
            return self._blank(y - self.HEAD, width)
        return self._with_bar(index, self.strip(index))

    def _with_bar(self, index: int, strip: Strip) -> Strip:
        """Return the line with the bar's part in its last column; one object as long as it looks the same."""
        name, part = self.identity(index), ""
        if self.has_bar:
            part = "▐" if self.bar.covers(index - self.top, self.top) else "│"
        if not part:
            return strip
        kept = self._whole.get(name)
        if kept is None or kept[0] is not strip or kept[1] != part:
            style = self._frame.final(self._frame.base, self.look["accent" if part == "▐" else "track"])
            if len(self._whole) > SPARE * max(10, self.room):
                self._whole.clear()
            segments = list(strip)
            if segments[-1].text == " ":
                segments.pop()
            else:
                segments = list(strip.crop(0, self.text_width))
            whole = Strip([*segments, Segment(part, style)], self._frame.box.width)
            kept = self._whole[name] = (strip, part, whole)
        return kept[2]

    def strip(self, index: int) -> Strip:
        """Return line `index` as it is drawn, without the scroll bar, from the cache where it is there."""
        name, out = self.identity(index), self.stands_out(index)
        kept = self._cache.get(name)
        if kept is None or kept[0] != out:
            kept = self._cache[name] = (out, self._draw(index))
        return kept[1]

    def _draw(self, index: int) -> Strip:
        parts, over = self.laid_over(index, self.parts(index, self.text_width))
        return finished(parts, self._frame.box.width, self._frame, over, bar=True)

    def _blank(self, y: int, width: int) -> Strip:
        says = self.empty() if self.count() == 0 else []
        start = max(0, (self.room - len(says)) // 2)
        if says and start <= y < start + len(says):
            text = says[y - start].center(width)
            return finished([Segment(text[:width], self.look["strong" if y == start else "quiet"])], width, self._frame)
        return finished([], width, self._frame)
