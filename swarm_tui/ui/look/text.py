"""Text for cells: made safe, cut to a width in columns, and the small pictures drawn with characters."""

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from swarm_tui.domain.liveness import BEAT
from swarm_tui.protocol.text import clean

#: Characters that join or recolour their neighbours: terminals disagree on the width of what comes out.
_JOINERS = re.compile(
    "[\u00ad\u034f\u0300-\u036f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u20d0-\u20ff\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]"
)
_SPARKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
#: A line's parts before its width is known to fill the widget.
Parts = list[Segment]


def flat(value: object, limit: int = 400) -> str:
    """Return `value` as one safe line: no control or direction character, nothing of a width that terminals dispute."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return _JOINERS.sub("", clean(text))


@lru_cache(2048)
def fit(text: str, width: int, right: bool = False) -> str:
    """Return `text` in exactly `width` columns, cut with … or padded; `text` is safe already."""
    if width <= 0:
        return ""
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…"
    pad = " " * (width - size)
    return pad + text if right else text + pad


def ago(seconds: float | None) -> str:
    """Return a span in at most four columns: `3s`, `12m`, `5h`, `40d`."""
    if seconds is None:
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{int(seconds)}s"
    if seconds < 6000:
        return f"{int(seconds / 60)}m"
    if seconds < 360_000:
        return f"{int(seconds / 3600)}h"
    return f"{min(999, int(seconds / 86400))}d"


def span(seconds: float | None) -> str:
    """Return a span to read: `12 ms`, `0.4 s`, `12.3 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None:
        return "-"
    if seconds < 0.1:
        return f"{max(1.0, seconds * 1000) if seconds > 0 else 0:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def fit_id(text: str, width: int) -> str:
    """Return an id in exactly `width` columns; what is too much goes from its middle, as ids differ at their ends."""
    over = len(text) - width
    if over <= 0 or width < 10 or cell_len(text) != len(text):
        return fit(text, width)
    tail = (width - 1) * 2 // 5
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


#: Columns over which a word is cut rather than left out.
LONG_WORD = 16


def fit_sentence(text: str, width: int) -> str:
    """Return a sentence in exactly `width` columns; what is too much goes from its middle, by whole words.

    Its beginning says what it is about, its end what to do. A word longer than LONG_WORD columns is cut.
    """
    if len(text) <= width or width < 20 or cell_len(text) != len(text):
        return fit_id(text, width)
    after = (width - 3) * 2 // 5
    head, tail = text[: width - 3 - after], text[-after:]
    if not text[len(head)].isspace() and " " in head[-LONG_WORD:].strip():
        head = head[: head.rindex(" ")]
    if not text[-after - 1].isspace() and " " in tail[:LONG_WORD].strip():
        tail = tail[tail.index(" ") :]
    return fit(f"{head.rstrip()} … {tail.strip()}", width)


def wrapped(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` columns, broken between words; at least one line."""
    from textwrap import wrap

    # Wide characters take two columns each, which the standard wrap does not know.
    return wrap(text, max(10, width if cell_len(text) == len(text) else width // 2)) or [""]


def amount(value: float | None) -> str:
    """Return bytes in at most four columns: `22M`, `1.2G`."""
    if value is None:
        return "-"
    for unit in "BKMGT":
        if value < 1000 or unit == "T":
            return f"{value:.1f}{unit}" if value < 9.95 and unit in "GT" else f"{value:.0f}{unit}"
        value /= 1024
    return "-"


def clock(at: float | None, *, ms: bool = False) -> str:
    """Return the local time of day."""
    if not at:
        return "--:--:--"
    text = time.strftime("%H:%M:%S", time.localtime(at))
    return f"{text}.{int(at % 1 * 1000):03d}" if ms else text


def when(at: float, now: float) -> str:
    """Return the local time, with its date where that is not today's."""
    local = time.localtime(at)
    date = "" if local[:3] == time.localtime(now)[:3] else time.strftime("%d %b ", local)
    return date + time.strftime("%H:%M:%S", local)


def bar(percent: float | None, width: int) -> str:
    """Return a progress bar in eighths of a column."""
    part = max(0.0, min(100.0, percent or 0.0)) / 100 * width
    whole = int(part)
    rest = _EIGHTHS[int((part - whole) * 8)] if whole < width else ""
    return ("█" * whole + rest).ljust(width, " ")[:width]


def spark(values: Sequence[float], width: int, top: float | None = None) -> str:
    """Return the last values as small columns, the newest at the right; full is `top`, or the highest of them.

    Without `top` the columns begin at the lowest value, so that a slow climb shows; and no less than half of the
    highest is their whole height, so that a ripple is no mountain.
    """
    last = list(values)[-width:]
    if not last:
        return " " * width
    low = 0.0 if top is not None else min(last)
    room = top if top is not None else max(max(last) - low, max(last) / 2)
    if room <= 0:
        return ("▁" * len(last)).rjust(width)
    return "".join(_SPARKS[max(1, min(8, round((v - low) / room * 7) + 1))] for v in last).rjust(width)


Outages = Sequence[tuple[float, float]]
"""The spans in which we had no link, and could hear nobody."""


def heard_parts(since: float, until: float, outages: Outages) -> list[float]:
    """Return the lengths of what is left of a span without those in which nobody could be heard."""
    parts = []
    for began, ended in outages:
        if began < until and ended > since:
            parts.append(max(0.0, began - since))
            since = ended
    return [*parts, max(0.0, until - since)]


def missed(since: float, until: float, outages: Outages = ()) -> int:
    """Count the heartbeats that should have come in a span, and did not: one is missed when half a beat late."""
    return sum(max(0, int(part / BEAT - 0.5)) for part in heard_parts(since, until, outages))


def beats(arrivals: Sequence[float], now: float, width: int, outages: Outages = ()) -> str:
    """Return the last heartbeats: `•` in time, `◦` late, `×` missed, the newest at the right; none without a link."""
    marks: list[str] = []
    previous: float | None = None
    # Each gives a mark at least: those before the last ones, and one to count from, would be cut off.
    for at in islice(arrivals, max(0, len(arrivals) - width - 1), None):
        if previous is not None:
            marks.extend("×" * min(width, missed(previous, at, outages)))
        whole = previous is not None and len(heard_parts(previous, at, outages)) == 1
        marks.append("◦" if whole and BEAT * 1.25 < at - (previous or 0.0) < BEAT * 1.5 else "•")
        previous = at
    if previous is not None:
        marks.extend("×" * min(width, missed(previous, now, outages)))
    return "".join(marks[-width:]).rjust(width)


def lateness(arrivals: Sequence[float], outages: Outages = ()) -> list[float]:
    """Return how late, in seconds, each heartbeat was after the one before, where we could hear all between."""
    pairs = zip(arrivals, list(arrivals)[1:], strict=False)
    return [max(0.0, at - before - BEAT) for before, at in pairs if len(heard_parts(before, at, outages)) == 1]
