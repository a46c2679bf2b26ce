"""Excerpts of what a pane printed, and their form on the bus: compressed, in parts that each fit an answer."""

import base64
import binascii
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from math import inf, nextafter
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.journal.pane_times import pane_at, printed

#: Lines of the pane as it was when the span began.
FIRST_LINES = 60
#: Bytes that one answer holds before they are compressed, and bytes of a row of it.
MOST, ROW = 4 * 1024 * 1024, 48 * 1024
#: Bytes of an answer, unpacked, that are taken: one piece is always sent, and may be a whole log.
LARGEST = 32 * 1024 * 1024
#: A moment, seconds since the epoch, and what was printed then.
Piece = tuple[float, bytes]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Piece]).decode


def excerpt(log: Path, since: float, until: float) -> Iterator[Piece]:
    """Yield what the pane showed when the span began, then what it printed, in pieces, oldest first."""
    if first := pane_at(log, since, FIRST_LINES):
        yield since, b"\n".join(first) + b"\n"
    yield from printed(log, nextafter(since, inf), until)


def packed(log: Path, since: float, until: float, skip: int = 0) -> list[dict[str, Any]]:
    """Return rows of an answer: the pieces after the first `skip`, as many as an answer holds.

    The first row says under `next` how many to skip for the rest; None where that is all.
    """
    pieces: list[Piece] = []
    size, more = 0, None
    for piece in islice(excerpt(log, since, until), skip, None):
        if pieces and size + len(piece[1]) > MOST:
            more = skip + len(pieces)
            break
        pieces.append(piece)
        size += len(piece[1])
    if not pieces:
        return []
    raw = zlib.compress(_encode(pieces), 1)
    parts = [raw[start : start + ROW] for start in range(0, len(raw), ROW)]
    return [{"next": more, "data": base64.b64encode(part).decode()} for part in parts]


def unpacked(rows: Sequence[Any]) -> tuple[list[Piece], int | None]:
    """Return the pieces of an answer, and how many to skip for the rest. Raises ValueError for what is none."""
    if not rows:
        return [], None
    try:
        raw = b"".join(base64.b64decode(row["data"], validate=True) for row in rows)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(raw, LARGEST)
        more = rows[0]["next"]
        if unpacker.unconsumed_tail or not unpacker.eof or not (more is None or (isinstance(more, int) and more > 0)):
            raise ValueError
        return _decode(text), more
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, msgspec.DecodeError):
        raise ValueError("the answer is no excerpt of a pane") from None
