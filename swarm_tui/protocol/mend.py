"""A payload under its snake-case names, with the shapes of the dialects mended."""

from hashlib import sha256
from typing import Any

from swarm_tui.protocol.envelope import parse_time, rfc3339
from swarm_tui.protocol.topics import Kind

TASKS = frozenset({Kind.TASK_NEW, Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW})
_REQUEST_TYPE = {Kind.DEPLOYMENT_REQUEST: "deployment.deploy", Kind.CODE_REVIEW: "code.review"}
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
    "assignedAt": "claimed_at",
    "completedAt": "completed_at",
    "failedAt": "failed_at",
    "startedAt": "started_at",
}
_TIMES = ("not_before", "expires_at", "started_at")
_STAMPS = ("claimed_at", "completed_at", "failed_at")
#: Names of which most messages have none, and without which there is nothing to mend.
_ODD = frozenset({*_CAMEL, "leaseMs", *_TIMES, *_STAMPS})
_PRIORITIES = {"low": "low", "high": "high", "critical": "high", "urgent": "high"}
#: Of a request whose body is the payload: what belongs to the task or the envelope.
_NOT_PAYLOAD = frozenset(
    {"task_id", "type", "priority", "id", "timestamp", "agent_id", "role", "v", "assigned_to", "timeout"}
    | {"max_attempts", "not_before", "expires_at", "idempotency_key", "correlation_id", "traceparent"}
)


def digest(data: bytes) -> str:
    """Return 32 hex digits that stand for `data`, where it has no id of its own."""
    return sha256(data).hexdigest()[:32]


def snake(kind: Kind, payload: dict[str, Any], identity: str) -> dict[str, Any]:
    """Return the payload as the bodies name its fields, unknown ones kept; `identity` is its message's id."""
    odd = not _ODD.isdisjoint(payload)
    known = _renamed(payload) if odd else dict(payload)
    if kind in TASKS:
        _task(kind, known, identity)
    elif kind is Kind.TASK_FAILED or kind is Kind.TASK_COMPLETE:
        _answer(known)
    elif kind is Kind.HEARTBEAT:
        _heartbeat(known)
    if odd:
        _timed(known)
    return known


def _renamed(payload: dict[str, Any]) -> dict[str, Any]:
    known = dict(payload)
    if not _CAMEL.keys().isdisjoint(payload):
        known = {name: value for name, value in payload.items() if name not in _CAMEL}
        for camel, name in _CAMEL.items():
            if camel in payload:
                known.setdefault(name, payload[camel])
    lease = known.get("leaseMs")
    if "lease" not in known and isinstance(lease, int | float) and not isinstance(lease, bool) and abs(lease) < 1e15:
        known["lease"] = lease / 1000
    return known


def _timed(known: dict[str, Any]) -> None:
    for name in _TIMES:
        if known.get(name) is not None:
            known[name] = parse_time(known[name])
    for name in _STAMPS:
        if isinstance(known.get(name), int | float):
            at = parse_time(known[name])
            known[name] = None if at is None else rfc3339(at)


def _task(kind: Kind, known: dict[str, Any], identity: str) -> None:
    if kind in _REQUEST_TYPE:
        known.setdefault("type", _REQUEST_TYPE[kind])
        if "task_id" not in known:
            known["task_id"] = f"task-{digest(identity.encode('utf-8', 'replace'))[:16]}"
        if "payload" not in known and "input" not in known:
            known["payload"] = {name: value for name, value in known.items() if name not in _NOT_PAYLOAD}
    if "payload" not in known and "input" in known:
        known["payload"] = known["input"]
    payload = known.get("payload")
    if payload is not None and not isinstance(payload, dict):
        known["payload"] = {"value": payload}
    if (priority := known.get("priority")) is not None:
        known["priority"] = _PRIORITIES.get(str(priority).lower(), "medium") if isinstance(priority, str) else "medium"


def _answer(known: dict[str, Any]) -> None:
    if "result" not in known and "output" in known:
        known["result"] = known["output"]
        if isinstance(known["output"], dict) and isinstance(known.get("artifacts"), list):
            known["result"] = {"artifacts": known["artifacts"], **known["output"]}
    error = known.get("error")
    if isinstance(error, str):
        known["error"] = {"message": error}
    elif isinstance(error, dict) and known.get("retryable") is None and isinstance(error.get("retryable"), bool):
        known["retryable"] = error["retryable"]


def _heartbeat(known: dict[str, Any]) -> None:
    memory = known.get("memory")
    if isinstance(memory, int | float):
        known["memory"] = {"rss": memory}
    if isinstance(load := known.get("load"), dict) and known.get("active") is None:
        known["active"] = load.get("activeTasks", load.get("active_tasks"))
