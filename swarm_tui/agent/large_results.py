"""Results as the wire takes them: what is too large goes into a file, and the message names it."""

import hashlib
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.config.files import write_private
from swarm_tui.protocol.bodies import Complete, ErrorInfo, Failed
from swarm_tui.protocol.codec import MAX_DEPTH, MAX_VALUES, Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

#: What a large result still shows of itself.
_KEPT = ("verdict", "summary", "message", "passed", "failed", "status", "url")


def fitted(answer: Complete | Failed, writer: Writer, folder: Path) -> Complete | Failed:
    """Return the answer, such that every reader takes it.

    A result that is no JSON becomes a failure that says so, and a failure goes without it; one that is too large
    (bytes, depth or values) becomes `{"file", "size", "sha256", …}` with the path of a 0600 file under `folder`.
    """
    try:
        data = msgspec.json.encode(answer.result)
        if _has_odd_number(answer.result):
            return _failed(answer, f"the handler's result holds {_odd_number(answer.result)}")
        if _is_plain(data) or _readable(answer, writer):
            return answer
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
        return _failed(answer, f"the handler's result is no JSON: {error}")
    path = folder / f"{answer.task_id}-{answer.attempt or 0}.json"
    try:
        write_private(path, data)
    except OSError as error:
        return _failed(answer, f"the result of {len(data):,} bytes cannot be kept: {error.strerror or error}")
    named: dict[str, Any] = {"file": str(path), "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if isinstance(answer.result, dict):
        named |= {k: v for k in _KEPT if isinstance(v := answer.result.get(k), (str, int, float)) and len(str(v)) < 500}
    return msgspec.structs.replace(answer, result=named)


def _is_odd(value: object) -> bool:
    """Return whether it is a number that readers of JSON cannot take: not finite, or of more than 64 bits."""
    if type(value) is float:
        return not isfinite(value)
    return type(value) is int and not -(2**63) <= value < 2**64


def _has_odd_number(value: Any) -> bool:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list | tuple):
            waiting += inner
        elif _is_odd(inner):
            return True
    return False


def _odd_number(value: Any) -> str:
    """Return which the first such number is, and where, in words."""
    waiting = [("result", value)]
    while waiting:
        place, inner = waiting.pop()
        if isinstance(inner, dict):
            waiting += [(f"{place}.{name}"[:200], part) for name, part in reversed(inner.items())]
        elif isinstance(inner, list | tuple):
            waiting += [(f"{place}[{number}]", part) for number, part in reversed(list(enumerate(inner)))]
        elif _is_odd(inner):
            what = "an integer of more than 64 bits" if type(inner) is int else str(inner)
            return f"{what} at `{place}`, which JSON's readers cannot take: give it as text"
    return "a number that cannot be told"


def _is_plain(data: bytes) -> bool:
    """Return whether a result is far from every limit, with room for the little that is said around it."""
    return len(data) <= MAX_VALUES // 2 and data.count(b"{") + data.count(b"[") <= MAX_DEPTH // 2


def _readable(answer: Complete | Failed, writer: Writer) -> bool:
    kind = Kind.TASK_COMPLETE if isinstance(answer, Complete) else Kind.TASK_FAILED
    said = writer.message(kind, answer)
    if len(said.payload) <= MAX_VALUES and said.payload.count(b"{") + said.payload.count(b"[") <= MAX_DEPTH:
        # Too short to hold too many values, too few brackets to nest too deep.
        return True
    return isinstance(decode(writer.swarm, said.topic, said.payload, False, 0.0), Event)


def _failed(answer: Complete | Failed, message: str) -> Failed:
    if isinstance(answer, Failed):
        # What it failed of, and who stopped it, count for more than the part of a result that it left.
        error = msgspec.structs.replace(answer.error, message=f"{answer.error.message} ({message[:300]})")
        return msgspec.structs.replace(answer, result=None, error=error)
    return Failed(
        task_id=answer.task_id,
        agent_id=answer.agent_id,
        attempt=answer.attempt,
        epoch=answer.epoch,
        duration=answer.duration,
        error=ErrorInfo(message=message[:500], code="bad-result"),
        retryable=False,
    )
