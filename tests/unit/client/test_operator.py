"""The operator over real and in-memory buses: publishing until accepted, commands, queries."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Bus, BusError
from swarm_tui.client.operator import Operator
from swarm_tui.client.publication import Publication
from swarm_tui.client.publication_policy import Stage
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import (
    Assigned,
    Body,
    Cleared,
    Complete,
    Dispatcher,
    Halt,
    Query,
    Queued,
    Reply,
    Task,
    TaskAct,
    TaskRejected,
)
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import InvalidNameError
from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker, listening
from tests.wait import until

SWARM = "opencto/workspace/ws1"


class Answerer:
    """The other side: hears the swarm and says what a test tells it to."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.events: list[Event] = []
        self.refused: list[Rejected] = []
        counter = itertools.count()
        self.writer = codec.Writer(SWARM, "tm", "task-manager", new_id=lambda: f"m{next(counter)}", clock=time.time)
        self.answer: Callable[[Event], None] = lambda event: None
        bus.subscribe(f"{SWARM}/#")
        bus.start(self._message, lambda link: None)
        until(bus.is_up)

    def _message(self, topic: str, payload: bytes, retained: bool) -> None:
        event = codec.decode(SWARM, topic, payload, retained, time.time())
        if isinstance(event, Event):
            self.events.append(event)
            self.answer(event)
        elif event is not None:
            self.refused.append(event)

    def say(self, kind: Kind, body: Body, key: str = "") -> None:
        self.bus.publish(self.writer.message(kind, body, key))

    def of(self, kind: Kind) -> list[Event]:
        return [event for event in self.events if event.kind is kind]


def event_kind(event: Event | Rejected) -> Kind | None:
    return event.kind if isinstance(event, Event) else None


class Scene:
    """An operator and an answerer on one broker."""

    def __init__(self, make: Callable[[str], Bus]) -> None:
        self.other = Answerer(make("other"))
        self.operator = Operator(make("me"), SWARM, user="ann o'hara", host="box/1")
        self.operator.start()
        assert self.operator.wait_link(5.0).up

    def lead(self, *, online: bool) -> None:
        """A dispatcher leads, or was here and will be back."""
        heard = threading.Event()
        self.operator.on_event(lambda event: heard.set() if event_kind(event) is Kind.DISPATCHER else None)
        self.other.say(Kind.DISPATCHER, Dispatcher(instance="box/1", epoch=1, online=online))
        assert heard.wait(5)

    def close(self) -> None:
        self.operator.close(0.5)
        self.other.bus.close(0.5)


