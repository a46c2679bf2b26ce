"""Short visits to a broker: what a topic retains, and a persistent session made for somebody who comes later."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.bulk_client import BulkClient, credentials, make_client
from swarm_tui.bus.port import BusError
from swarm_tui.bus.probe import pump
from swarm_tui.bus.reasons import explain, no_connack, refusal
from swarm_tui.bus.subscriptions import FILTERS
from swarm_tui.config.model import Broker


def retained(broker: Broker, topic: str, timeout: float = 5.0) -> bytes:
    """Return what `topic` retains, empty when nothing. Raises BusError."""
    heard: list[bytes] = []

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        if message.retain:
            heard.append(bytes(message.payload))

    with _visit(broker, f"look-{os.urandom(4).hex()}", timeout, clean=True, on_message=on_message) as (client, end):
        _listen(client, [topic], end)
        # What is retained comes before the answer to the next request.
        _listen(client, [f"{topic}/-"], end)
    return heard[-1] if heard else b""


def keep_session(
    broker: Broker, client_id: str, patterns: Sequence[str], *, again: Callable[[str], bool], timeout: float = 5.0
) -> None:
    """Make the persistent session of `client_id`, listening to `patterns`, and leave it to its owner. Raises BusError.

    Nothing that the broker keeps in it is lost: what comes meanwhile is not acknowledged; what comes at QoS 0, which
    needs no acknowledgement, is published again at QoS 1 where `again(topic)` says so.
    """
    saying: set[int] = set()

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        if message.qos == 0 and not message.retain and again(message.topic):
            saying.add(client.publish(message.topic, message.payload, 1).mid)

    def on_publish(client: Any, userdata: Any, mid: int, *more: Any) -> None:
        saying.discard(mid)

    with _visit(broker, client_id, timeout, clean=False, on_message=on_message) as (client, end):
        client.on_publish = on_publish
        _listen(client, patterns, end)
        _await(client, end, lambda: not saying)


@contextmanager
def _visit(
    broker: Broker, client_id: str, timeout: float, *, clean: bool, on_message: Callable[..., None]
) -> Iterator[tuple[BulkClient, float]]:
    """Yield a connected client, which acknowledges nothing by itself, and the monotonic time of the visit's end."""
    end = time.monotonic() + timeout
    at = parse_url(broker.url)
    client = make_client(broker, at, client_id, clean=clean, keepalive=15, connect_timeout=timeout)
    client.manual_ack_set(True)
    client.on_message = on_message
    codes: list[Any] = []
    client.on_connect = lambda client, userdata, flags, code, properties: codes.append(code)
    try:
        client.reconnect()
        pump(client, end, lambda: bool(codes))
        if not codes:
            raise BusError(no_connack(at, client.socket() is not None, client.broke)[1])
        if codes[0].is_failure:
            raise BusError(refusal(codes[0].value, at, credentials(broker, at)[0])[1])
        yield client, end
        client.disconnect()
        client.loop_write()
    except (OSError, ValueError) as error:
        raise BusError(explain(error, at)[1]) from error
    finally:
        client._sock_close()


def _listen(client: BulkClient, patterns: Sequence[str], end: float) -> None:
    waiting: set[int | None] = set()
    client.on_subscribe = lambda client, userdata, mid, codes, properties: waiting.discard(mid)
    for first in range(0, len(patterns), FILTERS):
        waiting.add(client.subscribe([(pattern, 1) for pattern in patterns[first : first + FILTERS]])[1])
    _await(client, end, lambda: not waiting)


def _await(client: BulkClient, end: float, done: Callable[[], bool]) -> None:
    if not pump(client, end, done):
        raise BusError("the broker did not answer in time: check that it is not overloaded")


def clear_retained(
    broker: Broker, patterns: Sequence[str], *, keep: Callable[[str], bool] = lambda topic: False, timeout: float = 5.0
) -> list[str]:
    """Empty what is retained on the topics that match, but for those to `keep`; which they were. Raises BusError.

    `keep` is asked when all of them have been heard.
    """
    found: set[str] = set()
    saying: set[int] = set()

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        if message.retain and message.payload:
            found.add(message.topic)

    with _visit(broker, f"clear-{os.urandom(4).hex()}", timeout, clean=True, on_message=on_message) as (client, end):
        client.on_publish = lambda client, userdata, mid, *more: saying.discard(mid)
        _listen(client, patterns, end)
        # What is retained comes before the answer to the next request.
        _listen(client, [f"-/{os.urandom(4).hex()}"], end)
        cleared = sorted(topic for topic in found if not keep(topic))
        saying.update(client.publish(topic, b"", 1, retain=True).mid for topic in cleared)
        _await(client, end, lambda: not saying)
    return cleared
