"""Keep what the programs of a task print, in files of bounded size, and read it from any position.

An attempt has up to three files in one folder: `<task>-<attempt>.log` with the first HEAD bytes, and two of TAIL bytes
that take turns with what comes after: `….0.log`, `….1.log`, each of which begins with its position in the whole. A
head that its owner cannot write any more belongs to an attempt that has ended.
"""

import os
import re
import stat
import threading
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

#: Bytes of an attempt's output that are kept from its beginning, and in each of the two files of its end.
HEAD, TAIL = 512 * 1024, 256 * 1024
#: Bytes of output in a row of an answer: as JSON, with every one of them escaped, it still fits a message.
ROW = 12 * 1024
#: Attempts of a task that are looked for when none is named.
MOST_ATTEMPTS = 64
#: The names of these files; the first group is the task's id.
NAME = re.compile(r"([A-Za-z0-9_.:-]{1,128})-[0-9]{1,20}(?:\.[01])?\.log")
_POSITION = 21


class OutputPage(Struct, frozen=True, kw_only=True):
    """A part of an attempt's output. Positions are bytes from its beginning.

    `text` begins at `start`, which is after the position asked for where the middle was left out, and ends at `next`;
    there is more while `next` is less than `size`. `ended`: the attempt is over and nothing more comes.
    """

    attempt: int
    start: int
    next: int
    size: int
    ended: bool
    text: str = ""


