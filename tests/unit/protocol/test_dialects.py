"""Agents of other dialects: what they say is read as ours, what we say they understand."""

import json
from typing import Any

import pytest

from swarm_tui.protocol.bodies import Assigned, Complete, Failed, Heartbeat, Progress, Register, Task
from swarm_tui.protocol.dialects import (
    ForeignDialect,
    ForeignWriter,
    decode_foreign,
    foreign_agent,
    foreign_swarm,
    patterns,
)
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, matches

S = "opencto-dev"
NOW = 1_771_000_000.0
SDK = f"{S}/_a/sdk-1/workspace/ws_123"


def writer(dialect: ForeignDialect) -> ForeignWriter:
    return ForeignWriter(S, "sdk-1", dialect, sender="task-manager-01", new_id=lambda: "m1", clock=lambda: NOW)


def heard(topic: str, body: object) -> Event:
    event = decode_foreign(S, topic, json.dumps(body).encode(), False, NOW)
    assert isinstance(event, Event), event
    return event


def sdk(kind: str, payload: dict[str, Any], **more: object) -> dict[str, Any]:
    return {
        "id": "e1",
        "protocolVersion": "mqtt-v1",
        "type": kind,
        "timestamp": "2026-03-03T00:00:00.000Z",
        "workspaceId": "ws_123",
        "agentId": "agent_abc",
        "payload": payload,
        **more,
    }


def test_the_sdk_gets_its_task_in_its_own_words() -> None:
    task = Task(task_id="t1", type="workflow.execute", payload={"prompt": "x"}, priority="high")
    message = writer("mqtt-v1").task(task, 2)
    assert (message.topic, message.qos, message.retain) == (f"{S}/_a/sdk-1/workspace/sdk-1/tasks/new", 1, False)
    assert json.loads(message.payload) == {
        "id": "m1",
        "protocolVersion": "mqtt-v1",
        "type": "tasks.new",
        "timestamp": "2026-02-13T16:26:40.000Z",
        "workspaceId": "sdk-1",
        "agentId": "task-manager-01",
        "correlationId": "t1",
        "idempotencyKey": "t1_attempt_2",
        "payload": {"taskId": "t1", "taskType": "workflow.execute", "priority": "high", "input": {"prompt": "x"}},
    }


def test_the_seeds_agent_gets_its_task_in_its_own_words() -> None:
    message = writer("seed").task(Task(task_id="t1", type="code.review", payload={"repo": "r"}), 1)
    assert message.topic == f"{S}/_a/sdk-1/tasks/new"
    body = json.loads(message.payload)
    assert body["agent_id"] == "task-manager-01"  # One with its own id is dropped by the public agent.
    assert body["payload"] == {
        "task_id": "t1",
        "type": "code.review",
        "payload": {"repo": "r"},
        "priority": "medium",
        "assigned_to": "sdk-1",
    }


def test_the_sdks_answers_are_read_as_ours() -> None:
    claim = heard(
        f"{SDK}/tasks/assigned",
        sdk("tasks.assigned", {"taskId": "t1", "assignedAt": "2026-03-03T00:00:01Z", "leaseMs": 300000}),
    )
    assert (claim.kind, claim.sender) == (Kind.TASK_ASSIGNED, "sdk-1")
    assert claim.body == Assigned(task_id="t1", agent_id="sdk-1", claimed_at="2026-03-03T00:00:01Z", lease=300.0)
    assert claim.warnings == ("it calls itself 'agent_abc'",)
    done = heard(
        f"{SDK}/tasks/complete",
        sdk("tasks.complete", {"taskId": "t1", "completedAt": "2026-03-03T00:00:20Z", "output": {"status": "ok"}}),
    )
    assert done.body == Complete(
        task_id="t1", agent_id="sdk-1", result={"status": "ok"}, completed_at="2026-03-03T00:00:20Z"
    )
    error = {"code": "UPSTREAM_FAILURE", "message": "Provider timeout", "retryable": True}
    failed = heard(f"{SDK}/tasks/failed", sdk("tasks.failed", {"taskId": "t1", "failedAt": "x", "error": error}))
    assert isinstance(failed.body, Failed)
    assert (failed.body.error.message, failed.body.retryable, failed.body.agent_id) == (
        "Provider timeout",
        True,
        "sdk-1",
    )
    beat = heard(
        f"{SDK}/agents/heartbeat", sdk("agents.heartbeat", {"status": "alive", "role": "content", "uptimeSec": 3})
    )
    assert isinstance(beat.body, Heartbeat)
    assert (beat.body.agent_id, beat.body.uptime, beat.role) == ("sdk-1", 3.0, "content")


