"""A blocking try of a broker: can it be used, and if not, why and what to do next."""

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.bulk_client import BulkClient, credentials, make_client, unique_client_id
from swarm_tui.bus.port import BusError
from swarm_tui.bus.reasons import URL, Reason, explain, no_connack, refusal
from swarm_tui.config.model import Broker
from swarm_tui.protocol.client_ids import Client


class BrokerProbe(Struct, frozen=True):
    """Findings of one try; `reason` is a sentence and `kind` a word of `bus.reasons` when `ok` is False."""

    ok: bool
    reason: str = ""
    kind: str = ""
    seconds: float = 0.0
    """Seconds that the broker took to accept us."""


def probe(broker: Broker, timeout: float = 5.0, hold: Callable[[socket.socket], None] | None = None) -> BrokerProbe:
    """Connect once, hear the broker's answer, disconnect. Never raises.

    `hold` gets the socket before anything is said over it, for who wants to end what a peer that drips draws out.
    """
    began = time.monotonic()
    try:
        at = parse_url(broker.url)
        name = unique_client_id(Client.PROBE)
        client = make_client(broker, at, name, clean=True, keepalive=15, connect_timeout=max(0.1, timeout))
    except BusError as error:
        return BrokerProbe(False, str(error), URL)
    verdict: list[Reason | None] = []

    def connected(client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        verdict.append(refusal(code.value, at, credentials(broker, at)[0]) if code.is_failure else None)

    client.on_connect = connected
    if hold is not None:
        connect: Callable[[], socket.socket] = client._create_socket_connection
        setattr(client, "_create_socket_connection", lambda: _held(connect(), hold))  # noqa: B010 - a method of paho's
    try:
        client.reconnect()
        pump(client, began + timeout, lambda: bool(verdict))
        silent = client.socket() is not None
        client.disconnect()
        client.loop_write()
    except BusError as error:
        return BrokerProbe(False, str(error), URL)
    except (OSError, ValueError) as error:
        kind, reason = explain(error, at)
        return BrokerProbe(False, reason, kind)
    finally:
        client._sock_close()
    if not verdict:
        kind, reason = no_connack(at, silent, client.spoke, client.broke)
        return BrokerProbe(False, reason, kind)
    if verdict[0] is not None:
        kind, reason = verdict[0]
        return BrokerProbe(False, reason, kind)
    return BrokerProbe(True, seconds=time.monotonic() - began)


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
