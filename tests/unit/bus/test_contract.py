"""What both buses, the real one and the one in memory, keep."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

import pytest

from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Bus, Link
from swarm_tui.config.model import Broker
from swarm_tui.protocol.envelope import Outgoing
from tests.conftest import RealBroker
from tests.wait import until


class Listener:
    """A bus with what it heard."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.heard: list[tuple[str, bytes, bool]] = []
        self.links: list[Link] = []

    def start(self) -> "Listener":
        self.bus.start(
            lambda topic, payload, retained: self.heard.append((topic, payload, retained)), self.links.append
        )
        until(self.bus.is_up, what="the bus is up")
        return self

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.heard]


class World:
    """Makes buses of one kind, and breaks them."""

    def __init__(self, make: Callable[[str, bool], Bus], cut: Callable[[Any], None], heal: Callable[[], None]) -> None:
        self.make, self.cut, self.heal = make, cut, heal
        self.made: list[Bus] = []

    def listener(self, client_id: str, *patterns: str, clean: bool = True, will: Outgoing | None = None) -> Listener:
        bus = self.make(client_id, clean)
        self.made.append(bus)
        if will is not None:
            bus.set_will(will)
        for pattern in patterns:
            bus.subscribe(pattern)
        return Listener(bus).start()


def _real(broker: RealBroker, protocol: Literal["3.1.1", "5"]) -> World:
    def cut(bus: MqttBus) -> None:
        # As a network does it: the socket dies under paho's hands.
        client = bus._client
        assert client is not None
        sock = client.socket()
        assert sock is not None
        sock.shutdown(2)  # type: ignore[attr-defined]

    way = Broker(url=broker.url, protocol=protocol)
    return World(lambda name, clean: MqttBus(way, name, clean=clean), cut, lambda: None)


def _memory() -> World:
    broker = MemoryBroker()
    cut: list[MemoryBus] = []

    def drop(bus: MemoryBus) -> None:
        bus.drop()
        cut.append(bus)

    def heal() -> None:
        while cut:
            cut.pop().restore()

    return World(lambda name, clean: MemoryBus(broker, name, clean=clean), drop, heal)


