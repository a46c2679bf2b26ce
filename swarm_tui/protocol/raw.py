"""Bytes to a JSON object, refusing what is too big, too deep, too many or not JSON before anything is built."""

import re
from typing import Any, cast

import msgspec

MAX_BYTES = 128 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000

#: A string that never ends takes the rest, else each quote in it would be tried as a beginning.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\],]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decode_json = msgspec.json.Decoder().decode


class RefusedError(Exception):
    """Why a message is no Event."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises RefusedError with the reason, in time linear in the size."""
    if len(raw) > MAX_BYTES:
        raise RefusedError(f"{len(raw):,} bytes; at most {MAX_BYTES:,}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(f"not UTF-8 at byte {error.start}") from None
    nested = raw.count(b"{") + raw.count(b"[")
    if nested + raw.count(b",") > MAX_VALUES or nested > MAX_DEPTH:
        _measure(raw)
    try:
        value = _decode_json(raw)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        lone = " (a lone surrogate)" if _SURROGATE.search(raw) else ""
        raise RefusedError(f"not JSON: {error}{lone}") from None
    if not isinstance(value, dict):
        raise RefusedError(f"a JSON {_json_name(value)} where an object belongs")
    return cast("dict[str, Any]", value)


def _measure(raw: bytes) -> None:
    """Refuse too deep or too many: brackets and commas outside of strings."""
    depth = values = 0
    for token in _TOKENS.finditer(raw):
        mark = token.group()
        if mark in b"{[":
            depth += 1
            values += 1
            if depth > MAX_DEPTH:
                raise RefusedError(f"nests over {MAX_DEPTH} deep")
        elif mark in b"}]":
            depth -= 1
        elif mark == b",":
            values += 1
        if values > MAX_VALUES:
            raise RefusedError(f"holds over {MAX_VALUES:,} values")


def _json_name(value: object) -> str:
    return {list: "array", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")