def test_a_runs_event_is_progress_when_it_names_a_task() -> None:
    event = {
        "runId": "t1",
        "eventType": "step.completed",
        "level": "info",
        "message": "first draft",
        "data": {"progress": 40},
    }
    progress = heard(f"{SDK}/runs/events", sdk("runs.event", event))
    assert progress.kind is Kind.TASK_PROGRESS
    assert progress.body == Progress(task_id="t1", agent_id="sdk-1", progress=40.0, message="first draft")
    other = heard(f"{SDK}/runs/events", sdk("runs.event", {"runId": "not a task", "message": "x"}))
    assert (other.kind, other.sender) == (Kind.OTHER, "sdk-1")


def test_the_seeds_answers_are_read_as_ours() -> None:
    root = foreign_swarm(S, "sheri-review")
    claim = heard(
        f"{root}/tasks/assigned",
        {
            "id": "1",
            "agent_id": "sheri-ml-1",
            "payload": {"task_id": "t1", "agent_id": "sheri-ml-1", "claimed_at": "now"},
        },
    )
    assert (claim.sender, claim.body.agent_id) == ("sheri-review", "sheri-review")  # type: ignore[attr-defined]
    register = heard(
        f"{root}/agents/register",
        {
            "agent_id": "sheri-review",
            "payload": {"agent_id": "sheri-review", "status": "online", "capabilities": ["chat"]},
        },
    )
    assert isinstance(register.body, Register)
    assert not register.warnings
    failed = heard(
        f"{root}/tasks/failed",
        {"agent_id": "sheri-review", "payload": {"task_id": "t1", "status": "failed", "error": "boom", "stack": "…"}},
    )
    assert failed.body.error.message == "boom"  # type: ignore[attr-defined]


def test_what_is_not_a_foreign_agents_is_nobodys() -> None:
    for topic in (
        f"{S}/tasks/new",
        f"{S}/_a/x",
        f"{S}/_a/a b/tasks/new",
        "other/_a/x/tasks/new",
        f"{S}2/_a/x/tasks/new",
    ):
        assert decode_foreign(S, topic, b"{}", False, NOW) is None
    assert foreign_agent(S, f"{S}/_a/x/tasks/new") == "x"


def test_our_own_offer_coming_back_is_not_its_word() -> None:
    for dialect in ("seed", "mqtt-v1"):
        message = writer(dialect).task(Task(task_id="t1", type="x"), 1)
        assert decode_foreign(S, message.topic, message.payload, False, NOW) is None


def test_garbage_is_refused_as_everywhere() -> None:
    assert isinstance(decode_foreign(S, f"{SDK}/tasks/complete", b"\xff", False, NOW), Rejected)


@pytest.mark.parametrize("dialect", ["seed", "mqtt-v1"])
def test_the_filters_take_what_it_says_and_not_what_we_say(dialect: ForeignDialect) -> None:
    filters = patterns(S, "sdk-1", dialect)
    said = SDK if dialect == "mqtt-v1" else foreign_swarm(S, "sdk-1")
    for spoken in ("tasks/assigned", "tasks/complete", "tasks/failed", "agents/heartbeat"):
        assert any(matches(pattern, f"{said}/{spoken}") for pattern in filters)
    ours = writer(dialect).task(Task(task_id="t1", type="x"), 1).topic
    assert not any(matches(pattern, ours) for pattern in filters)
