"""Each tolerance and each refusal of the reader, a row each."""

import json
import time
from typing import Any

import pytest

from swarm_tui.protocol.bodies import Cleared
from swarm_tui.protocol.codec import MAX_BYTES, decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import RETAINED, Kind, topic

S = "opencto-dev"
NOW = 1_771_000_000.0


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def read(kind: Kind, body: object, key: str = "", *, retained: bool = False, swarm: str = S) -> Event | Rejected:
    data = body if isinstance(body, bytes) else raw(body)
    heard = decode(swarm, topic(swarm, kind, key), data, retained, NOW)
    assert heard is not None
    return heard


def good(kind: Kind, body: object, key: str = "", **more: Any) -> Event:
    heard = read(kind, body, key, **more)
    assert isinstance(heard, Event), heard
    return heard


def test_what_doctor_tries_is_not_the_swarms_talk() -> None:
    assert decode(S, f"{S}/_doctor/1a2b/retained", b"{}", True, NOW) is None


def test_a_topic_of_somebody_elses_may_be_cleared_too() -> None:
    heard = decode(S, f"{S}/dashboards/one\x1b", b"", False, NOW)
    assert isinstance(heard, Event)
    assert isinstance(heard.body, Cleared)
    assert heard.key == "dashboards/one␛"


TASK = {"task_id": "t1", "type": "code.review", "payload": {"repo": "x"}}

