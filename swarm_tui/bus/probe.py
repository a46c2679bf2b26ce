"""A blocking try of a broker: can it be used, and if not, why and what to do next."""

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from swarm_tui.bus.broker_address import BrokerAddress, credentials, parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client, unique_client_id
from swarm_tui.bus.port import BusError
from swarm_tui.bus.reasons import URL, BrokerWords, Reason, explain, no_connack
from swarm_tui.bus.versions import FIVE, accepted, falls_back
from swarm_tui.config.model import Broker
from swarm_tui.protocol.client_ids import Client


class BrokerProbe(Struct, frozen=True):
    """Findings of one try; `reason` is a sentence and `kind` a word of `bus.reasons` when `ok` is False."""

    ok: bool
    reason: str = ""
    kind: str = ""
    seconds: float = 0.0
    """Seconds that the broker took to accept us."""
    version: str = ""
    """The version of MQTT in which it does."""


def probe(broker: Broker, timeout: float = 5.0, hold: Callable[[socket.socket], None] | None = None) -> BrokerProbe:
    """Connect once, hear the broker's answer, disconnect. Never raises.

    `hold` gets the socket before anything is said over it, for who wants to end what a peer that drips draws out.
    """
    began = time.monotonic()
    found, other = _probe(broker, timeout, hold, began)
    if other and time.monotonic() < began + timeout:
        found, _ = _probe(broker, timeout, hold, began)
    return found


def _probe(
    broker: Broker, timeout: float, hold: Callable[[socket.socket], None] | None, began: float
) -> tuple[BrokerProbe, bool]:
    """Try the broker in one version of MQTT; also whether the other one is worth a try."""
    try:
        at = parse_url(broker.url)
        name = unique_client_id(Client.PROBE)
        client = make_client(broker, at, name, clean=True, keepalive=15, connect_timeout=max(0.1, timeout))
    except BusError as error:
        return BrokerProbe(False, str(error), URL), False
    if hold is not None:
        connect: Callable[[], socket.socket] = client._create_socket_connection
        setattr(client, "_create_socket_connection", lambda: _held(connect(), hold))  # noqa: B010 - a method of paho's
    try:
        refused, other = enter(client, broker, at, began + timeout)
        client.disconnect()
        client.loop_write()
    except BusError as error:
        return BrokerProbe(False, str(error), URL), False
    except (OSError, ValueError) as error:
        kind, reason = explain(error, at)
        return BrokerProbe(False, reason, kind), False
    finally:
        client._sock_close()
    if refused is not None:
        kind, reason = refused
        return BrokerProbe(False, reason, kind), other
    version = "5" if client.version == FIVE else "3.1.1"
    return BrokerProbe(True, seconds=time.monotonic() - began, version=version), False


def enter(client: BulkClient, broker: Broker, at: BrokerAddress, end: float) -> tuple[Reason | None, bool]:
    """Connect, and hear by the monotonic time `end` why the broker does not accept us, None when it does.

    Also whether to try in the other version of MQTT. Raises BusError, OSError, ValueError.
    """
    words, answers = BrokerWords(), list[Reason | None]()

    def connected(client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        user, five = credentials(broker, at)[0], client.version == FIVE
        answers.append(words.connack(code, properties, at, user, five=five))

    client.on_connect = connected
    client.reconnect()
    pump(client, end, lambda: bool(answers))
    reason = answers[0] if answers else no_connack(at, client.socket() is not None, client.spoke, client.broke)
    if reason is None:
        accepted(at, client.version)
    no = words.answered is False
    other = not words.answered and falls_back(broker, at, client.version, unsupported=no)
    return reason, other


def _held(made: socket.socket, hold: Callable[[socket.socket], None]) -> socket.socket:
    try:
        hold(made)
    except OSError:
        made.close()
        raise
    return made


def pump(client: BulkClient, until: float, done: Any) -> bool:
    """Carry `client`'s traffic on this thread until `done()` or the monotonic time `until`; False when it was lost."""
    while not done():
        sock = client.socket()
        left = until - time.monotonic()
        if sock is None or left <= 0:
            return False
        readable, _, _ = select.select([sock], [sock] if client.want_write() else [], [], min(left, 0.2))
        if readable and client.loop_read():
            return bool(done())
        if client.want_write():
            client.loop_write()
    return True