class OutputFile:
    """Writes one attempt's output; thread-safe, and without files until the first byte. Raises nothing.

    `failure` says why the last write failed, if it did: what could not be written is left out.
    """

    def __init__(self, folder: Path, task_id: str, attempt: int) -> None:
        self._path = folder / f"{task_id}-{attempt}.log"
        self._size = 0
        self._handle: int | None = None
        self._room = HEAD
        self._turn = 1
        self._closed = False
        self._lock = threading.Lock()
        self.failure = ""

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._lock:
            if self._closed:
                return
            try:
                self._append(data)
                self.failure = ""
            except OSError as error:
                self.failure = f"{self._path}: {error.strerror or error}"

    def close(self) -> None:
        """Mark the attempt as ended."""
        with self._lock:
            self._closed = True
            if self._handle is None:
                return
            os.close(self._handle)
            self._handle = None
            try:
                os.chmod(self._path, 0o400)
            except OSError as error:
                self.failure = f"{self._path}: {error.strerror or error}"

    def _append(self, data: bytes) -> None:
        if self._handle is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = self._open(self._path)
        view = memoryview(data)
        while view:
            if not self._room:
                self._turn_over()
            wrote = os.write(self._handle, view[: self._room])
            view = view[wrote:]
            self._room -= wrote
            self._size += wrote

    def _turn_over(self) -> None:
        """Go on in the other of the two files of the end; what that held is left out from now on."""
        turn = 1 - self._turn
        handle = self._open(self._path.with_suffix(f".{turn}.log"))
        try:
            os.write(handle, b"%020d\n" % self._size)
        except OSError:
            os.close(handle)
            raise
        assert self._handle is not None
        os.close(self._handle)
        self._handle, self._room, self._turn = handle, TAIL, turn

    def _open(self, path: Path) -> int:
        # Of an attempt that was begun twice (its agent died), the second begins anew; the first may be read-only.
        path.unlink(missing_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def attempts_with_output(folder: Path, task_id: str) -> list[int]:
    """Return the attempts of the task whose output is kept in the folder, in order; at most the first 64 are known."""
    if NAME.fullmatch(f"{task_id}-1.log") is None:
        return []
    return [number for number in range(MOST_ATTEMPTS) if (folder / f"{task_id}-{number}.log").is_file()]


def read_output(
    folder: Path, task_id: str, attempt: int | None = None, *, since: int = 0, limit: int = 1 << 20
) -> OutputPage | None:
    """Return up to `limit` bytes of an attempt's output from the position `since` on, as text; None when none is kept.

    Without `attempt` it is the last one that has output here. A page that is cut short ends with a line, where it can.
    Bytes that are no UTF-8 become U+FFFD.
    """
    path = _path(folder, task_id, attempt)
    try:
        ended = not path.stat().st_mode & stat.S_IWUSR
        parts = _parts(path)
    except OSError:
        return None
    attempt = int(path.stem.rpartition("-")[2])
    size = max(start + len(data) for start, data in parts)
    for start, data in parts:
        if since < start + len(data):
            start, data = max(since, start), data[max(0, since - start) :]
            cut = _cut(data, max(1, limit))
            text = data[:cut].decode("utf-8", "replace")
            return OutputPage(attempt=attempt, start=start, next=start + cut, size=size, ended=ended, text=text)
    return OutputPage(attempt=attempt, start=size, next=size, size=size, ended=ended)


def tail_position(folder: Path, task_id: str, attempt: int | None, lines: int) -> int:
    """Return the position at which the last `lines` lines of what is kept begin; 0 when all of it is fewer."""
    try:
        parts = _parts(_path(folder, task_id, attempt))
    except OSError:
        return 0
    for start, data in reversed(parts):
        newlines = data.count(b"\n", 0, -1)
        if lines < 1:
            return start + len(data)
        if newlines >= lines:
            at = len(data) - 1
            for _ in range(lines):
                at = data.rindex(b"\n", 0, at)
            return start + at + 1
        lines -= newlines + 1
        if lines < 1:
            return start
    return 0


def output_rows(folder: Path, args: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer the query `output` of an operator: the pages of a task's output, each as OutputPage names its fields.

    `args` are `task_id`; `attempt`, by default the last that has output here; and either `since`, a position, or
    `lines`, how many of the last ones. No row where nothing is kept, or the question makes no sense.
    """
    task_id, attempt = args.get("task_id"), _number(args.get("attempt"))
    if not isinstance(task_id, str):
        return []
    since, lines = _number(args.get("since")), _number(args.get("lines"))
    position = tail_position(folder, task_id, attempt, lines) if lines is not None and since is None else since or 0
    rows: list[dict[str, Any]] = []
    while (page := read_output(folder, task_id, attempt, since=position, limit=ROW)) is not None:
        attempt = page.attempt
        if rows and page.next == position:
            break
        rows.append(msgspec.to_builtins(page))
        position = page.next
    return rows


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _path(folder: Path, task_id: str, attempt: int | None) -> Path:
    """Return the first file of an attempt, the last that has one where none is named; it need not be there."""
    if attempt is None:
        attempt = max(attempts_with_output(folder, task_id), default=0)
    name = f"{task_id}-{attempt}.log"
    return folder / (name if NAME.fullmatch(name) else "-")


def _parts(path: Path) -> list[tuple[int, bytes]]:
    """Return what is kept, in order, each with its position; two are apart. Raises OSError when nothing is kept."""
    parts = [(0, path.read_bytes())]
    for start, data in _tails(path):
        before, text = parts[-1]
        if start == before + len(text):
            parts[-1] = (before, text + data)
        else:
            parts.append((start, data))
    return parts


def _tails(path: Path) -> list[tuple[int, bytes]]:
    """Return the files of the end, in order, each with its position."""
    found = []
    for turn in (0, 1):
        try:
            data = path.with_suffix(f".{turn}.log").read_bytes()
        except FileNotFoundError:
            continue
        if len(data) >= _POSITION and data[: _POSITION - 1].isdigit():
            found.append((int(data[: _POSITION - 1]), data[_POSITION:]))
    return sorted(found)


def _cut(data: bytes, limit: int) -> int:
    """Return where a page of at most `limit` bytes ends: after a line, else after a whole character."""
    if len(data) <= limit:
        return len(data)
    if newline := data.rfind(b"\n", 0, limit) + 1:
        return newline
    while limit > 1 and data[limit] & 0xC0 == 0x80:
        limit -= 1
    return limit
