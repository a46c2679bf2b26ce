"""Rows of a widget, kept as they show until they are marked to be drawn anew; and lines of styled text made whole."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.dragging import Dragging

T = TypeVar("T")


class Frame:
    """A widget's size and lowest style, which Textual looks up anew whenever it is asked."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._base: Style | None = None
        self._box: Size | None = None
        self._shared: Any = None

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Ask for the size once for all that is drawn within."""
        before, self._box = self._box, self._box or self._widget.size
        try:
            yield
        finally:
            self._box = before
            if before is None:
                self._shared = None

    def once(self, make: Callable[[], T]) -> T:
        """Return what is made once for all that is drawn within `measured`, and anew outside."""
        if self._box is None:
            return make()
        if self._shared is None:
            self._shared = make()
        return cast(T, self._shared)

    @property
    def box(self) -> Size:
        """Return the size."""
        return self._box or self._widget.size

    @property
    def base(self) -> Style:
        """Return the style below all others."""
        if self._base is None:
            self._base = self._widget.rich_style
        return self._base

    def restyled(self) -> None:
        """Ask for the style anew."""
        self._base = None


class KeptRows(Dragging):
    """A widget of rows without borders or paddings, each drawn when it was marked, and not again before."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        self._shown: dict[int, Strip] = {}
        """Rows as they show: Textual asks for all of a widget whenever one of them changed."""
        self._shown_in: Size | None = None
        """The size that those rows are of."""
        super().__init__(id=id, classes=classes)
        self._frame = Frame(self)

    def _set_dirty(self, *regions: Region) -> None:
        # What Textual draws anew, for whatever reason, is not what showed.
        if regions:
            for region in regions:
                for y in region.line_range:
                    self._shown.pop(y, None)
        else:
            self._shown.clear()
        super()._set_dirty(*regions)

    def render_lines(self, crop: Region) -> list[Strip]:
        # Without Textual's own cache of lines, which knows borders and paddings: we have none, and our cache is better.
        with self._frame.measured():
            shown, box = self._shown, self._frame.box
            if box != self._shown_in:
                shown.clear()
                self._shown_in = box
            fresh = [y for y in crop.line_range if y not in shown]
            if fresh:
                filters, background = self.get_line_filters(), self.background_colors[1]
                for y in fresh:
                    strip = self.render_line(y)
                    for each in filters:
                        strip = strip.apply_filter(each, background)
                    shown[y] = strip
            strips = [shown[y] for y in crop.line_range]
            if crop.column_span != (0, box.width):
                strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips


_SUMS: dict[tuple[int, int], tuple[Style, Style, Style]] = {}
"""Styles laid over each other, by their objects, which are kept so that no other gets the same number."""


def summed(below: Style, above: Style | None) -> Style:
    """Return a style laid over another: the same object for the same two."""
    if above is None:
        return below
    found = _SUMS.get((id(below), id(above)))
    if found is None:
        if len(_SUMS) > 4096:
            _SUMS.clear()
        found = _SUMS[id(below), id(above)] = (below, above, below + above)
    return found[2]


def finished(parts: Parts, width: int, base: Style, over: Style | None, *, bar: bool = False) -> Strip:
    """Return a line of exactly `width` columns in its styles; for a `bar` an empty last one is a segment of its own."""
    style = summed(base, over)
    segments: list[Segment] = []
    used, run, run_style = 0, "", style
    for text, own, _ in parts:
        if not text:
            continue
        used += len(text) if text.isascii() else cell_len(text)
        whole = summed(style, own)
        if whole is run_style:
            run += text
            continue
        if run:
            segments.append(Segment(run, run_style))
        run, run_style = text, whole
    if (blank := width - bar - used) > 0:
        if run_style is not style:
            segments.append(Segment(run, run_style))
            run, run_style = "", style
        run += " " * blank
    segments.append(Segment(run, run_style))
    if bar and used < width:
        segments.append(Segment(" ", style))
    strip = Strip(segments, max(used, width))
    return strip if used <= width else strip.crop(0, width)