@pytest.fixture(params=["memory", "mqtt"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "memory":
        broker = MemoryBroker()
        scene = Scene(lambda name: MemoryBus(broker, name))
    else:
        real: RealBroker = request.getfixturevalue("real_broker")
        scene = Scene(lambda name: MqttBus(real.broker, name))
    yield scene
    scene.close()


def task(name: str = "t1") -> Task:
    return Task(task_id=name, type="noop", payload={"n": 1})


def test_a_task_is_sent_then_queued_then_assigned_as_each_is_heard(scene: Scene) -> None:
    stages: list[str] = []
    publication = scene.operator.submit(task())
    publication.on_change(lambda p: stages.append(p.stage))
    assert publication.wait("sent", 5)
    until(lambda: scene.other.of(Kind.TASK_NEW))
    assert publication.stage == "sent"
    scene.other.say(Kind.TASK_QUEUED, Queued(task_id="t1", attempt=0, position=1))
    assert publication.wait("queued", 5)
    scene.other.say(Kind.TASK_ASSIGNED, Assigned(task_id="t1", agent_id="a1", attempt=1, epoch=1))
    assert publication.wait("assigned", 5)
    assert publication.reason == "a1"
    assert stages[-2:] == ["queued", "assigned"]


def test_a_claim_without_a_dispatcher_is_acceptance_too(scene: Scene) -> None:
    publication = scene.operator.submit(task())
    scene.other.say(Kind.TASK_ASSIGNED, Assigned(task_id="t1", agent_id="a1", claim="inc"))
    assert publication.wait("queued", 5)
    assert publication.stage == "assigned"


def test_while_a_dispatcher_leads_a_claim_is_no_acceptance(scene: Scene) -> None:
    """A broker that was killed forgets for a moment that there is one; the task must still reach its journal."""
    scene.lead(online=True)
    publication = scene.operator.submit(task())
    until(lambda: scene.other.of(Kind.TASK_NEW))
    scene.other.say(Kind.TASK_ASSIGNED, Assigned(task_id="t1", agent_id="a1", claim="inc"))
    until(lambda: len(scene.other.of(Kind.TASK_NEW)) >= 2, what="a repeat")
    assert publication.stage == "sent"
    scene.other.say(Kind.TASK_QUEUED, Queued(task_id="t1"))
    assert publication.wait("queued", 5)


def test_a_claim_that_ended_ends_the_repeats(scene: Scene) -> None:
    scene.lead(online=False)
    publication = scene.operator.submit(task())
    until(lambda: scene.other.of(Kind.TASK_NEW))
    scene.other.say(Kind.TASK_COMPLETE, Complete(task_id="t1", agent_id="a1", attempt=1))
    assert publication.wait("assigned", 5)


def test_it_repeats_the_same_message_until_it_is_accepted(scene: Scene) -> None:
    publication = scene.operator.submit(task())
    until(lambda: len(scene.other.of(Kind.TASK_NEW)) >= 2, what="a repeat")
    scene.other.say(Kind.TASK_QUEUED, Queued(task_id="t1"))
    assert publication.wait("queued", 5)
    heard = scene.other.of(Kind.TASK_NEW)
    assert len({event.id for event in heard}) == 1
    assert all(event.payload == heard[0].payload and event.at == heard[0].at for event in heard)


def test_a_rejection_carries_its_reason_and_ends_the_repeats(scene: Scene) -> None:
    publication = scene.operator.submit(task())
    scene.other.say(Kind.TASK_REJECTED, TaskRejected(task_id="t1", reason="no such type"))
    assert not publication.wait("queued", 5)
    assert (publication.stage, publication.reason) == (Stage.REJECTED, "no such type")


def test_it_gives_up_and_says_so_when_nobody_answers(scene: Scene) -> None:
    publication = scene.operator.submit(task(), accept_timeout=0.3)
    assert not publication.wait("queued", 5)
    assert publication.stage == "gave-up"
    assert "nobody accepted it within 0.3 s" in publication.reason


def test_commands_carry_their_sender_and_their_end(scene: Scene) -> None:
    identity = scene.operator.act(Kind.TASK_CANCEL, TaskAct(task_id="t1", reason="enough"))
    until(lambda: scene.other.of(Kind.TASK_CANCEL))
    event = scene.other.of(Kind.TASK_CANCEL)[0]
    assert (event.id, event.sender, event.role) == (identity, "operator:ann-o-hara@box-1", "operator")
    assert event.expires_at is not None
    assert 50 < event.expires_at - event.at <= 60


def test_who_lifts_a_halt_says_so_first(scene: Scene) -> None:
    scene.operator.act(Kind.HALT, Halt(reason="bad release"))
    scene.operator.clear(Kind.HALT)
    until(lambda: len(scene.other.of(Kind.HALT)) == 3)
    said, emptied = scene.other.of(Kind.HALT)[1:]
    assert (said.sender, said.body) == (scene.operator.sender, Halt(lifted=True))
    assert isinstance(emptied.body, Cleared)


def test_a_query_gathers_its_pages(scene: Scene) -> None:
    def answer(event: Event) -> None:
        if isinstance(event.body, Query):
            for page in range(3):
                body = Reply(query="tasks", rows=[page * 2, page * 2 + 1], more=page < 2, request=event.id, source="tm")
                scene.other.say(Kind.REPLY, body, event.key)

    scene.other.answer = answer
    reply = scene.operator.query("tasks", {"limit": 6}, timeout=5)
    assert reply is not None
    assert (reply.rows, reply.more, reply.source) == ([0, 1, 2, 3, 4, 5], False, "tm")


def test_a_page_that_comes_twice_counts_once(scene: Scene) -> None:
    def answer(event: Event) -> None:
        if isinstance(event.body, Query):
            first = scene.other.writer.message(
                Kind.REPLY, Reply(query="tasks", rows=[1], more=True, request=event.id, source="tm"), event.key
            )
            scene.other.bus.publish(first)
            scene.other.bus.publish(first)
            scene.other.say(Kind.REPLY, Reply(query="tasks", rows=[2], request=event.id, source="tm"), event.key)

    scene.other.answer = answer
    reply = scene.operator.query("tasks", timeout=5)
    assert reply is not None
    assert reply.rows == [1, 2]


def test_a_query_that_nobody_answers_ends(scene: Scene) -> None:
    assert scene.operator.query("tasks", timeout=0.1) is None


def test_every_host_may_answer(scene: Scene) -> None:
    def answer(event: Event) -> None:
        if isinstance(event.body, Query):
            for host in ("one", "two"):
                scene.other.say(
                    Kind.REPLY, Reply(query="status", rows=[host], request=event.id, source=host), event.key
                )

    scene.other.answer = answer
    replies = scene.operator.query_all("status", timeout=5, enough=2)
    assert sorted(reply.rows[0] for reply in replies) == ["one", "two"]


def test_a_query_on_the_bus_thread_is_refused_instead_of_hanging(scene: Scene) -> None:
    caught: list[str] = []

    def ask(event: Event | Rejected) -> None:
        try:
            scene.operator.query("tasks", timeout=0.1)
        except BusError as error:
            caught.append(str(error))

    scene.operator.on_event(ask)
    thread = threading.Thread(target=lambda: scene.other.say(Kind.TASK_QUEUED, Queued(task_id="t9")))
    thread.start()
    thread.join()
    until(lambda: bool(caught))


def test_illegal_names_are_refused_before_anything_is_sent(scene: Scene) -> None:
    for bad in (
        Task(task_id="a b", type="noop"),
        Task(task_id="t", type="no op"),
        Task(task_id="t", type="x", assigned_to="+"),
    ):
        with pytest.raises(InvalidNameError):
            scene.operator.submit(bad)


def test_a_listener_that_raises_costs_the_others_nothing(scene: Scene) -> None:
    heard: list[object] = []

    def boom(event: Event | Rejected) -> None:
        raise RuntimeError("boom")

    scene.operator.on_event(boom)
    scene.operator.on_event(heard.append)
    scene.other.say(Kind.TASK_QUEUED, Queued(task_id="t9"))
    until(lambda: bool(heard))
    assert scene.operator.failures == 1


def test_a_publication_survives_the_brokers_restart(real_broker: RealBroker) -> None:
    port = real_broker.port
    operator = Operator(MqttBus(real_broker.broker, "me"), SWARM, user="u", host="h")
    operator.start()
    assert operator.wait_link(5).up
    real_broker.kill()
    until(lambda: not operator.bus.is_up())
    publications: list[Publication] = [operator.submit(task(f"t{n}")) for n in range(20)]
    assert {p.stage for p in publications} == {Stage.PENDING}
    real_broker.start()
    until(lambda: listening(port))
    other = Answerer(MqttBus(real_broker.broker, "other"))
    other.answer = lambda event: (
        other.say(Kind.TASK_QUEUED, Queued(task_id=event.body.task_id)) if isinstance(event.body, Task) else None
    )
    for publication in publications:
        assert publication.wait("queued", 10), publication.stage
    operator.close()
    other.bus.close()
