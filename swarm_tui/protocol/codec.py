"""Bytes to Event or Rejected, and back: a tolerant reader and a strict writer."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any, cast

import msgspec

from swarm_tui.protocol.bodies import BODY, Body, Cleared, Unknown
from swarm_tui.protocol.envelope import ANONYMOUS, Event, Outgoing, Rejected, parse_time, rfc3339
from swarm_tui.protocol.names import is_agent_id, is_task_id
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import COMMANDS, QOS_0, RETAINED, Kind, parse, topic

MAX_BYTES = 128 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000
COMMAND_LIFE = 60.0

_SENDER = re.compile(r"[A-Za-z0-9_.:@-]{1,160}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CAMEL = {
    "agentId": "agent_id",
    "taskId": "task_id",
    "taskType": "type",
    "task_type": "type",
    "idempotencyKey": "idempotency_key",
    "correlationId": "correlation_id",
    "uptimeSec": "uptime",
    "assignedTo": "assigned_to",
    "maxAttempts": "max_attempts",
    "notBefore": "not_before",
    "expiresAt": "expires_at",
    "claimedAt": "claimed_at",
    "completedAt": "completed_at",
    "failedAt": "failed_at",
    "startedAt": "started_at",
}
_PRIORITIES = {"low": "low", "high": "high", "critical": "high", "urgent": "high"}
_TASKS = frozenset({Kind.TASK_NEW, Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW})
_REQUEST_TYPE = {Kind.DEPLOYMENT_REQUEST: "deployment.deploy", Kind.CODE_REVIEW: "code.review"}
#: Kinds whose topic names the one who speaks.
_SPEAKER_IN_TOPIC = frozenset({Kind.STATUS, Kind.QUERY, Kind.HOST_STATUS})
_PRESENCE = frozenset({Kind.REGISTER, Kind.HEARTBEAT, Kind.SHUTDOWN, Kind.STATUS})
_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode


class _Refused(Exception):
    """Why this message is no Event."""


def decode(swarm: str, full: str, raw: bytes, retained: bool, received: float) -> Event | Rejected | None:
    """Read one message; None when the topic is not the swarm's.

    `received` is the time of receipt, seconds since the epoch. Never raises, whatever the bytes.
    """
    address = parse(swarm, full)
    if address is None:
        return None
    try:
        if retained and address.kind not in RETAINED and address.kind is not Kind.OTHER:
            raise _Refused("a retained copy on a topic that is not retained")
        if not raw and address.kind in RETAINED:
            return _cleared(full, address.kind, address.key, retained, received)
        return _read(full, address.kind, address.key, _parse(raw), raw, retained, received)
    except _Refused as refusal:
        reason = str(refusal)
    except RecursionError:
        reason = f"nests over {MAX_DEPTH} deep"
    return Rejected(
        topic=clean(full, 200),
        reason=clean(reason, 200),
        first=clean(raw[:120].decode("utf-8", "replace")),
        received=received,
    )


def _cleared(full: str, kind: Kind, key: str, retained: bool, received: float) -> Event:
    return Event(
        topic=full,
        kind=kind,
        key=key,
        id="",
        at=received,
        received=received,
        sender=key if kind in _SPEAKER_IN_TOPIC else ANONYMOUS,
        role=None,
        body=Cleared(),
        payload={},
        retained=retained,
    )


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise _Refused(f"{len(raw):,} bytes; at most {MAX_BYTES:,}")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(f"not UTF-8 at byte {error.start}") from None
    nested = raw.count(b"{") + raw.count(b"[")
    if nested + raw.count(b",") > MAX_VALUES or nested > MAX_DEPTH:
        _measure(raw)
    try:
        value = _decode_json(raw)
    except msgspec.DecodeError as error:
        lone = " (a lone surrogate)" if _SURROGATE.search(raw) else ""
        raise _Refused(f"not JSON: {error}{lone}") from None
    if not isinstance(value, dict):
        raise _Refused(f"a JSON {_json_name(value)} where an object belongs")
    return cast("dict[str, Any]", value)


def _measure(raw: bytes) -> None:
    """Refuse too deep or too many without building anything: brackets and commas outside of strings."""
    depth = values = 0
    for token in _TOKENS.finditer(raw):
        mark = token.group()
        if mark in b"{[":
            depth += 1
            values += 1
            if depth > MAX_DEPTH:
                raise _Refused(f"nests over {MAX_DEPTH} deep")
        elif mark in b"}]":
            depth -= 1
        elif mark == b",":
            values += 1
            if values > MAX_VALUES:
                raise _Refused(f"holds over {MAX_VALUES:,} values")


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)


def _json_name(value: object) -> str:
    return {list: "array", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")


def _read(full: str, kind: Kind, key: str, body: dict[str, Any], raw: bytes, retained: bool, received: float) -> Event:
    bare = not isinstance(body.get("payload"), dict) or "task_id" in body or "taskId" in body
    payload = _snake(kind, body if bare else body["payload"])
    warnings: list[str] = []
    sender = _sender(kind, key, body, payload, warnings)
    at = parse_time(body.get("timestamp"))
    identity = body.get("id")
    if not isinstance(identity, str) or not 0 < len(identity) <= 128:
        identity = sha256(b"%b\0%b\0%f" % (full.encode("utf-8", "replace"), raw, received)).hexdigest()[:32]
    expires_at = None if bare and kind in _TASKS else parse_time(body.get("expires_at"))
    if kind in COMMANDS and kind not in RETAINED and expires_at is not None and expires_at < received:
        raise _Refused(f"a command that expired {received - expires_at:.0f} s ago (or a clock is off)")
    role = body.get("role")
    return Event(
        topic=full,
        kind=kind,
        key=key,
        id=clean(identity),
        at=received if at is None else at,
        received=received,
        sender=sender,
        role=clean(role, 64) if isinstance(role, str) else None,
        body=_typed(kind, key, sender, payload),
        payload=payload,
        retained=retained,
        expires_at=expires_at,
        warnings=tuple(warnings),
    )


def _snake(kind: Kind, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload under its snake-case names, with the dialects' shapes mended."""
    known = {_CAMEL.get(name, name): value for name, value in payload.items()}
    if "leaseMs" in known and "lease" not in known and isinstance(known["leaseMs"], (int, float)):
        known["lease"] = known["leaseMs"] / 1000
    if kind in _TASKS:
        _mend_task(kind, known)
    elif kind is Kind.TASK_FAILED and isinstance(known.get("error"), str):
        known["error"] = {"message": known["error"]}
    elif kind is Kind.TASK_COMPLETE and "result" not in known and "output" in known:
        known["result"] = known["output"]
    elif kind is Kind.HEARTBEAT and isinstance(known.get("memory"), (int, float)):
        known["memory"] = {"rss": known["memory"]}
    for name in ("not_before", "expires_at", "started_at"):
        if known.get(name) is not None:
            known[name] = parse_time(known[name])
    return known


