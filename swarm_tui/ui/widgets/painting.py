"""Widgets of rows: a row that changed is written to the terminal at once, past Textual's compositor.

The compositor would lay all widgets of the changed region over each other anew, some turns of the loop later.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar, cast
from weakref import WeakKeyDictionary

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from swarm_tui.ui.look.text import Parts

T = TypeVar("T")
MOST_STYLES = 4096
"""Styles, laid over each other, that are kept."""


class Frame:
    """A widget's size and lowest style, which Textual looks up anew whenever it is asked."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._base: Style | None = None
        self._finals: dict[int, tuple[Style, Style]] = {}
        """Styles, by their objects, and what Textual's filters make of them."""
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

    def final(self, below: Style, above: Style | None = None) -> Style:
        """Return a style laid over another as the terminal gets it: the same object for the same two."""
        style = summed(below, above)
        found = self._finals.get(id(style))
        if found is None:
            if len(self._finals) > MOST_STYLES:
                self._finals.clear()
            found = self._finals[id(style)] = (
                style,
                self.filtered(Strip([Segment(" ", style)]))._segments[0].style or style,
            )
        return found[1]

    def filtered(self, strip: Strip) -> Strip:
        """Return a line as the terminal gets it: filters know no segment's neighbours."""
        background = self._widget.background_colors[1]
        for each in self._widget.get_line_filters():
            strip = strip.apply_filter(each, background)
        return strip

    def restyled(self) -> None:
        """Ask for the styles anew."""
        self._base = None
        self._finals.clear()


