"""A recording of a swarm's messages: one JSON object a line, the payload as it came."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import msgspec
from msgspec import Meta, Struct

from swarm_tui.cli.common import USAGE, Failure
from swarm_tui.journal.recorder_port import Recorded, heard_then
from swarm_tui.protocol.envelope import Event, Rejected

#: Bytes of a line: more than any message that a reader takes.
LONGEST = 16 * 1024 * 1024
#: What a recording may take in memory, as its lines' bytes and what each costs besides.
MOST, EACH = 1 << 30, 200
#: The end of the year 9999: no calendar goes further.
_LAST = 253_402_300_799.0
_AT_FIELD = re.compile(r"`\$\.(\w+)`")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


class Line(Struct, frozen=True, kw_only=True):
    """A message: `at` seconds since the epoch."""

    at: float
    topic: str
    payload: bytes
    retained: bool = False
    proved: str = ""
    """The identity whose proof held when it was heard."""
    refused: str = ""
    """Why it counted for nothing then, for want of a proof."""

    def heard(self, swarm: str) -> Event | Rejected | None:
        """Return the message as it was heard then; None of another swarm's."""
        row = Recorded(self.at, self.topic, self.payload, proved=self.proved, refused=self.refused)
        return heard_then(swarm, row, retained=self.retained)


class _Written(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line on disk: text where the payload is UTF-8, so that people and jq can read it, else base64."""

    at: Annotated[float, Meta(ge=0, le=_LAST)]
    topic: str
    payload: str | None = None
    base64: str | None = None
    retained: bool = False
    proved: str = ""
    refused: str = ""


_read = msgspec.json.Decoder(_Written).decode


@contextmanager
def opened(path: Path | None) -> Iterator[IO[bytes] | None]:
    """The recording to append to, 0600 when it is new; nothing without a path. Raises Failure."""
    if path is None:
        yield None
        return
    try:
        file = open(path, "ab", opener=_private)  # noqa: SIM115  (a failure to open is a sentence, later ones are not ours)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}", USAGE) from None
    with file:
        yield file


def _private(name: str, flags: int) -> int:
    import os

    return os.open(name, flags, 0o600)


def write_line(file: IO[bytes], line: Line) -> None:
    """Append one message, and let readers see it at once. Of one that no line holds, its beginning is kept."""
    file.write(line_bytes(line))
    file.flush()


def line_bytes(line: Line) -> bytes:
    """Return a message as a line of a recording; of one that no line holds, its beginning."""
    raw = _written(line)
    if len(raw) > LONGEST:
        raw = _written(msgspec.structs.replace(line, payload=line.payload[: LONGEST // 8]))
    return raw


def _written(line: Line) -> bytes:
    text, encoded = None, None
    try:
        text = line.payload.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(line.payload).decode()
    written = _Written(
        at=line.at,
        topic=line.topic,
        payload=text,
        base64=encoded,
        retained=line.retained,
        proved=line.proved,
        refused=line.refused,
    )
    return msgspec.json.encode(written) + b"\n"


def read_lines(path: Path) -> Iterator[Line]:
    """The messages of a recording, in their order, as far as memory allows. Raises Failure with the line that is none.

    A last line that was cut off while it was being written is left out.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115  (as above)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", USAGE) from None
    with file:
        yield from parse_lines(file, path)


def parse_lines(file: IO[bytes], path: Path) -> Iterator[Line]:
    """Yield the messages of a recording, which errors call `path`; else as `read_lines`."""
    number = size = 0
    while raw := _next(file, path):
        number += 1
        size += len(raw) + EACH
        if len(raw) > LONGEST:
            why = _binary(raw) or f"a line of more than {LONGEST:,} bytes"
            raise Failure(f"{path}:{number}:1: not a line of a recording: {why}", USAGE)
        if size > MOST:
            why = f"this is more than can be held ({MOST >> 30} GiB); `head -n {number - 1}` cuts off what can"
            raise Failure(f"{path}:{number}:1: {why}", USAGE)
        if not raw.strip():
            continue
        try:
            line = _line(raw)
        except (msgspec.DecodeError, UnicodeError, ValueError) as error:
            if not raw.endswith(b"\n") and raw.startswith(b"{"):
                return
            column, why = _place(raw, str(error))
            raise Failure(f"{path}:{number}:{column}: not a line of a recording: {why}", USAGE) from None
        yield line


def _next(file: IO[bytes], path: Path) -> bytes:
    """The next line, or the beginning of one that is too long; empty at the end."""
    try:
        return file.readline(LONGEST + 1)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", USAGE) from None


def _line(raw: bytes) -> Line:
    written = _read(raw)
    data = base64.b64decode(written.base64) if written.base64 else (written.payload or "").encode()
    return Line(
        at=written.at,
        topic=written.topic,
        payload=data,
        retained=written.retained,
        proved=written.proved,
        refused=written.refused,
    )


def _place(raw: bytes, reason: str) -> tuple[int, str]:
    """The column of what is wrong, and the reason in a person's words. The quick reader does not tell where it was."""
    binary = _binary(raw)
    try:
        json.loads(raw)
    except json.JSONDecodeError as error:
        return error.colno, binary or error.msg.lower()
    except (ValueError, RecursionError):
        return 1, binary or reason
    field = _AT_FIELD.search(reason)
    at = raw.find(f'"{field[1]}"'.encode()) if field else -1
    return max(0, at) + 1, binary or reason


def _binary(raw: bytes) -> str:
    """Return the complaint that the line is no text at all; empty when it is one."""
    return "binary data" if _BINARY.search(raw) else ""