# What is accepted: kind, body, then what the internal message holds (dotted names of the event).
TOLERATED: dict[str, tuple[Kind, object, dict[str, object]]] = {
    "the strict writer's envelope": (
        Kind.TASK_NEW,
        {
            "id": "m1",
            "timestamp": "2026-02-13T16:26:40.000Z",
            "agent_id": "a1",
            "role": "docs",
            "v": 1,
            "payload": TASK,
        },
        {
            "id": "m1",
            "at": 1_771_000_000.0,
            "sender": "a1",
            "role": "docs",
            "body.task_id": "t1",
            "body.payload": {"repo": "x"},
        },
    ),
    "the seed's own example": (
        Kind.TASK_NEW,
        {
            "id": "msg_abc123",
            "timestamp": "2026-02-22T19:00:00Z",
            "payload": {
                "task_id": "task_xyz789",
                "type": "deployment.deploy",
                "payload": {"service": "auth-service", "version": "0.4.0"},
            },
        },
        {
            "sender": "anonymous",
            "body.type": "deployment.deploy",
            "body.payload": {"service": "auth-service", "version": "0.4.0"},
        },
    ),
    "a bare body": (
        Kind.REGISTER,
        {"agent_id": "deploy-01", "status": "online"},
        {"body.agent_id": "deploy-01", "sender": "deploy-01"},
    ),
    "a bare heartbeat": (Kind.HEARTBEAT, {"agent_id": "deploy-01", "uptime": 60}, {"body.uptime": 60.0}),
    "a bare task": (Kind.TASK_NEW, {"task_id": "task_123", "type": "deployment.deploy"}, {"body.payload": {}}),
    "a bare task with a payload": (Kind.TASK_NEW, TASK, {"body.payload": {"repo": "x"}}),
    "taskId at the top": (
        Kind.TASK_NEW,
        {"taskId": "t1", "taskType": "noop", "input": {"n": 1}},
        {"body.payload": {"n": 1}, "body.type": "noop"},
    ),
    "a payload that is no object": (
        Kind.TASK_NEW,
        {"task_id": "t1", "type": "noop", "payload": [1]},
        {"body.payload": {"value": [1]}},
    ),
    "a payload that is null": (Kind.TASK_NEW, {"task_id": "t1", "type": "noop", "payload": None}, {"body.payload": {}}),
    "no timestamp": (Kind.TASK_NEW, {"payload": TASK}, {"at": NOW, "received": NOW}),
    "a timestamp in seconds": (Kind.TASK_NEW, {"timestamp": 1_700_000_000, "payload": TASK}, {"at": 1_700_000_000.0}),
    "a timestamp in milliseconds": (
        Kind.TASK_NEW,
        {"timestamp": 1_700_000_000_500, "payload": TASK},
        {"at": 1_700_000_000.5},
    ),
    "a timestamp that is none": (Kind.TASK_NEW, {"timestamp": "soon", "payload": TASK}, {"at": NOW}),
    "the sender in the envelope": (
        Kind.TASK_PROGRESS,
        {"agent_id": "a1", "payload": {"task_id": "t1"}},
        {"sender": "a1", "body.agent_id": "a1"},
    ),
    "the sender in the payload": (
        Kind.TASK_PROGRESS,
        {"payload": {"task_id": "t1", "agent_id": "a2"}},
        {"sender": "a2"},
    ),
    "a camel-case sender": (
        Kind.TASK_COMPLETE,
        {"agentId": "a1", "payload": {"taskId": "t1", "output": {"ok": 1}}},
        {"sender": "a1", "body.task_id": "t1", "body.result": {"ok": 1}},
    ),
    "an operator": (
        Kind.TASK_CANCEL,
        {"agent_id": "operator:ann@box", "payload": {"task_id": "t1"}},
        {"sender": "operator:ann@box"},
    ),
    "an error that is a string": (
        Kind.TASK_FAILED,
        {"payload": {"task_id": "t1", "error": "boom"}},
        {"body.error.message": "boom"},
    ),
    "an error that is an object": (
        Kind.TASK_FAILED,
        {
            "payload": {
                "taskId": "t1",
                "failedAt": "2026-03-03T00:00:20.000Z",
                "error": {"code": "X", "message": "m", "retryable": True},
            }
        },
        {
            "body.error.code": "X",
            "body.error.retryable": True,
            "body.retryable": True,
            "body.failed_at": "2026-03-03T00:00:20.000Z",
        },
    ),
    "artifacts beside an output": (
        Kind.TASK_COMPLETE,
        {"payload": {"taskId": "t1", "output": {"s": 1}, "artifacts": [{"id": "a"}]}},
        {"body.result": {"artifacts": [{"id": "a"}], "s": 1}},
    ),
    "a lease in milliseconds": (
        Kind.TASK_ASSIGNED,
        {"agentId": "a1", "payload": {"taskId": "t1", "assignedAt": "2026-03-03T00:00:01Z", "leaseMs": 300000}},
        {"body.lease": 300.0, "body.agent_id": "a1", "body.claimed_at": "2026-03-03T00:00:01Z"},
    ),
    "a heartbeat of the SDK": (
        Kind.HEARTBEAT,
        {
            "agentId": "a1",
            "payload": {
                "status": "alive",
                "role": "content",
                "uptimeSec": 12,
                "load": {"queuedTasks": 2, "activeTasks": 1},
            },
        },
        {"body.uptime": 12.0, "body.active": 1, "role": "content"},
    ),
    "memory as a number": (Kind.HEARTBEAT, {"agent_id": "a1", "payload": {"memory": 5}}, {"body.memory": {"rss": 5}}),
    "an idempotency key in the envelope": (
        Kind.TASK_NEW,
        {"idempotencyKey": "k", "payload": {"taskId": "t1", "taskType": "x", "input": {}}},
        {"body.idempotency_key": "k"},
    ),
    "a priority by another name": (
        Kind.TASK_NEW,
        {"payload": {**TASK, "priority": "urgent"}},
        {"body.priority": "high"},
    ),
    "a priority nobody knows": (
        Kind.TASK_NEW,
        {"payload": {**TASK, "priority": "normal"}},
        {"body.priority": "medium"},
    ),
    "a priority that is a list": (Kind.TASK_NEW, {"payload": {**TASK, "priority": [1]}}, {"body.priority": "medium"}),
    "times as text": (
        Kind.TASK_NEW,
        {"payload": {**TASK, "not_before": "2026-02-13T16:26:40Z"}},
        {"body.not_before": 1_771_000_000.0},
    ),
    "numbers as text": (Kind.TASK_NEW, {"payload": {**TASK, "timeout": "30"}}, {"body.timeout": 30.0}),
    "a claim's time as a number": (
        Kind.TASK_ASSIGNED,
        {"payload": {"task_id": "t", "agent_id": "a", "claimed_at": 1_771_000_000}},
        {"body.claimed_at": "2026-02-13T16:26:40.000Z"},
    ),
    "the largest integers": (
        Kind.TASK_NEW,
        {"payload": {**TASK, "payload": {"n": [2**64 - 1, -(2**63)], "f": 1e30}}},
        {"body.payload": {"n": [2**64 - 1, -(2**63)], "f": 1e30}},
    ),
    "a long number in a text": (
        Kind.TASK_NEW,
        {"payload": {**TASK, "payload": {"account": "9" * 40}}},
        {"body.payload": {"account": "9" * 40}},
    ),
    "unknown fields": (Kind.TASK_NEW, {"payload": {**TASK, "colour": "red"}, "trace": 1}, {"payload.colour": "red"}),
    "nulls": (
        Kind.TASK_NEW,
        {"id": None, "agent_id": None, "payload": {**TASK, "timeout": None}},
        {"body.timeout": None},
    ),
    "a result that is null": (
        Kind.TASK_COMPLETE,
        {"payload": {"task_id": "t1", "result": None}},
        {"body.result": None},
    ),
    "a request without a type": (
        Kind.CODE_REVIEW,
        {"payload": {"task_id": "t1", "repo": "r", "pr": 4}},
        {"body.type": "code.review", "body.payload": {"repo": "r", "pr": 4}},
    ),
    "a request that is only a payload": (
        Kind.DEPLOYMENT_REQUEST,
        {"service": "auth", "version": "1"},
        {"body.type": "deployment.deploy", "body.payload": {"service": "auth", "version": "1"}},
    ),
    "an id that is too long": (Kind.TASK_NEW, {"id": "x" * 200, "payload": TASK}, {"body.task_id": "t1"}),
    "a sender that is no name": (
        Kind.TASK_PROGRESS,
        {"agent_id": "a b", "payload": {"task_id": "t1", "agent_id": "a2"}},
        {"sender": "a2", "warnings.1": "a sender that is no name"},
    ),
    "two senders": (
        Kind.TASK_COMPLETE,
        {"agent_id": "a1", "payload": {"task_id": "t1", "agent_id": "a2"}},
        {"sender": "a1", "warnings": ("envelope and payload name different senders",)},
    ),
}


