"""The swarm as it was, asked of a monitoring agent over the bus: what was known then, no more and no less."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.roles.monitoring import keyframes
from swarm_tui.agent.roles.monitoring.role import Monitoring
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.client import past as past_module
from swarm_tui.client.operator import Operator
from swarm_tui.client.past import Past
from swarm_tui.client.record import NoRecordError
from swarm_tui.config.model import Broker, Policy, RunSpec
from swarm_tui.domain.fleet import Fleet
from swarm_tui.journal.recorder_port import HistoryQuery, MemoryRecorder
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind as K
from tests.unit.monitoring.test_role import SWARM, FakeLink
from tests.wait import until

Watch = Callable[[], MemoryRecorder]


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def operator(broker: MemoryBroker) -> Iterator[Operator]:
    made = Operator(MemoryBus(broker, "op"), SWARM, user="me", host="here")
    made.start()
    yield made
    made.close()


@pytest.fixture
def watch(broker: MemoryBroker, tmp_path: Path) -> Iterator[Watch]:
    made: list[Monitoring] = []

    def start() -> MemoryRecorder:
        spec = RunSpec(
            agent_id="w", role="monitoring", swarm=SWARM, broker=Broker(), workdir=str(tmp_path),
            state_dir=str(tmp_path / "state"), policy=Policy(),
        )  # fmt: skip
        kept = MemoryRecorder()
        role = Monitoring(spec, FakeLink(broker, "w"), make_bus=lambda name: MemoryBus(broker, name), recorder=kept)
        made.append(role)
        role.start()
        return kept

    yield start
    for role in made:
        role.close()


@pytest.fixture
def recorder(watch: Watch) -> MemoryRecorder:
    return watch()


def tell(operator: Operator, count: int) -> None:
    for n in range(count):
        operator.act(K.STATUS, b.Status(agent_id=f"a{n % 3}", status="online", incarnation=f"i{n}"), f"a{n % 3}")
        operator.act(K.TASK_NEW, b.Task(task_id=f"t{n}", type="noop"))
        operator.act(K.TASK_COMPLETE, b.Complete(task_id=f"t{n}", agent_id=f"a{n % 3}", attempt=1, result={"n": n}))


def replayed(kept: MemoryRecorder, at: float) -> Fleet:
    """What somebody knows who heard everything up to then."""
    fleet = Fleet(SWARM)
    for row in kept.history(HistoryQuery(until=at, limit=10_000)):
        event = decode(SWARM, row.topic, row.payload, row.retained, row.at)
        assert event is not None
        fleet.apply(event, row.at)
    return fleet


@pytest.mark.parametrize("every", [5, 1_000_000])
def test_a_moment_is_what_was_known_then(
    every: int, operator: Operator, recorder: MemoryRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyframes, "EVERY", every)
    monkeypatch.setattr(keyframes, "SHARE", 0)
    tell(operator, 30)
    until(lambda: recorder.stats().stored >= 90, what="all is recorded")
    past, rows = Past(operator.query, SWARM, kept=500), recorder.history(HistoryQuery(limit=1000))
    assert (recorder.keyframe(time.time()) is not None) is (every == 5)
    for row in rows[10::7]:
        moment, then = past.moment(row.at), replayed(recorder, row.at)
        states = {task_id: (task.state, task.result) for task_id, task in moment.fleet.tasks.items()}
        assert states == {task_id: (task.state, task.result) for task_id, task in then.tasks.items()}
        assert {a.agent_id: a.incarnation for a in moment.fleet.agents.values()} == {
            a.agent_id: a.incarnation for a in then.agents.values()
        }
        assert moment.messages[-1].received == row.at
    events = [row.at for row in rows if row.mark is not None]
    assert past.step(events[0], forward=True) == events[1]
    assert past.step(events[5], forward=False) == events[4]
    assert sum(past.timeline(rows[0].at, time.time(), 10).density) >= 90


def test_moments_asked_for_at_once_are_each_what_was_known_then(
    operator: Operator, recorder: MemoryRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_module, "AHEAD", 0.0)
    tell(operator, 30)
    until(lambda: recorder.stats().stored >= 90, what="all is recorded")
    times = [row.at for row in recorder.history(HistoryQuery(limit=1000))][10::3]
    past = Past(operator.query, SWARM, kept=500)
    between = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            moments = list(pool.map(past.moment, times * 3))
    finally:
        sys.setswitchinterval(between)
    assert [moment.messages[-1].received for moment in moments] == times * 3
    assert [len(moment.fleet.tasks) for moment in moments] == [len(replayed(recorder, at).tasks) for at in times] * 3


def test_of_before_the_record_nothing_is_known(operator: Operator, recorder: MemoryRecorder) -> None:
    moment = Past(operator.query, SWARM, kept=500).moment(1000.0)
    assert (moment.fleet.tasks, moment.messages) == ({}, [])


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (None, "nobody"),
        (Reply(query="keyframe", more=True), "in part"),
        (Reply(query="keyframe", error="at: a number belongs there"), "a number"),
        (Reply(query="keyframe", rows=[{"at": 1.0, "data": "!"}]), "no keyframe"),
        (Reply(query="keyframe", rows=[{"at": 1.0, "data": "AAAA"}]), "no keyframe"),
        (Reply(query="keyframe", rows=[{}]), "no keyframe"),
        (Reply(query="keyframe", rows=["x"]), "no keyframe"),
    ],
)
def test_what_is_no_answer_is_said(reply: Reply | None, says: str) -> None:
    with pytest.raises(NoRecordError, match=says):
        Past(lambda *_: reply, SWARM, kept=500).moment(5.0)


@pytest.mark.parametrize(
    ("query", "args"),
    [
        ("keyframe", {}), ("keyframe", {"at": "x"}), ("step", {"at": None}), ("timeline", {"since": 2, "until": 1}),
        ("timeline", {"since": 1e300, "until": 1}), ("timeline", {"until": 1}), ("step", {"at": True}),
    ],
)  # fmt: skip
def test_bad_questions_are_answered_with_a_sentence(
    query: str, args: dict[str, Any], operator: Operator, recorder: MemoryRecorder
) -> None:
    reply = operator.query(query, args, 5.0)
    assert reply is not None
    assert reply.error
    assert not reply.rows


def test_who_starts_anew_asks_for_the_tasks_given_before(
    broker: MemoryBroker, operator: Operator, watch: Watch
) -> None:
    def answer(event: Event | Rejected) -> None:
        if isinstance(event, Event) and event.kind is K.QUERY and event.key == "w" and isinstance(event.body, b.Query):
            row = {"task_id": "t0", "type": "noop", "state": "running", "agent_id": "a1", "updated_at": event.at}
            reply = b.Reply(query=event.body.query, rows=[row, "none"], request=event.id, source="tm")
            operator.bus.publish(operator.writer.message(K.REPLY, reply, event.key))

    operator.on_event(answer)
    recorder = watch()
    until(lambda: recorder.stats().stored > 0, what="the question is recorded")
    operator.act(K.BROADCAST, b.Broadcast(text="x"))
    until(lambda: recorder.keyframe(time.time()) is not None, what="what was answered is kept")
    assert Past(operator.query, SWARM, kept=500).moment(time.time()).fleet.tasks["t0"].state == "running"
