"""The logs of panes: their last lines, readable without what was meant for a terminal."""

import os
from pathlib import Path

from swarm_tui.protocol.text import as_read, clean_block

_BLOCK = 1 << 16


def plain(line: bytes) -> str:
    """A line as a person would have read it: what a carriage return overwrote is gone, and so are the orders."""
    return clean_block(as_read(line.decode("utf-8", "replace")))


def last_lines(path: Path, count: int) -> list[bytes]:
    """The last `count` lines of the log, those of its rotated predecessor included when it is short."""
    if count == 0:
        return []
    lines = _tail(path, count)
    older = path.with_name(f"{path.name}.1")
    if len(lines) < count and older.is_file():
        lines = [*_tail(older, count - len(lines)), *lines]
    return lines


def _tail(path: Path, count: int) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            at = file.seek(0, os.SEEK_END)
            data = b""
            while at > 0 and data.count(b"\n") <= count:
                step = min(_BLOCK, at)
                at -= step
                file.seek(at)
                data = file.read(step) + data
    except OSError:
        return []
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines[-count:]
