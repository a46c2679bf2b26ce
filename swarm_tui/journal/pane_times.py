"""When a pane printed what its log holds: the log's length at moments, so that the pane of then can be shown.

Beside each log stands `<log>.times`, records of 16 bytes: seconds since the epoch as a double, the log's length as an
unsigned integer, both little-endian. It is rotated with its log.
"""

import contextlib
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from swarm_tui.journal.pane_log import lines_before, opened_log, packed_path

_RECORD = struct.Struct("<dQ")
#: Rotated logs are looked through up to this number.
OLDEST = 9


def times_of(log: Path) -> Path:
    """Return where the times of a log are."""
    return log.with_name(f"{log.name}.times")


class PaneTimes:
    """Notes how long the logs of one host's panes are; what a note costs is a write of 16 bytes when one grew."""

    def __init__(self) -> None:
        self._lengths: dict[Path, int] = {}

    def note(self, log: Path, length: int, now: float) -> None:
        """Note the log's length at `now`, unless it is what it was. Raises OSError."""
        if self._lengths.get(log) == length:
            return
        descriptor = os.open(times_of(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, _RECORD.pack(now, length))
        finally:
            os.close(descriptor)
        self._lengths[log] = length

    def shift(self, log: Path, number: int) -> None:
        """Move the times of the log's `number`th predecessor (0: its own) to the next one's, as the log moves."""
        source = log if number == 0 else log.with_name(f"{log.name}.{number}")
        self._lengths.pop(log, None)
        with contextlib.suppress(FileNotFoundError):
            os.replace(times_of(source), times_of(log.with_name(f"{log.name}.{number + 1}")))


def pane_at(log: Path, at: float, count: int) -> list[bytes] | None:
    """Return the last `count` lines that the pane had printed by then; None when that is not known."""
    for path in _logs(log):
        times = _read(path)
        index = bisect_right(times, at, key=lambda entry: entry[0])
        if index:
            return lines_before(path, times[index - 1][1], count)
    return None


def printed(log: Path, since: float, until: float) -> Iterator[tuple[float, bytes]]:
    """Yield what the pane printed in that span, in pieces with their times, oldest first."""
    for path in reversed(list(_logs(log))):
        times = _read(path)
        if any(since <= at <= until for at, _ in times):
            # Opened once: a compressed one is unpacked whole.
            with contextlib.suppress(OSError), opened_log(path) as file:
                yield from _pieces(file, times, since, until)


def _logs(log: Path) -> Iterator[Path]:
    """Yield the log and those before it, newest first."""
    yield log
    for number in range(1, OLDEST + 1):
        older = log.with_name(f"{log.name}.{number}")
        if not (older.exists() or packed_path(older).exists()):
            return
        yield older


def _read(log: Path) -> list[tuple[float, int]]:
    """Return the moments and lengths of a log, oldest first; a record that was cut off while it was written is left."""
    try:
        raw = times_of(log).read_bytes()
    except OSError:
        return []
    return list(_RECORD.iter_unpack(raw[: len(raw) // _RECORD.size * _RECORD.size]))


def _pieces(
    file: IO[bytes], times: list[tuple[float, int]], since: float, until: float
) -> Iterator[tuple[float, bytes]]:
    before = 0
    for at, length in times:
        if since <= at <= until and length > before:
            file.seek(before)
            if data := file.read(length - before):
                yield at, data
        before = length if length >= before else 0