@pytest.fixture(params=["memory", "3.1.1", "5"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind = request.param
    world = _memory() if kind == "memory" else _real(request.getfixturevalue("real_broker"), kind)
    yield world
    for bus in world.made:
        bus.close(0.5)


def test_a_message_reaches_those_who_listen_and_no_other(world: World) -> None:
    one, other = world.listener("one", "s/tasks/+"), world.listener("other", "s/alerts")
    world.listener("sender").bus.publish(Outgoing("s/tasks/new", b"x"))
    until(lambda: one.heard == [("s/tasks/new", b"x", False)])
    world.listener("sender2").bus.publish(Outgoing("s/alerts", b"y"))
    until(lambda: other.heard == [("s/alerts", b"y", False)])


def test_a_filter_given_up_is_heard_no_more_not_even_after_a_cut(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    sender.bus.publish(Outgoing("t/mark", b"1", retain=True))
    listener.bus.unsubscribe("s/#")
    listener.bus.unsubscribe("never/had")
    listener.bus.subscribe("t/+")
    until(lambda: listener.payloads() == [b"1"])
    world.cut(listener.bus)
    until(lambda: any(not link.up for link in listener.links))
    world.heal()
    until(lambda: listener.payloads() == [b"1", b"1"])
    sender.bus.publish(Outgoing("s/gone", b"x"))
    sender.bus.publish(Outgoing("t/mark", b"2"))
    until(lambda: b"2" in listener.payloads())
    assert {topic for topic, _, _ in listener.heard} == {"t/mark"}


def test_order_is_kept(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    sent = [str(n).encode() for n in range(500)]
    for payload in sent:
        sender.bus.publish(Outgoing("s/n", payload))
    until(lambda: len(listener.heard) == 500)
    assert listener.payloads() == sent


def test_many_at_once_keep_their_order_and_their_acknowledgements(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    until(lambda: bool(listener.links) and bool(sender.links))
    acked: list[int] = []
    sender.bus.publish(Outgoing("s/ready", b"", retain=False))
    sender.bus.publish_all([(Outgoing("s/+", b"no topic"), None), (Outgoing("s/m", b"0", retain=True), None)])
    sender.bus.publish_all([(Outgoing("s/m", b"%d" % n), lambda n=n: acked.append(n)) for n in range(1, 50)])  # type: ignore[misc]
    until(lambda: acked == list(range(1, 50)))
    until(lambda: listener.payloads()[-49:] == [b"%d" % n for n in range(1, 50)])


def test_what_is_said_late_is_sent_by_itself_and_before_what_follows_it(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    until(lambda: bool(listener.links) and bool(sender.links))
    sender.bus.publish_late(lambda: Outgoing("s/n", b"alone"))
    until(lambda: listener.payloads() == [b"alone"])
    sender.bus.publish_late(lambda: None)
    sender.bus.publish_late(lambda: Outgoing("s/n", b"first"))
    sender.bus.publish(Outgoing("s/n", b"second"))
    until(lambda: listener.payloads() == [b"alone", b"first", b"second"])


def test_turns_come_after_what_was_heard_and_when_they_are_wanted(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    seen: list[int] = []
    threads: set[str] = set()

    def turn() -> float:
        threads.add(threading.current_thread().name)
        seen.append(len(listener.heard))
        if len(seen) == 3:
            raise ValueError("a turn that fails ends nothing")
        return 0.01

    if not listener.bus.on_turn(turn):
        return
    until(lambda: len(seen) > 5)
    sender.bus.publish(Outgoing("s/n", b"x"))
    until(lambda: seen[-1] == 1)
    assert threads == {"bus-ear"}
    assert listener.bus.on_turn(None)


def test_an_acknowledgement_is_no_reason_for_a_turn(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    until(lambda: bool(listener.links) and bool(sender.links))
    turns: list[float] = []
    acked: list[int] = []

    def turn() -> float:
        turns.append(time.monotonic())
        return 60.0

    if not sender.bus.on_turn(turn):
        return
    until(lambda: bool(turns))
    before = len(turns)
    for number in range(20):
        sender.bus.publish(Outgoing("s/n", b"x"), lambda: acked.append(1))
        until(lambda number=number: len(acked) == number + 1)  # type: ignore[misc]
    assert len(turns) < before + 10
    listener.bus.publish(Outgoing("to/sender", b"x"))
    sender.bus.subscribe("to/sender")
    until(lambda: listener.bus.publish(Outgoing("to/sender", b"x")) is None and len(turns) > before + 1)


def test_what_a_turn_says_is_on_its_way_before_the_turn_ends(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    until(lambda: bool(listener.links) and bool(sender.links))
    early: list[bool] = []

    def turn() -> float:
        if not early:
            sender.bus.publish_all([(Outgoing("s/n", b"x"), None)])
            with suppress(AssertionError):
                until(lambda: bool(listener.heard), limit=5)
            early.append(bool(listener.heard))
        return 60.0

    if sender.bus.on_turn(turn):
        until(lambda: early == [True])


def test_others_publish_while_a_message_is_being_read(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    until(lambda: bool(listener.links) and bool(sender.links))
    if not isinstance(sender.bus, MqttBus):
        return
    reading, read = threading.Event(), threading.Event()

    def stalled(topic: str, payload: bytes, retained: bool) -> None:
        reading.set()
        assert read.wait(20)

    slow = MqttBus(sender.bus.broker, "slow")
    slow.subscribe("slow/#")
    slow.start(stalled, lambda link: None)
    try:
        until(slow.is_up)
        until(lambda: sender.bus.publish(Outgoing("slow/n", b"")) is None and reading.wait(0.05))
        slow.publish(Outgoing("s/n", b"beat"))
        until(lambda: b"beat" in listener.payloads(), limit=5)
    finally:
        read.set()
        slow.close()


@pytest.mark.parametrize("size", [4, 100_000])
def test_what_comes_while_a_session_that_lasts_is_closed_waits_for_its_next_connection(world: World, size: int) -> None:
    listener, sender = world.listener("ear", "s/#", clean=False), world.listener("sender")
    if not isinstance(listener.bus, MqttBus):
        return
    until(lambda: bool(listener.links) and bool(sender.links))
    client, came, take = listener.bus._client, list[int](), listener.bus._take
    assert client is not None
    client.take = listener.bus._take = lambda *said: came.append(size) or take(*said)  # type: ignore[func-returns-value,method-assign]
    # It has yet to hear that the broker has this.
    listener.bus._outbox._unacked[60_000] = (Outgoing("s/own", b""), None)
    listener.bus._close_by = time.monotonic() + 60
    late = b"x" * size
    sender.bus.publish(Outgoing("s/n", late))
    until(lambda: bool(came) and not client.unwritten())
    listener.bus._close_by = time.monotonic() - 1
    listener.bus.close()
    again = world.listener("ear", "s/#", clean=False)
    until(lambda: again.payloads() == [late])
    assert listener.payloads() == []


def test_the_acknowledgement_is_told(world: World) -> None:
    acked: list[int] = []
    sender = world.listener("sender")
    sender.bus.publish(Outgoing("s/n", b"one"), lambda: acked.append(1))
    sender.bus.publish(Outgoing("s/n", b"none", qos=0), lambda: acked.append(0))
    until(lambda: sorted(acked) == [0, 1])


def test_a_late_listener_hears_what_is_retained_until_it_is_cleared(world: World) -> None:
    sender = world.listener("sender")
    acked: list[bool] = []
    sender.bus.publish(Outgoing("s/halt", b"stop", retain=True), lambda: acked.append(True))
    until(lambda: bool(acked))
    first = world.listener("first", "s/#")
    until(lambda: first.heard == [("s/halt", b"stop", True)])
    sender.bus.publish(Outgoing("s/halt", b"", retain=True))
    until(lambda: first.payloads() == [b"stop", b""])
    second = world.listener("second", "s/#")
    sender.bus.publish(Outgoing("s/end", b"end"))
    until(lambda: second.heard == [("s/end", b"end", False)])


def test_the_will_speaks_for_the_lost_and_not_for_the_one_who_leaves(world: World) -> None:
    listener = world.listener("ear", "s/#")
    lost = world.listener("lost", will=Outgoing("s/status", b"lost", retain=True))
    leaver = world.listener("leaver", will=Outgoing("s/status", b"left"))
    leaver.bus.close()
    world.cut(lost.bus)
    until(lambda: listener.payloads() == [b"lost"])


def test_a_cut_link_comes_back_with_its_subscriptions_and_what_was_published_meanwhile(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    world.cut(listener.bus)
    until(lambda: any(not link.up for link in listener.links))
    assert next(link for link in listener.links if not link.up).reason
    world.cut(sender.bus)
    until(lambda: any(not link.up for link in sender.links))
    world.heal()
    until(lambda: listener.links[-1].up, what="the listener is back")
    sender.bus.publish(Outgoing("s/n", b"later"))
    until(lambda: b"later" in listener.payloads())


def test_a_persistent_session_holds_what_came_while_its_client_was_away(world: World) -> None:
    keeper = world.listener("keeper", "s/#", clean=False)
    keeper.bus.close()
    sender = world.listener("sender")
    acked: list[bool] = []
    sender.bus.publish(Outgoing("s/n", b"held"), lambda: acked.append(True))
    until(lambda: bool(acked))
    again = world.listener("keeper", "s/#", clean=False)
    until(lambda: again.payloads() == [b"held"])
    assert again.links[0].resumed


def test_the_younger_of_two_with_one_id_evicts_the_older(world: World) -> None:
    older = world.listener("same", "s/#")
    until(lambda: older.links[-1].up)
    younger = world.make("same", True)
    world.made.append(younger)
    Listener(younger).start()
    until(lambda: any(not link.up for link in older.links), what="the older is evicted")
    older.bus.close()


def test_a_callback_that_raises_costs_nothing_but_a_count(world: World) -> None:
    bus = world.make("raiser", True)
    world.made.append(bus)
    bus.subscribe("s/#")
    heard: list[bytes] = []

    def on_message(topic: str, payload: bytes, retained: bool) -> None:
        heard.append(payload)
        raise RuntimeError("boom")

    def on_link(link: Link) -> None:
        raise RuntimeError("bang")

    bus.start(on_message, on_link)
    until(bus.is_up)
    sender = world.listener("sender")
    for payload in (b"1", b"2"):
        sender.bus.publish(Outgoing("s/n", payload))
    until(lambda: heard == [b"1", b"2"])
    until(lambda: bus.failures == 3)  # type: ignore[attr-defined]
    assert bus.is_up()


def test_close_sends_what_waits(world: World) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    for n in range(300):
        sender.bus.publish(Outgoing("s/n", str(n).encode()))
    sender.bus.close(5.0)
    until(lambda: len(listener.heard) == 300)


def test_after_close_nothing_is_sent_and_close_may_come_again(world: World) -> None:
    sender = world.listener("sender")
    sender.bus.close()
    sender.bus.close()
    sender.bus.publish(Outgoing("s/n", b"x"))
    assert not sender.bus.is_up()
    assert sender.bus.dropped == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("topic", ["", "s/+", "s/#", "s/\x00", "s/\x1b[m"])
def test_a_message_that_no_broker_takes_is_refused_and_costs_no_other(world: World, topic: str) -> None:
    listener, sender = world.listener("ear", "s/#"), world.listener("sender")
    sender.bus.publish(Outgoing(topic, b"bad"))
    sender.bus.publish(Outgoing("s/n", b"good"))
    until(lambda: listener.payloads() == [b"good"])
    assert (sender.bus.failures, sender.bus.dropped) == (1, 1)  # type: ignore[attr-defined]
    assert all(link.up for link in sender.links)
