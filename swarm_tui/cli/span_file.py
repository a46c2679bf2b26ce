"""A span of a swarm's life in one file: a zip of what was known, said, decided and printed.

swarm.json       {format, swarm, since, until, made_by}
start.snapshot   what was known at `since`: MessagePack, read by the same version only
bus.jsonl        each message, as `watch --record` writes it
journal.jsonl    each task that the span touched, as `tasks ID --json` prints it
panes/ID.cast    what each agent's pane showed: asciicast v2, which asciinema plays
"""

import codecs
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

import msgspec
from msgspec import Struct, field

from swarm_tui import __version__
from swarm_tui.cli.common import USAGE, Failure
from swarm_tui.cli.recording import MOST, Line, line_bytes, parse_lines

FORMAT = 1
_WIDTH, _HEIGHT = 200, 60
Printed = list[tuple[float, str]]
"""Pieces that a pane printed: seconds since the epoch, and text with its orders for a terminal."""


class Excerpt(Struct, kw_only=True):
    """Contents of a span file; times in seconds since the epoch."""

    swarm: str
    since: float
    until: float
    snapshot: bytes = b""
    lines: list[Line] = field(default_factory=list)
    panes: dict[str, Printed] = field(default_factory=dict)


class _Head(Struct, kw_only=True):
    format: int
    swarm: str
    since: float
    until: float
    made_by: str = ""


def is_span_file(path: Path) -> bool:
    """Return whether the file begins as a zip; False for one that cannot be read, which its reader then says."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


def write_span(
    path: Path,
    span: Excerpt,
    *,
    lines: Iterable[Line],
    tasks: Iterable[dict[str, Any]],
    panes: Iterable[tuple[str, Iterable[tuple[float, bytes]]]],
) -> tuple[int, int, int]:
    """Write the file, 0600, anew; return how many messages, tasks and panes it holds. Raises Failure."""
    counts = [0, 0, 0]
    try:
        with _replacing(path) as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as out:
            head = _Head(format=FORMAT, swarm=span.swarm, since=span.since, until=span.until, made_by=__version__)
            out.writestr("swarm.json", msgspec.json.encode(head))
            out.writestr("start.snapshot", span.snapshot)
            with out.open("bus.jsonl", "w", force_zip64=True) as file:
                for line in lines:
                    file.write(line_bytes(line))
                    counts[0] += 1
            with out.open("journal.jsonl", "w", force_zip64=True) as file:
                for task in tasks:
                    file.write(msgspec.json.encode(task) + b"\n")
                    counts[1] += 1
            for agent_id, printed in panes:
                with out.open(f"panes/{agent_id}.cast", "w", force_zip64=True) as file:
                    _write_cast(file, agent_id, span.since, printed)
                counts[2] += 1
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}", USAGE) from None
    return counts[0], counts[1], counts[2]


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path`, 0600, which takes its place once it is whole; a pipe is written itself.

    Raises OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    handle, partial = mkstemp(prefix=".export-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(partial, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def _write_cast(file: IO[bytes], agent_id: str, since: float, printed: Iterable[tuple[float, bytes]]) -> None:
    head = {"version": 2, "width": _WIDTH, "height": _HEIGHT, "timestamp": int(since), "title": agent_id}
    file.write(json.dumps(head).encode() + b"\n")
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    for at, data in printed:
        event = [round(max(0.0, at - int(since)), 3), "o", decode(data)]
        file.write(json.dumps(event).encode() + b"\n")


def read_span(path: Path) -> Excerpt:
    """Return what the file holds. Raises Failure with the part of it that is none, and where."""
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(member.file_size for member in packed.infolist()) > MOST:
                raise Failure(f"{path}: more than can be held ({MOST >> 30} GiB)", USAGE)
            head = _head(path, packed)
            lines = list(parse_lines(io.BytesIO(_part(path, packed, "bus.jsonl")), Path(f"{path}/bus.jsonl")))
            panes = {
                name.removeprefix("panes/").removesuffix(".cast"): list(_cast(path, name, packed.read(name)))
                for name in packed.namelist()
                if name.startswith("panes/") and name.endswith(".cast")
            }
            snapshot = _part(path, packed, "start.snapshot")
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise Failure(f"{path} cannot be read: {error}", USAGE) from None
    return Excerpt(
        swarm=head.swarm, since=head.since, until=head.until, snapshot=snapshot, lines=lines, panes=panes
    )  # fmt: skip


def _head(path: Path, packed: zipfile.ZipFile) -> _Head:
    try:
        head = msgspec.json.decode(_part(path, packed, "swarm.json"), type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{path}/swarm.json: not the head of an export: {error}", USAGE) from None
    if head.format != FORMAT:
        raise Failure(f"{path}: an export of format {head.format}; this program reads {FORMAT}", USAGE)
    return head


def _part(path: Path, packed: zipfile.ZipFile, name: str) -> bytes:
    try:
        return packed.read(name)
    except KeyError:
        raise Failure(f"{path} has no {name}: `swarm-tui export` makes such files", USAGE) from None


def _cast(path: Path, name: str, raw: bytes) -> Iterator[tuple[float, str]]:
    start = 0.0
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            found = json.loads(line)
            if number == 1:
                start = float(found["timestamp"])
            elif found[1] == "o":
                yield start + float(found[0]), str(found[2])
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise Failure(f"{path}/{name}:{number}:1: not a line of an asciicast: {error}", USAGE) from None
