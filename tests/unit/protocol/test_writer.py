"""The strict writer: what it says is always readable, and the same when it is repeated."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm_tui.protocol.bodies import Complete, Failed, HostStatus, Inbox, PaneStatus, Task, TaskAct
from swarm_tui.protocol.codec import Writer, decode, refusal
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import QOS_0, RETAINED, Kind

NOW = 1_771_000_000.0


def writer() -> Writer:
    return Writer("s", "a1", "docs", new_id=lambda: "m1", clock=lambda: NOW)


def test_the_envelope_is_always_the_same() -> None:
    message = writer().message(Kind.TASK_NEW, Task(task_id="t", type="x"))
    assert json.loads(message.payload) == {
        "id": "m1",
        "timestamp": "2026-02-13T16:26:40.000Z",
        "agent_id": "a1",
        "role": "docs",
        "v": 1,
        "payload": {"task_id": "t", "type": "x", "payload": {}, "priority": "medium"},
    }


def test_quality_and_retain_flag_follow_the_topic() -> None:
    for kind in (Kind.TASK_NEW, *QOS_0, *RETAINED):
        message = writer().clear(kind, "a1")
        assert (message.qos, message.retain, message.payload) == (1, True, b"")
    progress = writer().message(Kind.TASK_PROGRESS, Task(task_id="t", type="x"))
    assert (progress.qos, progress.retain) == (0, False)


def test_commands_end_and_offers_do_not() -> None:
    acts = writer().message(Kind.TASK_CANCEL, TaskAct(task_id="t"))
    order = writer().message(Kind.INBOX, Inbox(command="cancel", task_id="t"), "a1")
    offer = writer().message(Kind.INBOX, Inbox(task_id="t", task=Task(task_id="t", type="x")), "a1")
    assert "expires_at" in json.loads(acts.payload)
    assert "expires_at" in json.loads(order.payload)
    assert "expires_at" not in json.loads(offer.payload)


def test_a_result_of_any_python_is_made_readable() -> None:
    result = {"name": "caf\udce9", "\ud800": 1, "path": Path("/x"), "nan": float("nan"), "pair": (1, "\udcff")}
    message = writer().message(Kind.TASK_COMPLETE, Complete(task_id="t", result=result))
    event = decode("s", message.topic, message.payload, False, NOW)
    assert isinstance(event, Event), event
    assert event.body.result == {"name": "caf\ufffd", "\ufffd": 1, "path": "/x", "nan": None, "pair": [1, "\ufffd"]}  # type: ignore[attr-defined]


def test_a_result_without_a_value_is_said_and_other_nones_are_not() -> None:
    complete = json.loads(writer().message(Kind.TASK_COMPLETE, Complete(task_id="t")).payload)["payload"]
    assert complete == {"task_id": "t", "status": "success", "result": None, "usage": {}}
    failed = json.loads(writer().message(Kind.TASK_FAILED, Failed(task_id="t")).payload)["payload"]
    assert failed["error"] == {"message": ""}


def test_it_is_told_what_readers_would_refuse() -> None:
    def why(result: object) -> str | None:
        message = writer().message(Kind.TASK_COMPLETE, Complete(task_id="t", result=result))
        return refusal("s", message.topic, message.payload, NOW)

    deep: list[object] = []
    for _ in range(40):
        deep = [deep]
    assert why({"ok": 1}) is None
    assert "at most 131,072" in (why("x" * 140_000) or "")
    assert "nests over 32 deep" in (why(deep) or "")
    assert "over 10,000 values" in (why(list(range(11_000))) or "")


def test_an_integer_that_no_reader_takes_is_said_as_text() -> None:
    long = {"uuid": 2**127, "small": [-(2**63), 2**64 - 1, 2**64, -(2**63) - 1], "name": "caf\udce9", "text": "9" * 40}
    message = writer().message(Kind.TASK_COMPLETE, Complete(task_id="t", result=long))
    event = decode("s", message.topic, message.payload, False, NOW)
    assert isinstance(event, Event), event
    assert event.payload["result"] == {
        "uuid": str(2**127),
        "small": [-(2**63), 2**64 - 1, str(2**64), str(-(2**63) - 1)],
        "name": "caf\ufffd",
        "text": "9" * 40,
    }


@dataclass
class _Row:
    n: int


@pytest.mark.parametrize("result", [{"n": {2**70}}, {"row": _Row(2**64)}, {"file": Path("x\udcff")}])
def test_what_lies_in_a_set_or_an_object_is_said_such_that_readers_take_it(result: object) -> None:
    said = writer().message(Kind.TASK_COMPLETE, Complete(task_id="t", agent_id="a", attempt=1, epoch=1, result=result))
    assert refusal("s", said.topic, said.payload, NOW) is None


def test_a_body_within_a_body_may_hold_a_name_that_is_no_text() -> None:
    said = writer().message(
        Kind.HOST_STATUS, HostStatus(panes=[PaneStatus(agent_id="a", reason="no file \udcff")]), "h"
    )
    assert "no file \ufffd".encode() in said.payload