def _mend_task(kind: Kind, known: dict[str, Any]) -> None:
    if "payload" not in known and isinstance(known.get("input"), dict):
        known["payload"] = known["input"]
    if not isinstance(known.get("payload", {}), dict):
        known["payload"] = {"value": known["payload"]}
    if (priority := known.get("priority")) is not None:
        known["priority"] = _PRIORITIES.get(str(priority).lower(), "medium")
    if kind in _REQUEST_TYPE:
        known.setdefault("type", _REQUEST_TYPE[kind])
        if "task_id" in known and "payload" not in known:
            known["payload"] = {n: v for n, v in known.items() if n not in ("task_id", "type", "priority", "id")}


def _sender(kind: Kind, key: str, body: dict[str, Any], payload: dict[str, Any], warnings: list[str]) -> str:
    claims = [body.get("agent_id", body.get("agentId")), payload.get("agent_id")]
    if kind in _SPEAKER_IN_TOPIC:
        if any(isinstance(claim, str) and claim != key for claim in claims if kind is Kind.STATUS):
            warnings.append("the sender it claims is not the one its topic names")
        claims.insert(0, key)
    for claim in claims:
        if isinstance(claim, str) and claim:
            if (is_agent_id if kind in _PRESENCE else _SENDER.fullmatch)(claim):
                return claim
            if kind in _PRESENCE:
                raise _Refused(f"{claim[:80]!r} is not an agent id")
            warnings.append("a sender that is no name")
    return ANONYMOUS


