"""The end of a log: what an agent printed last, as a person would have read it."""

import gzip
import io
import shutil
import zlib
from pathlib import Path
from typing import IO

from swarm_tui.protocol.text import as_read, clean_block

#: Bytes that are read of a log at a time, and in all: more is no end any more.
_BLOCK, _MOST = 1 << 16, 1 << 24


def packed_path(path: Path) -> Path:
    """Return where a log is once it is compressed."""
    return path.with_name(f"{path.name}.gz")


def opened_log(path: Path) -> IO[bytes]:
    """Open a log for reading, also one that was compressed since. Raises OSError, also for a damaged one."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        if not packed_path(path).exists():
            raise
    try:
        with gzip.open(packed_path(path)) as file:
            return io.BytesIO(file.read(_MOST))
    except (EOFError, zlib.error) as error:
        raise OSError(f"{packed_path(path)}: {error}") from None


def pack(path: Path) -> None:
    """Compress a log that nothing is added to any more; whatever ends this, one of the two is whole. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    with path.open("rb") as source, gzip.open(beside, "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target, _BLOCK)
    beside.chmod(0o600)
    beside.replace(packed_path(path))
    path.unlink()


def last_lines(path: Path, count: int, end: int | None = None) -> list[bytes]:
    """Return the last `count` lines, those of the log before the last rotation included where this one has fewer.

    A line has no newline. Nothing of a log that is not there, or cannot be read; nothing after its first `end` bytes.
    """
    found = _last(path, count, end) if count > 0 else []
    if len(found) < count:
        found = _last(path.with_name(f"{path.name}.1"), count - len(found)) + found
    return found


def readable(line: bytes) -> str:
    """Return a line as a person would have read it: what a carriage return overwrote is gone, and so are the orders."""
    return clean_block(as_read(line.decode("utf-8", "replace")))


def shown_line(line: bytes) -> str:
    """Return a line as it stood on the terminal at last, its colours and other orders still in it."""
    return line.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]


def lines_before(path: Path, end: int, count: int) -> list[bytes]:
    """Return the last `count` lines of the log's first `end` bytes; nothing of one that cannot be read."""
    return _last(path, count, end)


def _last(path: Path, count: int, end: int | None = None) -> list[bytes]:
    blocks: list[bytes] = []
    newlines = size = 0
    try:
        with opened_log(path) as file:
            at = file.seek(0, 2)
            at = at if end is None else min(at, end)
            # One more than is wanted: the last line ends with one, and the line before the first must be over.
            while at > 0 and newlines <= count and size < _MOST:
                step = min(_BLOCK, at)
                at -= step
                file.seek(at)
                blocks.append(file.read(step))
                newlines += blocks[-1].count(b"\n")
                size += step
    except OSError:
        return []
    lines = b"".join(reversed(blocks)).split(b"\n")
    return (lines if lines[-1] else lines[:-1])[-count:]