class PaintedRows(Widget):
    """A widget of rows without borders or paddings, each drawn when it was marked, and not again before."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        self._shown: dict[int, Strip] = {}
        """Rows as they show: Textual asks for all of a widget whenever one of them changed."""
        self._shown_in: Size | None = None
        """The size that those rows are of."""
        self._painter: Painter | None = None
        super().__init__(id=id, classes=classes)
        self._frame = Frame(self)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        if layout or recompose or not repaint or not self._is_mounted:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        self._forget_rows(regions)
        if self._painter is None:
            self._painter = painter_of(self.screen)
        self._painter.mark(self, [y for region in regions for y in region.line_range] if regions else None)
        return self

    def refresh_later(self, rows: Iterable[int] | None) -> None:
        """Have the compositor draw these rows, all where they are None."""
        width = self.size.width
        super().refresh(*(() if rows is None else (Region(0, y, width, 1) for y in rows)))

    def _forget_rows(self, regions: Iterable[Region]) -> None:
        if regions:
            for region in regions:
                for y in region.line_range:
                    self._shown.pop(y, None)
        else:
            self._shown.clear()

    def _set_dirty(self, *regions: Region) -> None:
        # What Textual draws anew, for whatever reason, is not what showed.
        self._forget_rows(regions)
        super()._set_dirty(*regions)

    def rows_shown(self, rows: Iterable[int]) -> list[Strip]:
        """Return these rows as they show."""
        # Without Textual's own cache of lines, which knows borders and paddings: we have none, and our cache is better.
        with self._frame.measured():
            shown, box = self._shown, self._frame.box
            if box != self._shown_in:
                shown.clear()
                self._shown_in = box
            wanted = list(rows)
            for y in wanted:
                if y not in shown:
                    shown[y] = self.render_line(y)
            return [shown[y] for y in wanted]

    def render_lines(self, crop: Region) -> list[Strip]:
        strips = self.rows_shown(crop.line_range)
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips


class Painter:
    """Paints the rows of one screen's widgets, once for all that one turn of the loop changed."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._marked: dict[PaintedRows, set[int] | None] = {}
        """Which rows are to be painted; None: all."""
        self._laid: object = None
        self._free: dict[Widget, bool] = {}
        """Which widgets show whole, with nothing in front of them, as all was `_laid`."""

    def mark(self, widget: "PaintedRows", rows: Iterable[int] | None) -> None:
        """Have these rows of the widget painted, all where they are None."""
        if not self._marked:
            asyncio.get_running_loop().call_soon(self.paint)
        if rows is None:
            self._marked[widget] = None
        elif (marked := self._marked.setdefault(widget, set())) is not None:
            marked.update(rows)

    def paint(self) -> None:
        """Write what is marked; what cannot be written so is left to the compositor."""
        try:
            self._paint()
        except Exception as error:  # noqa: BLE001 - the loop would only log it
            self._screen.app._handle_exception(error)

    def _paint(self) -> None:
        marked, self._marked = self._marked, {}
        screen, app = self._screen, self._screen.app
        if not marked or not app.is_running or not screen.is_running:
            return
        console = app.console
        said: list[str] = []
        for widget, rows in marked.items():
            place = self._place(widget)
            if place is None:
                widget.refresh_later(rows)
                continue
            wanted = range(place.height) if rows is None else sorted(y for y in rows if 0 <= y < place.height)
            for y, strip in zip(wanted, widget.rows_shown(wanted), strict=True):
                said.append(f"\x1b[{place.y + y + 1};{place.x + 1}H{strip.render(console)}")
        if said and not app.is_headless and app._driver is not None:
            x, y = screen.outer_size.clamp_offset(app.cursor_position)
            sync = (SYNC_START, SYNC_END) if app._sync_available else ("", "")
            app._driver.write(f"{sync[0]}{''.join(said)}\x1b[{y + 1};{x + 1}H{sync[1]}")

    def _place(self, widget: "PaintedRows") -> Region | None:
        """Return where the widget is to be painted; None where the compositor has to see to it."""
        screen = self._screen
        stale = screen._layout_required or screen._scroll_required or screen._repaint_required
        if stale or screen.app._batch_count or screen.app.screen is not screen:
            return None
        compositor = screen._compositor
        visible = compositor.visible_widgets
        if visible is not self._laid:
            self._laid, self._free = visible, {}
        if widget not in visible:
            return None
        region, clip = visible[widget]
        if widget not in self._free:
            self._free[widget] = clip.contains_region(region) and not self._covered(widget, region)
        return region if self._free[widget] and region.size == widget.size else None

    def _covered(self, widget: Widget, region: Region) -> bool:
        """Tell whether another widget stands before this one."""
        for other, (place, clip) in self._screen._compositor.visible_widgets.items():
            if other is widget:
                return False
            if place.intersection(clip).overlaps(region):
                return True
        return True


_PAINTERS: WeakKeyDictionary[Screen[Any], Painter] = WeakKeyDictionary()


def painter_of(screen: Screen[Any]) -> Painter:
    """Return the one that paints the screen's rows."""
    found = _PAINTERS.get(screen)
    if found is None:
        found = _PAINTERS[screen] = Painter(screen)
    return found


_SUMS: dict[tuple[int, int], tuple[Style, Style, Style]] = {}
"""Styles laid over each other, by their objects, which are kept so that no other gets the same number."""


def summed(below: Style, above: Style | None) -> Style:
    """Return a style laid over another: the same object for the same two."""
    if above is None:
        return below
    found = _SUMS.get((id(below), id(above)))
    if found is None:
        if len(_SUMS) > MOST_STYLES:
            _SUMS.clear()
        found = _SUMS[id(below), id(above)] = (below, above, below + above)
    return found[2]


def finished(parts: Parts, width: int, frame: Frame, over: Style | None = None, *, bar: bool = False) -> Strip:
    """Return a line of exactly `width` columns as it shows; for a `bar` an empty last one is a segment of its own."""
    below = summed(frame.base, over)
    style = frame.final(below)
    segments: list[Segment] = []
    used, run, run_style = 0, "", style
    for text, own, _ in parts:
        if not text:
            continue
        used += len(text) if text.isascii() else cell_len(text)
        whole = frame.final(below, own)
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
