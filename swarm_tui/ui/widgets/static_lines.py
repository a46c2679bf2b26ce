"""A few lines that are computed whole and redrawn only where they changed: headers, footers, strips."""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.events import Click
from textual.geometry import Region
from textual.strip import Strip

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts
from swarm_tui.ui.widgets.painting import PaintedRows, finished


class StaticLines(PaintedRows):
    """Subclasses give `lines(width)`; `renew()` looks whether they changed."""

    DEFAULT_CSS = "StaticLines { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strips: list[Strip] = []
        self._parts: list[Parts] = []
        """Parts that the strips were made of."""
        self._for: int = -1
        self._clicks: dict[tuple[int, int], str] = {}
        """What a click at (x, y) does."""

    def lines(self, width: int) -> list[Parts]:
        """Return what to show, in at most `width` columns."""
        raise NotImplementedError

    @property
    def look(self) -> ThemeStyles:
        """Return the styles of the theme."""
        return desk_of(self).look

    def renew(self) -> None:
        """Compute the lines again and redraw those that differ."""
        if not self.is_attached or not self.size.width:
            self._strips = []
            return
        width = self.size.width
        parts = self.lines(width)
        if self._strips and self._for == width and parts == self._parts:
            return
        fresh = self._compute(width, parts)
        for y, strip in enumerate(fresh):
            if y >= len(self._strips) or self._strips[y] != strip:
                self.refresh(Region(0, y, width, 1))
        self._strips = fresh

    def _compute(self, width: int, parts_of_lines: list[Parts]) -> list[Strip]:
        base = self._frame.base
        self._for, self._parts = width, parts_of_lines
        self._clicks.clear()
        lines = [self._drawn(y, parts) for y, parts in enumerate(parts_of_lines)]
        return [
            self._frame.filtered(Strip(Segment.apply_style(parts, base)).adjust_cell_length(width, base))
            for parts in lines
        ]

    def _drawn(self, y: int, parts: Parts) -> Parts:
        """Return the parts without what they do when clicked, which is kept by place: it is no part of the picture."""
        drawn: Parts = []
        x = 0
        for part in parts:
            style, size = part.style, part.cell_length
            if style is not None and (action := style.meta.get("@click")):
                self._clicks.update({(at, y): action for at in range(x, x + size)})
                part = Segment(part.text, style.clear_meta_and_links())
            drawn.append(part)
            x += size
        return drawn

    @on(Click)
    async def _clicked(self, event: Click) -> None:
        """Do what the words say that were clicked."""
        if event.button == 1 and (action := self._clicks.get((event.x, event.y))):
            await self.run_action(action)

    def render_line(self, y: int) -> Strip:
        if self._for != self.size.width or not self._strips:
            self._strips = self._compute(self.size.width, self.lines(self.size.width))
        return self._strips[y] if y < len(self._strips) else finished([], self.size.width, self._frame)

    def notify_style_update(self) -> None:
        """Draw all in the new theme."""
        self._strips = []
        self._frame.restyled()
        super().notify_style_update()


@lru_cache(64)
def clicking(action: str) -> Style:
    """Return the style of words that do this Textual action when they are clicked."""
    return Style(meta={"@click": action})
