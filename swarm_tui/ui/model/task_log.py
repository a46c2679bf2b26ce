"""An agent's log lines, and which of them fall into a span of time."""

import re
from datetime import datetime

from swarm_tui.ui.look.sgr import plain

_STAMP = re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)")


def stamp(line: str) -> float | None:
    """Return the time a line begins with, seconds since the epoch; None when it begins with none."""
    match = _STAMP.match(line)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match.group(1).replace(",", ".")).timestamp()
    except ValueError:
        return None


def told_of(lines: list[str], task_id: str) -> list[str] | None:
    """Return the agent's lines from where it says, the last time, that it begins the task, to where it says its end."""
    texts = [plain(raw).rstrip() for raw in lines]
    named = re.compile(rf"(?<![\w-]){re.escape(task_id)}(?![\w-])")
    begins = [number for number, text in enumerate(texts) if text.startswith("🔨") and named.search(text)]
    if not begins:
        return None
    since = begins[-1]
    ends = (n for n in range(since + 1, len(texts)) if texts[n].startswith(("✅", "❌")) and named.search(texts[n]))
    return texts[since : next(ends, len(texts)) + 1]


def within(lines: list[str], since: float, until: float) -> list[str] | None:
    """Return the lines of the span, where a line without a time belongs to the one before it; None without times."""
    kept: list[str] = []
    inside = timed = False
    for raw in lines:
        line = plain(raw).rstrip()
        at = stamp(line)
        if at is not None:
            timed = True
            inside = since <= at <= until
        if inside:
            kept.append(line)
    return kept if timed else None
