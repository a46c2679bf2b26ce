"""Facts written for people: ages, sizes, tables; text from outside is cleaned."""

import shutil
import time
import unicodedata
from collections.abc import Sequence

import click

from swarm_tui.cli.common import colour, style
from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.protocol.text import clean

_COLOURS: dict[str, str] = {
    **dict.fromkeys((AgentState.ONLINE, TaskState.COMPLETE), "green"),
    **dict.fromkeys((AgentState.BUSY, TaskState.RUNNING, TaskState.ASSIGNED), "cyan"),
    **dict.fromkeys(
        (AgentState.SUSPECT, AgentState.DRAINING, AgentState.BACKOFF, AgentState.STARTING, TaskState.RETRY_WAIT),
        "yellow",
    ),
    **dict.fromkeys((AgentState.HUNG, AgentState.LOST, AgentState.CRASHLOOP, TaskState.FAILED, TaskState.DEAD), "red"),
    **dict.fromkeys((TaskState.HELD, TaskState.AWAITING_APPROVAL), "magenta"),
}


def state(name: str, word: str = "") -> str:
    """A state, or the word that people read for it, in its colour."""
    return style(word or name, fg=_COLOURS.get(name))


def age(seconds: float | None) -> str:
    """A span in its two largest units: `7s`, `3m12s`, `2h05m`, `4d11h`."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def size(count: int | None) -> str:
    """Bytes as `14.2M`."""
    if count is None:
        return "-"
    number = float(count)
    for unit in ("B", "K", "M", "G"):
        if number < 1024 or unit == "G":
            return f"{number:.0f}{unit}" if unit in "BK" else f"{number:.1f}{unit}"
        number /= 1024
    return "-"


def moment(at: float) -> str:
    """A time of day with milliseconds, in local time."""
    return f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at % 1 * 1000):03d}"


def width(text: str) -> int:
    """Columns that `text` takes, without the codes of its colour."""
    plain = click.unstyle(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in plain)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; the last one is cut at the terminal's edge when it is a terminal."""
    lines = [[*head], *([str(cell) for cell in row] for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head))]
    limit = shutil.get_terminal_size().columns if colour() else 0
    for number, line in enumerate(lines):
        cells = [cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(line[:-1])]
        left = sum(widths[:-1]) + 2 * (len(head) - 1)
        last = line[-1]
        if limit and left + width(last) > limit:
            last = clean(click.unstyle(last), max(8, limit - left))
        text = "  ".join([*cells, last]).rstrip()
        click.echo(style(text, bold=True) if number == 0 else text)
