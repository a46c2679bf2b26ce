"""Bytes that are equal when two tasks ask for the same, and the digest that stands for them."""

from hashlib import sha256
from typing import Any

import msgspec


def canonical_json(value: object) -> bytes:
    """Return bytes that are equal for equal values, whatever order their fields came in."""
    return msgspec.json.encode(value, order="deterministic")


def payload_hash(task_type: str, payload: dict[str, Any]) -> str:
    """Return the 64 hex digits, of the type and the payload, to which an approval is bound."""
    return sha256(canonical_json([task_type, payload])).hexdigest()