def _typed(kind: Kind, key: str, sender: str, payload: dict[str, Any]) -> Body:
    if kind is Kind.OTHER:
        return Unknown()
    body_type = BODY[kind]
    known = dict(payload)
    fields = body_type.__struct_fields__
    if "agent_id" in fields and kind is not Kind.HOST_CONTROL and kind is not Kind.ALERT:
        if kind is Kind.STATUS:
            known["agent_id"] = key
        elif not known.get("agent_id") and sender != ANONYMOUS:
            known["agent_id"] = sender
    for name in [n for n, value in known.items() if value is None and n != "result"]:
        del known[name]
    try:
        body = msgspec.convert(known, body_type, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _Refused(f"{kind.value}: {error}") from None
    _check_names(kind, body)
    return body


def _check_names(kind: Kind, body: Body) -> None:
    task_id = getattr(body, "task_id", None)
    if isinstance(task_id, str) and not is_task_id(task_id):
        raise _Refused(f"{task_id[:80]!r} is not a task id")
    agent_id = getattr(body, "agent_id", None)
    if isinstance(agent_id, str) and agent_id and not is_agent_id(agent_id):
        raise _Refused(f"{agent_id[:80]!r} is not an agent id")
    if kind in _PRESENCE and not agent_id:
        raise _Refused(f"{kind.value}: names no agent")


def builtins(body: Body) -> dict[str, Any]:
    """The body as the wire shows it: fields that are None are left out, `result` never."""
    plain: dict[str, Any] = msgspec.to_builtins(body)
    return _without_none(plain)


def _without_none(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if name in ("error", "task") and isinstance(value, dict) else value
        for name, value in plain.items()
        if (value is not None or name == "result") and not (name == "agent_id" and value == "")
    }


class Writer:
    """Makes the messages that one sender says; ids and times come from its arguments, so that all replays.

    `new_id` gives a fresh uuid4 as text, `clock` the time in seconds since the epoch.
    """

    def __init__(
        self, swarm: str, sender: str, role: str, *, new_id: Callable[[], str], clock: Callable[[], float]
    ) -> None:
        self.swarm = swarm
        self.sender = sender
        self.role = role
        self._new_id = new_id
        self._clock = clock

    def message(self, kind: Kind, body: Body, key: str = "", *, message_id: str | None = None) -> Outgoing:
        """The message of `kind`; `key` fills the topic's `+`. A repeat of a message passes its `message_id`."""
        now = self._clock()
        envelope: dict[str, Any] = {
            "id": message_id or self._new_id(),
            "timestamp": rfc3339(now),
            "agent_id": self.sender,
            "role": self.role,
            "v": 1,
            "payload": builtins(body),
        }
        if (kind in COMMANDS and kind not in RETAINED) or (kind is Kind.INBOX and "command" in envelope["payload"]):
            envelope["expires_at"] = rfc3339(now + COMMAND_LIFE)
        return Outgoing(
            topic(self.swarm, kind, key), _encode_json(envelope), 0 if kind in QOS_0 else 1, kind in RETAINED
        )

    def clear(self, kind: Kind, key: str = "") -> Outgoing:
        """The empty retained message that clears what `kind` retains."""
        return Outgoing(topic(self.swarm, kind, key), b"", 1, True)
