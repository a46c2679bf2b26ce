"""When two tasks ask for the same: bytes that are equal then, and what stands for them."""

from hashlib import sha256
from typing import Any

import msgspec


def canonical_json(value: object) -> bytes:
    """Bytes that are equal for equal values, whatever order their fields came in."""
    return msgspec.json.encode(value, order="deterministic")


def payload_hash(task_type: str, payload: dict[str, Any]) -> str:
    """What an approval is bound to: 64 hex digits of the type and the payload."""
    return sha256(canonical_json([task_type, payload])).hexdigest()
