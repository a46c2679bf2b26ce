"""The dispatcher's session is made before the dispatcher comes, and nothing in it is lost."""

import uuid
from pathlib import Path

import msgspec
import pytest

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import BusError, Link
from swarm_tui.bus.session import keep_session, retained
from swarm_tui.client.dispatcher import HEARD, prepare_session, session_patterns, take_former_session
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.protocol.bodies import Dispatcher, Task
from swarm_tui.protocol.client_ids import dispatcher_client_id, former_dispatcher_client_id
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.topics import Kind, topic
from tests.conftest import RealBroker
from tests.wait import until

SWARM = "s"


class Person:
    """Publishes, and knows when the broker has it."""

    def __init__(self, broker: Broker) -> None:
        self.writer = Writer(SWARM, "operator:a@b", "", new_id=lambda: str(uuid.uuid4()), clock=lambda: 1_700_000_000.0)
        self.bus = MqttBus(broker, f"person-{uuid.uuid4().hex[:6]}")
        self.bus.start(lambda *_: None, lambda link: None)
        until(self.bus.is_up)

    def say(self, message: Outgoing) -> None:
        acked: list[bool] = []
        self.bus.publish(message, lambda: acked.append(True))
        until(lambda: bool(acked))

    def task(self, task_id: str, qos: int) -> None:
        message = self.writer.message(Kind.TASK_NEW, Task(task_id=task_id, type="noop"))
        self.say(Outgoing(message.topic, message.payload, qos, False))


class Owner:
    """Comes for the session, as the dispatcher does."""

    def __init__(self, spec: RunSpec) -> None:
        self.heard: list[str] = []
        self.links: list[Link] = []
        self.bus = MqttBus(spec.broker, dispatcher_client_id(SWARM), clean=False)
        for pattern in session_patterns(spec):
            self.bus.subscribe(pattern)
        self.bus.start(lambda full, raw, retained: self.heard.append(raw.decode()), self.links.append)

    def has(self, task_id: str) -> bool:
        return any(f'"{task_id}"' in raw for raw in self.heard)


@pytest.fixture
def spec(real_broker: RealBroker, tmp_path: Path) -> RunSpec:
    return RunSpec(
        agent_id="tm", role="task-manager", swarm=SWARM, broker=real_broker.broker, host="box", workdir=str(tmp_path),
        state_dir=str(tmp_path), foreign={"f1": "seed"},
    )  # fmt: skip


def test_what_is_said_before_the_dispatcher_comes_is_kept_for_it(spec: RunSpec) -> None:
    person = Person(spec.broker)
    assert prepare_session(spec)
    person.task("early0", 0)
    person.task("early1", 1)
    assert prepare_session(spec), "once more, over what the broker keeps by now"
    owner = Owner(spec)
    try:
        until(lambda: owner.has("early0") and owner.has("early1"), what=f"both tasks among {owner.heard}")
    finally:
        owner.bus.close()
        person.bus.close()


def test_a_dispatcher_that_leads_keeps_its_connection(spec: RunSpec) -> None:
    person = Person(spec.broker)
    owner = Owner(spec)
    try:
        until(lambda: any(link.up for link in owner.links))
        writer = Writer(SWARM, "tm", "task-manager", new_id=lambda: "1", clock=lambda: 1_700_000_000.0)
        person.say(writer.message(Kind.DISPATCHER, Dispatcher(instance="box/1", epoch=1, online=True)))
        assert retained(spec.broker, topic(SWARM, Kind.DISPATCHER))
        assert not prepare_session(spec)
        person.task("after", 1)
        until(lambda: owner.has("after"))
        assert [link.up for link in owner.links] == [True]
    finally:
        owner.bus.close()
        person.bus.close()


def test_a_broker_that_is_away_is_said_in_a_sentence(spec: RunSpec, free_port: int, tmp_path: Path) -> None:
    away = RunSpec(
        agent_id="tm", role="task-manager", swarm=SWARM, broker=Broker(url=f"mqtt://127.0.0.1:{free_port}"), host="box",
        workdir=str(tmp_path), state_dir=str(tmp_path),
    )  # fmt: skip
    with pytest.raises(BusError, match=str(free_port)):
        prepare_session(away, 1.0)


def test_the_session_hears_all_that_the_dispatcher_hears(spec: RunSpec) -> None:
    patterns = session_patterns(spec)
    assert {topic(SWARM, kind) for kind in HEARD} < set(patterns)
    assert f"{SWARM}/agents/+/status" in patterns
    assert f"{SWARM}/_a/+/tasks/complete" in patterns
    many = {f"f{n}": "seed" if n % 2 else "mqtt-v1" for n in range(64)}
    assert len(session_patterns(msgspec.structs.replace(spec, foreign=many))) <= 50, "AWS IoT takes no more"


def test_what_waits_for_a_dispatcher_of_the_former_name_is_not_lost(spec: RunSpec) -> None:
    former = former_dispatcher_client_id(SWARM)
    keep_session(spec.broker, former, session_patterns(spec), again=lambda topic: False)
    person = Person(spec.broker)
    for number in range(60):
        person.task(f"old{number}", 1)
    assert take_former_session(spec) == 60
    assert take_former_session(spec) == 0, "it is empty, and gone"
    owner = Owner(spec)
    try:
        until(lambda: all(owner.has(f"old{number}") for number in range(60)))
    finally:
        owner.bus.close()
        person.bus.close()
