"""Bytes to a JSON object, refusing what is too big, too deep, too many, too long a number or not JSON."""

import re
from typing import Any, cast

import msgspec

MAX_BYTES = 128 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000

#: A string that never ends takes the rest, else each quote in it would be tried as a beginning.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\],]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
#: Every digit as a zero, and as many as the shortest number that may not fit 64 bits has: `in` is quicker than a regex.
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 19
_decode_json = msgspec.json.Decoder().decode
_encode_msgpack = msgspec.msgpack.Encoder(enc_hook=str).encode


class RefusedError(Exception):
    """Reason why a message is no Event, as a sentence."""


class UnprovedError(RefusedError):
    """Why a message that reads well counts for nothing: whoever said it did not prove that they may.

    `hint` is a sentence where it seems to be of another version of swarm-tui.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class LateError(RefusedError):
    """Why a command counts for nothing: it came after its time. `message_id` is its id."""

    def __init__(self, message_id: str, reason: str) -> None:
        super().__init__(reason)
        self.message_id = message_id


def parse_object(raw: bytes, *, long: bool) -> dict[str, Any]:
    """Return the JSON object in `raw`, which `has_long_number` calls `long` or not.

    Raises RefusedError with the reason, in time linear in the size.
    """
    if len(raw) > MAX_BYTES:
        raise RefusedError(f"{len(raw):,} bytes; at most {MAX_BYTES:,}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(f"not UTF-8 at byte {error.start}") from None
    _measure(raw, MAX_DEPTH, MAX_VALUES)
    try:
        value = _decode_json(raw)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        lone = " (a lone surrogate)" if _SURROGATE.search(raw) else ""
        raise RefusedError(f"not JSON: {error}{lone}") from None
    if not isinstance(value, dict):
        raise RefusedError(f"a JSON {_json_name(value)} where an object belongs")
    if long:
        check_numbers(value)
    return cast("dict[str, Any]", value)


def has_long_number(raw: bytes) -> bool:
    """Return whether so many digits follow each other somewhere that a number of them may need more than 64 bits."""
    return _LONG in raw.translate(_ZEROS)


def check_numbers(value: object) -> None:
    """Raise RefusedError when an integer in `value` is not in -2**63 … 2**64 - 1: JSON takes it, the journal cannot."""
    try:
        _encode_msgpack(value)
    except OverflowError:
        raise RefusedError("an integer of more than 64 bits") from None


def too_much(raw: bytes, *, size: int = MAX_BYTES, depth: int = MAX_DEPTH, values: int = MAX_VALUES) -> str | None:
    """Return in what this JSON is over a limit, None when in nothing. By default the limits are a whole message's."""
    try:
        if len(raw) > size:
            raise RefusedError(f"{len(raw):,} bytes; at most {size:,}")
        _measure(raw, depth, values)
    except RefusedError as refused:
        return str(refused)
    return None


def _measure(raw: bytes, max_depth: int, max_values: int) -> None:
    """Refuse too deep or too many: brackets and commas outside of strings."""
    nested = raw.count(b"{") + raw.count(b"[")
    # What is short need not be counted.
    if nested <= max_depth and (len(raw) <= max_values or nested + raw.count(b",") <= max_values):
        return
    depth = values = 0
    for token in _TOKENS.finditer(raw):
        mark = token.group()
        if mark in b"{[":
            depth += 1
            values += 1
            if depth > max_depth:
                raise RefusedError(f"nests over {max_depth} deep")
        elif mark in b"}]":
            depth -= 1
        elif mark == b",":
            values += 1
        if values > max_values:
            raise RefusedError(f"holds over {max_values:,} values")


def _json_name(value: object) -> str:
    return {list: "array", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")
