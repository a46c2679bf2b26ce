"""Garbage on every topic of a real swarm: nothing raises, no good message is lost, each refusal is counted."""

import json
import time
from itertools import cycle

from swarm_tui.bus.bulk_client import INFLIGHT
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.protocol.bodies import Broadcast
from swarm_tui.protocol.codec import MAX_BYTES, Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind, topic
from tests.conftest import RealBroker
from tests.unit.client.garbage import KINDS, garbage
from tests.wait import until

SWARM = "opencto-dev"
EVERY = 25
BROKERS_LIMIT = 256 * 1024


def test_five_hundred_kinds_of_garbage_on_every_topic(real_broker: RealBroker) -> None:
    operator = Operator(MqttBus(real_broker.broker, "operator"), SWARM, user="u", host="h")
    heard: list[Event | Rejected] = []
    operator.on_event(heard.append)
    operator.start()
    assert operator.wait_link(5).up
    sender = MqttBus(real_broker.broker, "sender")
    sender.start(lambda *_: None, lambda link: None)
    until(sender.is_up)
    writer = Writer(SWARM, "good", "general", new_id=lambda: "m", clock=time.time)
    topics = [topic(SWARM, kind, "a1") for kind in Kind if kind is not Kind.OTHER]
    topics += [f"{SWARM}/other", f"{SWARM}/agents/[x]/status", f"{SWARM}/_a/x/tasks/new", f"{SWARM}/tasks/new/"]
    good, bad, refused = 0, 0, 0
    for number, (raw, where) in enumerate(zip(garbage(7) * 2, cycle(topics), strict=False)):
        sender.publish(Outgoing(where, raw, retain=number % 5 == 0 and len(raw) < MAX_BYTES and number >= KINDS))
        bad += 1
        refused += isinstance(decode(SWARM, where, raw, False, time.time()), Rejected)
        if number % EVERY == 0:
            sender.publish(writer.message(Kind.BROADCAST, Broadcast(text=str(good))))
            good += 1
    until(lambda: sum(isinstance(e, Event) and e.sender == "good" for e in heard) == good, what="every good message")
    said = [e.body.text for e in heard if isinstance(e, Event) and isinstance(e.body, Broadcast) and e.sender == "good"]
    assert said == [str(number) for number in range(good)]
    until(lambda: operator.received == good + bad, what="every bad one too")
    assert operator.refused == sum(isinstance(event, Rejected) for event in heard) == refused
    assert refused > bad // 2
    assert (operator.failures, operator.bus.failures, sender.failures) == (0, 0, 0)  # type: ignore[attr-defined]
    for event in heard:
        shown = event.reason + event.first + event.topic if isinstance(event, Rejected) else event.topic + event.id
        assert clean(shown) == shown
    sender.close()
    operator.close()
    late = Operator(MqttBus(real_broker.broker, "late"), SWARM, user="u", host="h")
    late.start()
    assert late.wait_link(5).up
    until(lambda: late.refused > 0, what="retained garbage is refused, and counted")
    assert late.bus.failures == 0  # type: ignore[attr-defined]
    late.close()


def test_what_is_over_the_brokers_limit_harms_nobody(real_broker: RealBroker) -> None:
    operator = Operator(MqttBus(real_broker.broker, "operator"), SWARM, user="u", host="h")
    operator.start()
    sender = MqttBus(real_broker.broker, "sender")
    sender.start(lambda *_: None, lambda link: None)
    until(sender.is_up)
    assert operator.wait_link(5).up
    for _ in range(3):
        sender.publish(Outgoing(f"{SWARM}/tasks/new", b"x" * (BROKERS_LIMIT + 1000)))
    sender.publish(Outgoing(f"{SWARM}/tasks/new", b"[" * 200_000))
    sender.publish(Outgoing(f"{SWARM}/broadcast", json.dumps({"payload": {"text": "after"}}).encode()))
    until(lambda: operator.received == 2)
    assert operator.refused == 1
    sender.close()
    operator.close()


def test_a_burst_beyond_the_inflight_window_arrives_in_order(real_broker: RealBroker) -> None:
    heard: list[bytes] = []
    ear = MqttBus(real_broker.broker, "ear")
    ear.subscribe("s/#")
    ear.start(lambda t, payload, r: heard.append(payload), lambda link: None)
    sender = MqttBus(real_broker.broker, "sender")
    sender.start(lambda *_: None, lambda link: None)
    until(lambda: ear.is_up() and sender.is_up())
    sent = [str(number).encode() for number in range(INFLIGHT * 20)]
    for payload in sent:
        sender.publish(Outgoing("s/n", payload))
    until(lambda: len(heard) == len(sent))
    assert heard == sent
    sender.close()
    ear.close()
