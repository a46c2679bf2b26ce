"""MQTT 3.1.1 and 5: which one is spoken, what only the newer one says, and that nothing else changes with it."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from swarm_tui.bus import versions
from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import BusError, Link
from swarm_tui.bus.probe import probe
from swarm_tui.bus.send_queue import SendQueue
from swarm_tui.bus.session import empty_session, keep_session, retained
from swarm_tui.bus.versions import FIVE, THREE, accepted, choose, falls_back, publish_properties
from swarm_tui.config.model import Broker
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.topics import Kind
from tests.brokers.kinds import mosquitto
from tests.conftest import RealBroker, pick_port
from tests.unit.bus.grounds import Listener
from tests.wait import until

WELCOME = {THREE: b"\x20\x02\x00\x00", FIVE: b"\x20\x03\x00\x00\x00"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _know_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_known", {})


def with_reason(head: bytes, sentence: str, tail: bytes = b"") -> bytes:
    """A packet of MQTT 5 with that Reason String; `head` is its type and what comes before the properties."""
    text = sentence.encode()
    properties = b"\x1f" + len(text).to_bytes(2, "big") + text
    body = head[1:] + bytes((len(properties),)) + properties + tail
    return head[:1] + bytes((len(body),)) + body


@contextmanager
def saying(answer: Callable[[int, int], bytes | None]) -> Iterator[tuple[Broker, list[int]]]:
    """A listener that answers each CONNECT with `answer(its version, how many came before)`, None with nothing.

    Yields it and the versions that were asked for.
    """
    asked: list[int] = []

    def serve(connection: socket.socket) -> None:
        packet = connection.recv(65536)
        version = packet[packet.index(b"MQTT") + 4]
        asked.append(version)
        said = answer(version, len(asked) - 1)
        if said is None:
            connection.close()
            return
        connection.sendall(said)

    listener = Listener(serve)
    try:
        yield Broker(url=f"mqtt://127.0.0.1:{listener.port}"), asked
    finally:
        listener.close()


def only_three(refuses: bytes | None) -> Callable[[int, int], bytes | None]:
    return lambda version, before: WELCOME[THREE] if version == THREE else refuses


# -- the choice


def test_the_layout_decides_else_what_the_broker_took() -> None:
    broker = Broker(url="mqtt://broker.example")
    at = parse_url(broker.url)
    assert choose(broker, at) == FIVE
    accepted(at, THREE)
    assert choose(broker, at) == THREE
    assert choose(Broker(url=broker.url, protocol="5"), at) == FIVE
    assert choose(Broker(url=broker.url, protocol="3.1.1"), at) == THREE
    for other in (Broker(url="unix:///run/b.sock"), Broker(url="mqtt://x", profile="aws")):
        assert choose(other, parse_url(other.url)) == THREE
        assert not falls_back(other, parse_url(other.url), THREE, unsupported=True)


@given(
    st.lists(st.sampled_from(["accepts", "refuses", "says nothing"]), max_size=12),
    st.sets(st.sampled_from([THREE, FIVE])),
)
def test_a_broker_that_speaks_one_of_them_is_spoken_to_within_two_tries(moods: list[str], speaks: set[int]) -> None:
    versions._known.clear()
    broker = Broker(url="mqtt://broker.example")
    at = parse_url(broker.url)
    for mood in moods:
        version = choose(broker, at)
        if mood == "accepts" and version in speaks:
            accepted(at, version)
        else:
            falls_back(broker, at, version, unsupported=mood == "refuses" and version not in speaks)
    # However it was treated before, it is there now.
    for _ in range(3):
        version = choose(broker, at)
        if version in speaks:
            return
        falls_back(broker, at, version, unsupported=True)
    assert not speaks


@pytest.mark.parametrize(
    "refuses", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", None], ids=["code 1", "132", "closes"]
)
def test_a_broker_that_knows_only_the_older_one_is_spoken_to_in_it(refuses: bytes | None) -> None:
    with saying(only_three(refuses)) as (broker, asked):
        tried = probe(broker, 3.0)
        assert (tried.ok, tried.version, asked) == (True, "3.1.1", [FIVE, THREE]), tried
        assert probe(broker, 3.0).ok
        assert asked == [FIVE, THREE, THREE], "it is remembered"
    with saying(only_three(refuses)) as (broker, asked):
        links: list[Link] = []
        bus = MqttBus(broker, "x")
        bus.start(lambda *_: None, links.append)
        until(bus.is_up, limit=5)
        assert (asked, [link.up for link in links]) == ([FIVE, THREE], [True]), "nobody hears of the first try"
        bus.close(0.0)
    with saying(only_three(refuses)) as (broker, asked), pytest.raises(BusError):
        # It answers no SUBSCRIBE; that it let us in is enough.
        retained(broker, "t", 0.5)
    assert asked == [FIVE, THREE]


def test_one_that_only_starts_is_asked_in_the_newer_one_again() -> None:
    with saying(lambda version, before: None if before < 2 else WELCOME[version]) as (broker, asked):
        bus = MqttBus(broker, "x")
        bus.start(lambda *_: None, lambda link: None)
        until(bus.is_up, limit=5)
        bus.close(0.0)
    assert asked == [FIVE, THREE, FIVE]


def test_who_asks_for_the_newer_one_is_told_that_the_broker_has_none() -> None:
    with saying(only_three(b"\x20\x03\x00\x84\x00")) as (broker, _):
        tried = probe(Broker(url=broker.url, protocol="5"), 3.0)
    assert "does not speak MQTT 5: leave `broker.protocol` out" in tried.reason


# -- the packets


def client_of(version: str) -> BulkClient:
    broker = Broker(url="mqtt://127.0.0.1:1", protocol="5" if version == "5" else "3.1.1")
    return make_client(broker, parse_url(broker.url), "tester", clean=True, keepalive=15)


def unpacked(raw: bytes) -> dict[str, Any]:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    assert properties.unpack(raw)[1] == len(raw)
    return dict(properties.json())


def test_a_message_says_for_how_long_it_counts_and_of_which_trace_it_is() -> None:
    assert publish_properties(Outgoing("t", b"")) == b"\0"
    said = unpacked(publish_properties(Outgoing("t", b"", expires_at=time.time() + 59.5, traceparent=TRACE)))
    assert said == {"MessageExpiryInterval": 60, "UserProperty": [("traceparent", TRACE)]}
    assert unpacked(publish_properties(Outgoing("t", b"", expires_at=0.0))) == {"MessageExpiryInterval": 1}
    assert unpacked(publish_properties(Outgoing("t", b"", expires_at=1e300)))["MessageExpiryInterval"] == 0xFFFFFFFF
    assert unpacked(publish_properties(Outgoing("t", b"", traceparent="é" * 500)))


def test_commands_offers_and_questions_have_a_life_and_nothing_else() -> None:
    writer = Writer("s", "x", "", new_id=lambda: "i", clock=lambda: 1000.0)
    task = b.Task(task_id="t", type="noop", traceparent=TRACE)
    offer = writer.message(Kind.INBOX, b.Inbox(task_id="t", task=task, lease=30.0), "a")
    assert (offer.expires_at, offer.traceparent) == (1030.0, TRACE)
    assert writer.message(Kind.INBOX, b.Inbox(command="ack", task_id="t"), "a").expires_at == 1060.0
    assert writer.message(Kind.QUERY, b.Query(query="tasks"), "c").expires_at == 1060.0
    published = writer.message(Kind.TASK_NEW, task)
    assert (published.expires_at, published.traceparent) == (None, TRACE)
    assert writer.message(Kind.HALT, b.Halt(reason="stop")).expires_at is None


@given(st.binary(max_size=300), st.integers(0, 1), st.binary(max_size=300), st.booleans())
def test_what_comes_with_properties_is_read_without_them(payload: bytes, qos: int, text: bytes, retain: bool) -> None:
    trace = text.decode("latin-1")
    properties = publish_properties(Outgoing("t", b"", expires_at=1.0, traceparent=trace))
    number = b"\x00\x09" * qos
    body = b"\x00\x03a/b" + number + properties + payload
    packet = bytes((0x30 | qos << 1 | retain,)) + versions._length(len(body)) + body
    heard: list[tuple[str, bytes, bool]] = []
    client = client_of("5")
    client.take = lambda *message: heard.append(message) is None
    for cut in range(0, len(packet), 7):
        client._bulk, client._at = packet[:cut], 0
        assert cut == 0 or not client._take_publish()
    client._bulk, client._at = packet, 0
    assert client._take_publish()
    assert heard == [("a/b", payload, retain)]
    assert client._acks == [b"\x40\x02\x00\x09"] * qos


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_whatever_a_broker_puts_into_an_acknowledgement_it_is_one(body: bytes, after: bytes) -> None:
    client, acked, refused = client_of("5"), list[int](), list[tuple[int, str]]()
    client.acked, client.refused = acked.append, lambda mid, why: refused.append((mid, why))
    client._bulk, client._at = bytes((0x40, 2 + len(body))) + b"\x00\x09" + body + after, 0
    assert client._take_puback()
    assert acked == [9]
    assert bool(refused) == (bool(body) and body[0] >= 0x80)
    assert client._at == 4 + len(body)


def test_a_broker_of_the_newer_one_tells_how_much_it_takes() -> None:
    client, failures = client_of("5"), list[str]()
    box = SendQueue(lambda what, error: failures.append(str(error)), lambda what, call: call())
    client.acked = box.acked
    properties: Any = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum, properties.MaximumPacketSize = 2, 2000
    box.limits(properties)
    with client.gathered():
        for size in (10, 5000, 10, 10):
            box.post(Outgoing("t", b"x" * size, 1), None, up=True)
        box.send(client, ours=True)
        assert (len(client._said), box.dropped) == (2, 1)
        assert failures == ["5,000 bytes on 't': this broker takes 2,000 at most"]
        box.acked(1)
        box.send(client, ours=True)
        assert len(client._said) == 3


# -- the broker's own words


def test_why_a_broker_refuses_us_is_said_in_its_own_words_too() -> None:
    with saying(lambda version, before: with_reason(b"\x20\x00\x87", "your plan is over")) as (broker, asked):
        tried = probe(broker, 3.0)
    assert (tried.kind, asked) == ("password", [FIVE])
    assert "refuses a client without a user name ('your plan is over'): check MQTT_USERNAME" in tried.reason


def test_a_filter_that_is_refused_and_a_farewell_are_told_in_the_brokers_words() -> None:
    links: list[Link] = []
    talk = [
        WELCOME[FIVE],
        with_reason(b"\x90\x00\x01", "not for guests", b"\x87"),
        with_reason(b"\xe0\x8e", "you, elsewhere"),
    ]

    def serve(connection: socket.socket) -> None:
        for one in talk:
            connection.recv(65536)
            connection.sendall(one)

    listener = Listener(serve)
    bus = MqttBus(Broker(url=f"mqtt://127.0.0.1:{listener.port}"), "x")
    try:
        bus.subscribe("s/#")
        bus.start(lambda *_: None, links.append)
        until(lambda: any(link.kind == "forbidden" for link in links), what=f"{links}")
        bus.publish(Outgoing("s/n", b"x"))
        until(lambda: any("ended the connection" in link.reason for link in links), what=f"{links}")
    finally:
        bus.close(0.0)
        listener.close()
    forbidden = next(link.reason for link in links if link.kind == "forbidden")
    assert "`s/#` ('not for guests'): its access rules must allow it" in forbidden
    ended = next(link.reason for link in links if "ended the connection" in link.reason)
    assert "(Session taken over: you, elsewhere); we try again" in ended


def test_what_the_brokers_rules_let_nobody_say_is_told_once(tmp_path: Any) -> None:
    port, rules = pick_port(), tmp_path / "acl"
    rules.write_text("topic read #\n")
    rules.chmod(0o600)
    with mosquitto(tmp_path, port, "allow_anonymous true", f"acl_file {rules}"):
        for protocol, told in (("5", 1), ("3.1.1", 0)):
            bus = MqttBus(Broker(url=f"mqtt://127.0.0.1:{port}", protocol=protocol), "x")  # type: ignore[arg-type]
            acked: list[int] = []
            bus.start(lambda *_: None, lambda link: None)
            for _ in range(3):
                bus.publish(Outgoing("s/tasks/new", b"x"), lambda acked=acked: acked.append(1))  # type: ignore[misc]
            until(lambda acked=acked: len(acked) == 3)  # type: ignore[misc]
            assert bus.failures == told
            bus.close(0.0)
            if told:
                said = "the broker does not take what we say on `s/tasks/new`: its access rules must allow it"
                assert said in bus.last_failure


# -- on a broker that speaks both


@pytest.mark.parametrize(("before", "after"), [("3.1.1", "5"), ("5", "3.1.1"), ("5", "5")])
def test_a_session_outlives_a_change_of_version(real_broker: RealBroker, before: str, after: str) -> None:
    first = Broker(url=real_broker.url, protocol=before)  # type: ignore[arg-type]
    second = Broker(url=real_broker.url, protocol=after)  # type: ignore[arg-type]
    keep_session(first, "kept", ["s/n"], again=lambda topic: False)
    mouth = MqttBus(first, "mouth")
    mouth.start(lambda *_: None, lambda link: None)
    until(mouth.is_up)
    acked: list[int] = []
    mouth.publish(Outgoing("s/n", b"while away"), lambda: acked.append(1))
    until(lambda: bool(acked))
    heard: list[bytes] = []
    links: list[Link] = []
    bus = MqttBus(second, "kept", clean=False)
    bus.start(lambda topic, payload, kept: heard.append(payload), links.append)
    until(lambda: heard == [b"while away"])
    assert links[0].resumed
    bus.close()
    mouth.publish(Outgoing("s/n", b"again away"), lambda: acked.append(1))
    until(lambda: len(acked) == 2)
    assert empty_session(first, "kept", ["s/n"], again=lambda topic: True) == 1
    mouth.close()


def test_what_has_expired_reaches_nobody_who_comes_later(real_broker: RealBroker) -> None:
    broker = Broker(url=real_broker.url, protocol="5")
    keep_session(broker, "late", ["s/#"], again=lambda topic: False)
    mouth = MqttBus(broker, "mouth")
    mouth.start(lambda *_: None, lambda link: None)
    until(mouth.is_up)
    acked: list[int] = []
    mouth.publish(Outgoing("s/order", b"old", expires_at=time.time() + 0.5), lambda: acked.append(1))
    mouth.publish(Outgoing("s/word", b"kept"), lambda: acked.append(1))
    until(lambda: len(acked) == 2)
    end = time.monotonic() + 2.1
    until(lambda: time.monotonic() > end, limit=5)
    heard: list[str] = []
    bus = MqttBus(broker, "late", clean=False)
    bus.start(lambda topic, payload, kept: heard.append(topic), lambda link: None)
    until(lambda: "s/word" in heard)
    mouth.publish(Outgoing("s/end", b""))
    until(lambda: "s/end" in heard)
    assert heard == ["s/word", "s/end"]
    bus.close()
    mouth.close()


@pytest.mark.parametrize(("protocol", "own"), [("5", False), ("3.1.1", True)])
def test_what_we_say_ourselves_does_not_come_back_where_the_broker_can(
    real_broker: RealBroker, protocol: str, own: bool
) -> None:
    heard: list[bytes] = []
    broker = Broker(url=real_broker.url, protocol=protocol)  # type: ignore[arg-type]
    bus = MqttBus(broker, "both")
    bus.subscribe("s/mine", own=False)
    bus.subscribe("s/all")
    bus.start(lambda topic, payload, kept: heard.append(payload), lambda link: None)
    until(bus.is_up)
    bus.publish(Outgoing("s/mine", b"mine"))
    bus.publish(Outgoing("s/all", b"end"))
    until(lambda: b"end" in heard)
    assert (b"mine" in heard) == own
    bus.close()
