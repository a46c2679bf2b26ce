"""Whatever the reader lets through, the dispatcher does not fall over it."""

import json
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import step
from swarm_tui.protocol.bodies import BODY
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import RETAINED, Kind, topic
from tests.examples import examples
from tests.unit.dispatch.world import ME, SWARM, World, offers

NAMES = st.sampled_from(["a", "b", "t1", "t2", ME, "", "x" * 200, "é"])
NUMBERS = st.sampled_from([None, -1, 0, 1, 2, 10**12, 2**63, 2**64, -(2**63) - 1, 10**40, 0.5, 1e300, -1e300])
WORDS = st.sampled_from(
    ["online", "offline", "busy", "noop", "security.scan", "draining", "boom", "", "timeout", "/", "9" * 20, "9" * 40]
)
VALUES = st.one_of(NUMBERS, NAMES, WORDS, st.booleans(), st.just([]), st.just({}))
ENTRY = st.dictionaries(st.sampled_from(["task_id", "attempt", "epoch", "agent_id", "pid", "state"]), VALUES)
FIELDS = sorted({name for body in BODY.values() for name in body.__struct_fields__})
PAYLOADS = st.dictionaries(st.sampled_from(FIELDS), st.one_of(VALUES, st.lists(ENTRY, max_size=3), ENTRY), max_size=8)
#: As often as all others together: kinds whose payload or result the journal keeps.
KEPT = st.sampled_from([Kind.TASK_NEW, Kind.TASK_COMPLETE, Kind.TASK_FAILED])
KINDS = st.sampled_from([kind for kind in Kind if kind is not Kind.OTHER]) | KEPT
FREE = st.fixed_dictionaries({}, optional={"result": VALUES, "payload": ENTRY, "type": st.just("noop")})


def free(kind: Kind, **fields: Any) -> tuple[Kind, str, str, dict[str, Any], dict[str, Any]]:
    return kind, "", "", {}, fields


@settings(max_examples=examples(80), deadline=None)
@example([free(Kind.TASK_COMPLETE, result=2**64)])
@example([free(Kind.TASK_NEW, task_id="t3", type="noop", payload={"n": -(2**63) - 1})])
@given(st.lists(st.tuples(KINDS, NAMES, NAMES, PAYLOADS, FREE), max_size=25))
def test_no_message_raises(messages: list[tuple[Kind, str, str, dict[str, Any], dict[str, Any]]]) -> None:
    world = World()
    world.agent("a")
    world.start(offers(world.submit("t1"))[0])
    world.submit("t2")
    for number, (kind, key, sender, payload, free) in enumerate(messages):
        said = {"task_id": "t1", "agent_id": "a", **payload, **free}
        body = {"id": str(number), "agent_id": sender, "payload": said}
        full = topic(SWARM, kind, key or "a")
        event = decode(SWARM, full, json.dumps(body).encode(), kind in RETAINED, world.wall)
        if isinstance(event, Event):
            world._carry_out(step(world.state, event, world.moment()))
        world.tick(1.0)
        for raw in world.journal.values():
            msgspec.msgpack.decode(raw)
