"""Connections that end, or take no more, in the middle of a write."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from paho.mqtt.client import Client

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Link
from swarm_tui.bus.send_queue import ACK_LINGER, IN_VAIN, LINGER, SendQueue
from swarm_tui.config.model import Broker
from swarm_tui.protocol.envelope import Outgoing
from tests.unit.bus.grounds import Listener
from tests.wait import until


def _connack(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"\x20\x02\x00\x00")


@pytest.fixture
def client() -> Iterator[BulkClient]:
    """One that is connected, with something to read."""
    url = "mqtt://127.0.0.1:1"
    client = make_client(Broker(url=url, protocol="3.1.1"), parse_url(url), "tester", clean=True, keepalive=15)
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        there.send(b"\x32\x40")
        client._sock = here
        yield client
        client._sock = None


def _outbox() -> SendQueue:
    return SendQueue(lambda what, error: None, lambda what, call: call())


def test_a_connection_lost_while_the_filters_are_sent_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, sends, links = Listener(_connack), [0], list[Link]()
    whole = Client._sock_send

    def send(self: Any, buf: Any) -> int:
        sends[0] += 1
        if sends[0] == 2:
            self._sock.shutdown(socket.SHUT_RDWR)
        return whole(self, buf)

    monkeypatch.setattr(Client, "_sock_send", send)
    bus = MqttBus(Broker(url=f"mqtt://127.0.0.1:{listener.port}", protocol="3.1.1"), "tester")
    bus.subscribe("a/#")
    bus.start(lambda topic, payload, retained: None, links.append)
    until(lambda: len(links) >= 3)
    assert [link.up for link in links[:3]] == [True, False, True]
    bus.close(0.1)
    listener.close()


def test_a_frame_that_a_websocket_took_in_part_is_not_forgotten(
    client: BulkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = [0, 5]
    monkeypatch.setattr(Client, "_sock_send", lambda self, buf: takes.pop(0))
    with client.gathered():
        client._packet_queue(0x40, b"\x40\x02\x00\x01x", 1, 1)
    assert not client.written()
    assert client.unwritten() == 1
    assert client.written()


def test_after_a_failed_write_nothing_more_is_read(client: BulkClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Client, buf: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(Client, "_sock_send", fail)
    with client.gathered():
        client._packet_queue(0x40, b"\x40\x02\x00\x01", 1, 1)
        assert not client.written()
        assert client.loop_read() > 0
    assert client.socket() is None


def test_what_lingered_as_the_link_was_lost_hurries_nobody(client: BulkClient) -> None:
    outbox = _outbox()
    outbox.post(Outgoing("a", b"", 1, False), None, up=True)
    assert outbox.may_linger(client)
    outbox.lost(silent=False)
    assert outbox.write_by is None


def test_acknowledgements_for_which_the_broker_waits_do_not_wait_long(
    client: BulkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("swarm_tui.bus.send_queue.time.monotonic", lambda: now)
    outbox, waits = _outbox(), []
    for _ in range(6):
        client._said.append(b"\x40\x02\x00\x01")
        assert outbox.may_linger(client)
        waits.append(round((outbox.write_by or 0.0) - now, 3))
        outbox.settle()
        client._said.clear()
    assert waits == [ACK_LINGER] * IN_VAIN + [LINGER] * (6 - IN_VAIN)
    outbox.post(Outgoing("a", b"", 1, False), None, up=True)
    outbox.settle()
    outbox.send(client, ours=True)
    assert outbox.may_linger(client)
    assert round((outbox.write_by or 0.0) - now, 3) == ACK_LINGER


def test_messages_that_nobody_acknowledges_are_no_progress(client: BulkClient) -> None:
    outbox = _outbox()
    outbox.post(Outgoing("poison", b"", 1, False), None, up=True)
    outbox.send(client, ours=True)
    for _ in range(5):
        outbox.acked(999)
        outbox.lost(silent=False)
    assert outbox.dropped == 1


def test_what_the_broker_did_not_acknowledge_is_said_again_as_a_duplicate() -> None:
    got: list[bytes] = []

    def once(connection: socket.socket) -> None:
        _connack(connection)
        connection.settimeout(5)
        got.append(connection.recv(1000))
        connection.shutdown(socket.SHUT_RDWR)

    listener = Listener(once)
    bus = MqttBus(Broker(url=f"mqtt://127.0.0.1:{listener.port}", protocol="3.1.1"), "tester")
    bus.publish(Outgoing("a", b"{}"))
    bus.start(lambda topic, payload, retained: None, lambda link: None)
    until(lambda: len(got) >= 2)
    assert got[:2] == [b"\x32\x07\x00\x01a\x00\x01{}", b"\x3a\x07\x00\x01a\x00\x01{}"]
    bus.close(0.1)
    listener.close()
