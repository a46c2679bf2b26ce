"""A recording of a swarm's messages: one JSON object a line, the payload as it came."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from swarm_tui.cli.common import USAGE, Failure


class Line(Struct, frozen=True, kw_only=True):
    """One message: `at` seconds since the epoch."""

    at: float
    topic: str
    payload: bytes
    retained: bool = False


class _Written(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line on disk: text where the payload is UTF-8, so that people and jq can read it, else base64."""

    at: float
    topic: str
    payload: str | None = None
    base64: str | None = None
    retained: bool = False


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
    """Append one message, and let readers see it at once."""
    try:
        written = _Written(at=line.at, topic=line.topic, payload=line.payload.decode(), retained=line.retained)
    except UnicodeDecodeError:
        text = base64.b64encode(line.payload).decode()
        written = _Written(at=line.at, topic=line.topic, base64=text, retained=line.retained)
    file.write(msgspec.json.encode(written) + b"\n")
    file.flush()


def read_lines(path: Path) -> Iterator[Line]:
    """The messages of a recording, in their order. Raises Failure with the line that is none."""
    try:
        file = open(path, "rb")  # noqa: SIM115  (as above)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", USAGE) from None
    with file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                written = _read(raw)
                data = base64.b64decode(written.base64) if written.base64 else (written.payload or "").encode()
            except (msgspec.DecodeError, UnicodeError, ValueError) as error:
                if not raw.endswith(b"\n"):
                    return  # Cut off while it was being written.
                raise Failure(f"{path}:{number}:1: not a line of a recording: {error}", USAGE) from None
            yield Line(at=written.at, topic=written.topic, payload=data, retained=written.retained)
