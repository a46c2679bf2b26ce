"""What our client writes and takes by itself, against paho's own writing of it."""

from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client
from swarm_tui.bus.send_queue import SendQueue
from swarm_tui.config.model import Broker
from swarm_tui.protocol.envelope import Outgoing

TOPICS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="+#"), min_size=1, max_size=200)
#: Lengths on both sides of where the length itself takes a byte more.
SIZES = st.one_of(st.integers(0, 300), st.integers(16_300, 16_500))


def made(protocol: Literal["3.1.1", "5"] = "3.1.1") -> BulkClient:
    url = "mqtt://127.0.0.1:1"
    return make_client(Broker(url=url, protocol=protocol), parse_url(url), "tester", clean=True, keepalive=15)


@pytest.fixture
def client() -> Iterator[BulkClient]:
    with (client := made()).gathered():
        yield client


def written(client: BulkClient) -> list[bytes]:
    packets = [*(bytes(packet["packet"]) for packet in client._out_packet), *client._said]
    client._out_packet.clear()
    client._said.clear()
    return packets


def outbox(client: BulkClient) -> SendQueue:
    box = SendQueue(lambda what, error: pytest.fail(f"{what}: {error}"), lambda what, call: call())
    client.acked = box.acked
    return box


@given(st.sampled_from(["3.1.1", "5"]), TOPICS, SIZES, st.booleans(), st.integers(0, 65_535), st.booleans())
def test_a_message_is_written_as_paho_writes_it(
    protocol: Literal["3.1.1", "5"], topic: str, size: int, retain: bool, mid: int, again: bool
) -> None:
    message = Outgoing(topic, b"x" * size, 1 if mid else 0, retain)
    again = again and mid > 0
    client = made(protocol)
    with client.gathered():
        client.say(message, mid, again=again)
        ours = written(client)
        client._sock = object()  # type: ignore[assignment]
        client._send_publish(mid, topic.encode(), message.payload, message.qos, retain, again)
        client._sock = None
        assert ours == written(client)


def test_what_was_not_acknowledged_is_said_again_on_the_next_connection(client: BulkClient) -> None:
    box, acks = outbox(client), list[str]()
    for name in ("a", "b", "c"):
        box.post(Outgoing(name, b"{}", 1, False), lambda name=name: acks.append(name), up=True)
    box.send(client, ours=True)
    first = written(client)
    client._bulk, client._at = b"\x40\x02" + first[1][5:7], 0
    assert client._take_puback()
    assert acks == ["b"]
    box.lost(silent=False)
    assert not box.is_empty()
    box.repeat(client)
    assert written(client) == [bytes([packet[0] | 8]) + packet[1:] for packet in (first[0], first[2])]


def test_what_is_said_goes_before_acknowledgements(client: BulkClient) -> None:
    client.take = lambda topic, payload, retained: True
    client._bulk, client._at = b"\x32\x06\x00\x01a\x00\x07x", 0
    assert client._take_publish()
    client.say(Outgoing("b", b"", 0, False))
    client._join()
    assert written(client) == [b"\x30\x03\x00\x01b\x40\x02\x00\x07"]


def test_what_is_said_late_is_made_when_it_is_written(client: BulkClient) -> None:
    failures: list[str] = []
    box = SendQueue(lambda what, error: failures.append(f"{what}: {error}"), lambda what, call: call())
    wanted = ["first"]

    def fails() -> Outgoing:
        raise ValueError("its maker's own mistake")

    box.post_late(lambda: Outgoing(wanted[0], b"", 0, False))
    box.post_late(lambda: None)
    box.post_late(fails)
    box.post_late(lambda: Outgoing("no/+", b"", 0, False))
    box.post(Outgoing("last", b"", 0, False), None, up=True)
    wanted[0] = "changed"
    box.send(client, ours=True)
    assert [packet[4:] for packet in written(client)] == [b"changed", b"last"]
    assert box.is_empty()
    assert failures == ["publishing: its maker's own mistake", "publishing: 'no/+' is no topic to publish on"]


def test_an_acknowledgement_that_is_not_here_whole_is_left_for_the_next_read(client: BulkClient) -> None:
    outbox(client)
    for piece in (b"\x40", b"\x40\x02", b"\x40\x02\x00"):
        client._bulk, client._at = piece, 0
        assert not client._take_puback()
        assert client._at == 0


def test_an_acknowledgement_of_nothing_of_ours_is_no_mistake(client: BulkClient) -> None:
    box = outbox(client)
    client._bulk, client._at = b"\x40\x02\x12\x34", 0
    assert client._take_puback()
    assert box.is_empty()


def test_an_id_that_still_waits_for_its_acknowledgement_is_not_given_twice(client: BulkClient) -> None:
    client._last_mid = 65_534
    assert [client.free_id({65_535, 1, 2}) for _ in range(2)] == [3, 4]
