"""A task is accepted only when its offer is one that agents read."""

from typing import Any

import pytest

from swarm_tui.protocol.bodies import Inbox, Task
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.dialects import ForeignWriter
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import SWARM, World, offers

AGENT, TASK_ID, MANAGER, MESSAGE_ID = "a" * 64, "t" * 128, "m" * 64, "-" * 36


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


PAYLOADS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "bytes": ([{"x": "y" * (131_072 - less)} for less in range(600, 2600, 100)], "bytes; at most"),
    "escapes": ([{"x": '"' * (65_536 - less)} for less in range(300, 1300, 100)], "bytes; at most"),
    "depth": ([nested(depth) for depth in range(27, 31)], "nests over 30 deep"),
    "values": ([{"l": [0] * (10_000 - less)} for less in range(20, 200, 10)], "holds over"),
}


@pytest.mark.parametrize("what", PAYLOADS)
def test_each_task_is_refused_or_its_offer_is_read(what: str) -> None:
    payloads, reason = PAYLOADS[what]
    read = [_offered(payload, reason) for payload in payloads]
    assert True in read, "none was taken"
    assert False in read, "none was refused"


def _offered(payload: dict[str, Any], reason: str) -> bool:
    """Whether the task was taken; with the longest names that there are."""
    world = World()
    world.state.me = MANAGER
    world.lead(2**63)
    world.agent(AGENT, incarnation="i" * 256)
    says = world.submit(
        TASK_ID, payload=payload, priority="medium", assigned_to=AGENT, timeout=604_799.123, max_attempts=100,
        not_before=1_600_000_000.123, expires_at=1_800_000_000.123,
    )  # fmt: skip
    if [say.kind for say in says] == [Kind.TASK_REJECTED]:
        assert reason in says[0].body.reason  # type: ignore[union-attr]
        assert TASK_ID not in world.state.jobs
        return False
    (offered,) = offers(says)
    body = offered.body
    assert isinstance(body, Inbox)
    writer = Writer(SWARM, MANAGER, "task-manager", new_id=lambda: MESSAGE_ID, clock=lambda: world.wall)
    offer = writer.message(Kind.INBOX, body, AGENT)
    heard = decode(SWARM, offer.topic, offer.payload, False, world.wall)
    assert isinstance(heard, Event), heard
    assert isinstance(body.task, Task)
    for dialect in ("seed", "mqtt-v1"):
        foreign = ForeignWriter(SWARM, AGENT, dialect, sender=MANAGER, new_id=lambda: MESSAGE_ID, clock=lambda: 0.0)
        assert len(foreign.task(body.task, 10**9).payload) <= 131_072
    return True
