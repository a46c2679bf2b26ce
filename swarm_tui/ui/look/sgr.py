"""A captured pane's lines as segments: colours are read, every other code is dropped."""

import re
from functools import lru_cache

from rich.ansi import SGR_STYLE_MAP
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from swarm_tui.protocol.text import clean

_CODES = re.compile(
    r"\x1b\[([0-9;:]*)m"  # colours
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, clipboards
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # strings for devices
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other control sequence
    r"|\x1b[ -/]*[0-~]"  # escapes
    r"|[\x0e\x0f]"  # character sets
)
_PLAIN = Style()


def parse(line: str, state: Style = _PLAIN) -> tuple[list[Segment], Style]:
    """Return one line as segments, and the style the next line begins with (tmux carries it over)."""
    segments, state = _parse(line, state)
    return list(segments), state


@lru_cache(4096)
def _parse(line: str, state: Style) -> tuple[tuple[Segment, ...], Style]:
    segments: list[Segment] = []
    at = 0
    for match in _CODES.finditer(line):
        if match.start() > at:
            segments.append(Segment(_safe(line[at : match.start()]), state))
        at = match.end()
        if match.group(1) is not None:
            state = _apply(match.group(1), state)
    if at < len(line):
        segments.append(Segment(_safe(line[at:]), state))
    return tuple(segments), state


def _safe(text: str) -> str:
    return text if text.isascii() and text.isprintable() else clean(text)


def _apply(codes: str, state: Style) -> Style:
    if not codes:
        return _PLAIN
    numbers = [_number(part) for part in re.split("[;]", codes)]
    index = 0
    while index < len(numbers):
        code = numbers[index]
        if code == 0:
            state = _PLAIN
        elif code in (38, 48):
            colour, taken = _colour(numbers[index + 1 : index + 5])
            if colour is not None:
                state += Style(color=colour) if code == 38 else Style(bgcolor=colour)
            index += taken
        elif code in SGR_STYLE_MAP:
            state += Style.parse(SGR_STYLE_MAP[code])
        index += 1
    return state


def _number(part: str) -> int:
    first = part.split(":", 1)[0].lstrip("0")[:4]
    return min(255, int(first)) if first.isdecimal() else 0


def _colour(numbers: list[int]) -> tuple[Color | None, int]:
    if len(numbers) >= 2 and numbers[0] == 5:
        return Color.from_ansi(numbers[1]), 2
    if len(numbers) >= 4 and numbers[0] == 2:
        return Color.from_rgb(*numbers[1:4]), 4
    return None, len(numbers)


def plain(line: str) -> str:
    """Return the line's text without its codes."""
    return "".join(segment.text for segment in _parse(line, _PLAIN)[0])