def at(event: object, path: str) -> object:
    for name in path.split("."):
        if isinstance(event, tuple):
            event = event[int(name)]
        else:
            event = event[name] if isinstance(event, dict) else getattr(event, name)
    return event


@pytest.mark.parametrize("name", TOLERATED)
def test_it_accepts(name: str) -> None:
    kind, body, expected = TOLERATED[name]
    event = good(kind, body)
    assert {path: at(event, path) for path in expected} == expected


REFUSED: dict[str, tuple[Kind, object, str]] = {
    "nothing": (Kind.TASK_NEW, b"", "not JSON"),
    "no JSON": (Kind.TASK_NEW, b"Hello from agent", "not JSON"),
    "half of it": (Kind.TASK_NEW, b'{"payload": {"task_id"', "not JSON"),
    "two objects": (Kind.TASK_NEW, b"{} {}", "not JSON"),
    "an array": (Kind.TASK_NEW, b"[1]", "array"),
    "a string": (Kind.TASK_NEW, b'"x"', "string"),
    "a number": (Kind.TASK_NEW, b"1", "number"),
    "null": (Kind.TASK_NEW, b"null", "null"),
    "true": (Kind.TASK_NEW, b"true", "boolean"),
    "bad UTF-8": (Kind.TASK_NEW, b'{"a": "\xff"}', "not UTF-8 at byte 7"),
    "a raw surrogate": (Kind.TASK_NEW, b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    "a lone surrogate": (Kind.TASK_NEW, rb'{"a": "\ud800"}', "lone surrogate"),
    "NaN": (Kind.TASK_NEW, b'{"a": NaN}', "not JSON"),
    "Infinity": (Kind.TASK_NEW, b'{"a": -Infinity}', "not JSON"),
    "a number beyond all": (Kind.TASK_NEW, b'{"a": 1e999}', "not JSON"),
    "an integer of 65 bits": (Kind.TASK_NEW, b'{"a": [18446744073709551616]}', "more than 64 bits"),
    "a negative one of 65 bits": (Kind.TASK_NEW, b'{"a": {"b": -9223372036854775809}}', "more than 64 bits"),
    "one of 40 digits": (Kind.TASK_NEW, b'{"a": %b}' % (b"9" * 40), "more than 64 bits"),
    "one of 65 bits as text": (
        Kind.TASK_NEW,
        {"payload": {**TASK, "max_attempts": "18446744073709551616"}},
        "more than 64 bits",
    ),
    "a number of 9,000 digits": (Kind.TASK_NEW, b'{"a": %b}' % (b"9" * 9000), "not JSON"),
    "too big": (Kind.TASK_NEW, b'{"a": "%b"}' % (b"x" * MAX_BYTES), "at most 131,072"),
    "ten megabytes": (Kind.TASK_NEW, b"x" * 10_000_000, "10,000,000 bytes"),
    "too deep": (Kind.TASK_NEW, b'{"a":' * 33 + b"1" + b"}" * 33, "nests over 32 deep"),
    "far too deep": (Kind.TASK_NEW, b"[" * 100_000, "nests over 32 deep"),
    "too many": (Kind.TASK_NEW, b'{"a": [%b0]}' % (b"0," * 10_000), "over 10,000 values"),
    "too many objects": (Kind.TASK_NEW, b'{"a": [%b{}]}' % (b"{}," * 6_000), "over 10,000 values"),
    "a task without an id": (Kind.TASK_NEW, {"payload": {"type": "x"}}, "task_id"),
    "a task without a type": (Kind.TASK_NEW, {"payload": {"task_id": "t1"}}, "type"),
    "a task id with a space": (Kind.TASK_NEW, {"payload": {**TASK, "task_id": "a b"}}, "not a task id"),
    "a task id that is markup": (Kind.TASK_NEW, {"payload": {**TASK, "task_id": "[/foo]"}}, "not a task id"),
    "a task id of 129": (Kind.TASK_NEW, {"payload": {**TASK, "task_id": "x" * 129}}, "not a task id"),
    "a task id that is a number": (Kind.TASK_NEW, {"payload": {**TASK, "task_id": 5}}, "tasks/new"),
    "a task for nobody's name": (Kind.TASK_NEW, {"payload": {**TASK, "assigned_to": "a/b"}}, "not an agent id"),
    "an agent id with a slash": (Kind.REGISTER, {"agent_id": "a/b"}, "not an agent id"),
    "an agent id that is an escape": (Kind.HEARTBEAT, {"agent_id": "\x1b[31m"}, "not an agent id"),
    "an agent id of 65": (Kind.HEARTBEAT, {"agent_id": "x" * 65}, "not an agent id"),
    "a heartbeat of nobody": (Kind.HEARTBEAT, {"payload": {"uptime": 1}}, "names no agent"),
    "a body of wrong types": (Kind.HEARTBEAT, {"agent_id": "a", "payload": {"uptime": {}}}, "agents/heartbeat"),
    "an error that is a list": (Kind.TASK_FAILED, {"payload": {"task_id": "t", "error": [1]}}, "tasks/failed"),
    "a progress that is a word": (Kind.TASK_PROGRESS, {"payload": {"task_id": "t", "progress": "half"}}, "progress"),
    "a command nobody knows": (Kind.HOST_CONTROL, {"payload": {"command": "format"}}, "hosts/+/control"),
    "an expired command": (Kind.TASK_CANCEL, {"expires_at": NOW - 5, "payload": {"task_id": "t"}}, "expired 5 s ago"),
    "an offer of an illegal task": (
        Kind.INBOX,
        {"payload": {"task": {"task_id": "a b", "type": "x"}}},
        "not a task id",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name: str) -> None:
    kind, body, reason = REFUSED[name]
    heard = read(kind, body, "a1" if "+" in kind.value else "")
    assert isinstance(heard, Rejected), heard
    assert reason in heard.reason
    assert heard.received == NOW
    assert len(heard.first) <= 121
    assert clean(heard.first) == heard.first


def test_refusing_takes_no_longer_than_reading() -> None:
    """A string that never ends, in a body that must be measured, once took seconds."""
    for nasty in (
        b'{"a":"' + b"\\," * 12_000,
        b'{"a":"' + b'\\",' * 40_000,
        b'"' * 120_000,
        b'{"a":"' + b'\\"[' * 30_000,
        b"\\" * 120_000,
    ):
        began = time.perf_counter()
        assert isinstance(read(Kind.TASK_NEW, nasty), Rejected)
        assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("kind", [k for k in Kind if k not in RETAINED and k is not Kind.OTHER])
def test_a_retained_copy_is_refused_where_nothing_is_retained(kind: Kind) -> None:
    heard = read(kind, {"payload": {**TASK, "agent_id": "a1"}}, "a1", retained=True)
    assert isinstance(heard, Rejected)
    assert "retained" in heard.reason


@pytest.mark.parametrize("kind", sorted(RETAINED))
def test_an_empty_retained_message_clears(kind: Kind) -> None:
    assert isinstance(good(kind, b"", "a1" if "+" in kind.value else "").body, Cleared)


@pytest.mark.parametrize("kind", [k for k in Kind if "+" in k.value])
def test_an_illegal_name_in_the_topic_is_refused(kind: Kind) -> None:
    for name in ("a b", "\x1b]0;x", "[foo]", "x" * 65, "é"):
        assert isinstance(read(kind, {"payload": {}}, name), Rejected)


def test_the_topic_proves_who_speaks() -> None:
    event = good(Kind.STATUS, {"agent_id": "b", "payload": {"agent_id": "c", "status": "online"}}, "a")
    assert (event.sender, event.key, event.body.agent_id) == ("a", "a", "a")  # type: ignore[attr-defined]
    assert event.warnings


def test_without_an_id_each_receipt_is_its_own() -> None:
    one = good(Kind.TASK_NEW, {"payload": TASK})
    assert one.id == good(Kind.TASK_NEW, {"payload": TASK}).id
    later = decode(S, f"{S}/tasks/new", raw({"payload": TASK}), False, NOW + 1)
    assert isinstance(later, Event)
    assert later.id != one.id


@pytest.mark.parametrize("kind", sorted(RETAINED))
def test_what_is_retained_is_the_same_message_at_each_connect(kind: Kind) -> None:
    body = {"payload": {"reason": "fire", "status": "online", "instance": "i", "desired": 1}}
    ids = set()
    for retained, at in ((False, NOW), (True, NOW + 1), (True, NOW + 2)):
        heard = decode(S, topic(S, kind, "a1"), raw(body), retained, at)
        assert isinstance(heard, Event)
        ids.add(heard.id)
    assert len(ids) == 1


def test_a_request_without_a_task_id_gets_the_same_one_for_the_same_message() -> None:
    body = {"id": "m1", "payload": {"service": "auth"}}
    first, again = good(Kind.DEPLOYMENT_REQUEST, body), good(Kind.DEPLOYMENT_REQUEST, body)
    assert first.body.task_id == again.body.task_id  # type: ignore[attr-defined]


def test_a_swarm_may_hold_slashes_and_is_compared_with_one() -> None:
    swarm = "opencto/workspace/ws1"
    assert good(Kind.TASK_NEW, {"payload": TASK}, swarm=swarm).kind is Kind.TASK_NEW
    assert decode("opencto", "opencto-dev/tasks/new", raw(TASK), False, NOW) is None
    assert decode(swarm, "opencto/workspace/ws10/tasks/new", raw(TASK), False, NOW) is None
    assert decode(swarm, swarm, raw(TASK), False, NOW) is None


def test_an_unknown_topic_is_kept_as_it_is() -> None:
    event = decode(S, f"{S}/runs/\x1bevents", raw({"payload": {"a": 1}}), True, NOW)
    assert isinstance(event, Event)
    assert (event.kind, event.key, event.payload, event.topic) == (
        Kind.OTHER,
        "runs/␛events",
        {"a": 1},
        f"{S}/runs/␛events",
    )


def test_a_command_in_time_is_read_with_its_end() -> None:
    assert good(Kind.TASK_CANCEL, {"expires_at": NOW + 5, "payload": {"task_id": "t"}}).expires_at == NOW + 5
