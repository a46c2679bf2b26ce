"""A job as the journal can keep it, whatever its payload and its result hold."""

import sqlite3
from typing import Any

import msgspec
from msgspec.structs import replace

from swarm_tui.domain.dispatch.model import Job

#: Far above what any message nests, and far below what the interpreter's stack takes.
MAX_DEPTH = 64
_encode = msgspec.msgpack.Encoder().encode
_UNFIT = (OverflowError, RecursionError, TypeError, ValueError)


def encoded(job: Job) -> bytes:
    """The job in bytes; what cannot be kept of its payload and its result is replaced by a text that says so.

    Raises sqlite3.DataError when it cannot be kept even so.
    """
    try:
        return _encode(job)
    except _UNFIT:
        # One such job may not keep the others of its transaction from being written.
        pass
    try:
        task = replace(job.task, payload=storable(job.task.payload))
        return _encode(replace(job, task=task, result=storable(job.result), usage=storable(job.usage)))
    except _UNFIT as error:
        raise sqlite3.DataError(f"task {job.task_id} cannot be kept: {error}") from error


def storable(value: Any, depth: int = 0) -> Any:
    """`value` with a text in place of each part that the journal cannot keep; what it can keep stays as it is."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else f"(an integer of {value.bit_length()} bits was left out)"
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict | list | tuple) and depth >= MAX_DEPTH:
        return f"(what nests over {MAX_DEPTH} deep was left out)"
    if isinstance(value, dict):
        return {storable(str(name)): storable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner, depth + 1) for inner in value]
    return f"(a value of type {type(value).__name__} was left out)"
