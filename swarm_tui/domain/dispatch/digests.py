"""Bytes that are equal when two tasks ask for the same, and the digest that stands for them."""

from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from swarm_tui.protocol.bodies import Task

#: The end of a task's bytes that needs nothing: what was accepted before there were needs has the same digest now.
_NEEDS_NOTHING = b',"needs":null}'


def canonical_json(value: object) -> bytes:
    """Return bytes that are equal for equal values, whatever order their fields came in."""
    return msgspec.json.encode(value, order="deterministic")


def task_body(task: Task) -> bytes:
    """Return bytes that are equal for tasks that ask for the same, whatever their id and trace."""
    body = canonical_json(replace(task, task_id="", traceparent=None))
    return body[: -len(_NEEDS_NOTHING)] + b"}" if body.endswith(_NEEDS_NOTHING) else body


def payload_hash(task_type: str, payload: dict[str, Any]) -> str:
    """Return the 64 hex digits, of the type and the payload, to which an approval is bound."""
    return sha256(canonical_json([task_type, payload])).hexdigest()
