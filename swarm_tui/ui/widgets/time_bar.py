"""The line of time: how much was said when, what people look for, and which moment shows."""

from collections.abc import Callable

from rich.segment import Segment
from textual.events import Click

from swarm_tui.journal.recorder_port import Timeline
from swarm_tui.ui.desk.time_port import TimePort
from swarm_tui.ui.look.text import Parts, ago, fit, when
from swarm_tui.ui.widgets.static_lines import StaticLines

_HEIGHTS = "·▁▂▃▄▅▆▇█"
#: Each mark's glyph and style, the gravest first: it shows where several fall on one column.
MARKS = {
    "halt": ("■", "bad"),
    "death": ("†", "bad"),
    "failure": ("✗", "bad"),
    "ask": ("?", "warn"),
    "alert": ("!", "warn"),
    "deployment": ("▲", "accent"),
}
_GRAVITY = {what: place for place, what in enumerate(MARKS)}


class TimeBar(StaticLines):
    """Two lines, there only while the past is looked at."""

    DEFAULT_CSS = "TimeBar { height: 2; display: none; background: $panel; }"

    def __init__(self, travel: TimePort, clock: Callable[[], float], told: Callable[[str], str], *, id: str) -> None:
        super().__init__(id=id)
        self._travel = travel
        self._clock = clock
        self._told = told

    @property
    def line_count(self) -> int:
        """Return the lines it takes."""
        return 2 if self.display else 0

    def show(self) -> bool:
        """Show what is so now; whether it came or went."""
        before, self.display = self.display, self._travel.on
        self.renew()
        return before != self.display

    def on_click(self, event: Click) -> None:
        """Go to the moment that was clicked."""
        if event.y == 0 and event.button == 1:
            since, until = self._travel.span
            self._travel.go(since + (until - since) * event.x / max(1, self.size.width - 1))

    def lines(self, width: int) -> list[Parts]:
        return [self._line(width), self._words(width)]

    def _line(self, width: int) -> Parts:
        look, travel = self.look, self._travel
        since, until = travel.span
        drawn = [("·", "quiet")] * width if travel.timeline is None else _columns(travel.timeline, width)
        here = round((travel.at - since) / max(1e-9, until - since) * (width - 1))
        parts = [Segment(glyph, look[style]) for glyph, style in drawn]
        if travel.marked is not None:
            there = round((travel.marked - since) / max(1e-9, until - since) * (width - 1))
            if 0 <= there < width:
                parts[there] = Segment("◆", look["accent"])
        if 0 <= here < width:
            parts[here] = Segment(drawn[here][0] if drawn[here][0] != "·" else "│", look["head-on"])
        return parts

    def _words(self, width: int) -> Parts:
        travel, look, told = self._travel, self.look, self._told
        at, now = travel.at, self._clock()
        moment = f" {when(at, now)} · {ago(now - at)} ago" if now - at >= 1 else f" {when(at, now)} · held"
        wait = " …" if travel.busy else "  "
        since, until = (when(end, now)[:-3] for end in travel.span)
        marked = "" if travel.marked is None else f"◆ {when(travel.marked, now)}  {told('changes')} changes  "
        keys = (
            f"{told('event_before')} {told('next_event')} event  {told('minute_before')} {told('next_minute')} minute  "
            f"1–9 jump  {told('whole_record')} all  {told('mark_moment')} mark  "
            f"{told('now')} live "
        )
        span = f"  {since}–{until}  "
        if marked:
            keys = marked + f"{told('now')} live "
        if len(moment) + len(wait) + len(span) + len(keys) > width:
            span = "  "
        left = moment + wait + span
        return [
            Segment(left, look["accent"]),
            Segment(fit(" " * max(0, width - len(left) - len(keys)) + keys, max(0, width - len(left))), look["quiet"]),
        ]


def _columns(timeline: Timeline, width: int) -> list[tuple[str, str]]:
    """Return a glyph and a style for each column: the height of what was said there, or the gravest mark."""
    parts = len(timeline.density)
    sums = [0] * width
    for index, count in enumerate(timeline.density):
        sums[min(width - 1, index * width // parts)] += count
    most = max(sums, default=0) or 1
    drawn = [(_HEIGHTS[-(-count * (len(_HEIGHTS) - 1) // most)], "quiet") for count in sums]
    length = max(1e-9, timeline.until - timeline.since)
    gravest: dict[int, str] = {}
    for mark in timeline.marks:
        column = min(width - 1, max(0, round((mark.at - timeline.since) / length * (width - 1))))
        if mark.what in _GRAVITY and _GRAVITY[mark.what] <= _GRAVITY.get(gravest.get(column, ""), len(_GRAVITY)):
            gravest[column] = mark.what
    for column, what in gravest.items():
        drawn[column] = MARKS[what]
    return drawn
