"""Short visits to a broker: what a topic retains, and a persistent session made for somebody who comes later."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from swarm_tui.bus.broker_address import BrokerAddress, parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client, unique_client_id
from swarm_tui.bus.port import BusError
from swarm_tui.bus.probe import enter, pump
from swarm_tui.bus.reasons import explain
from swarm_tui.bus.subscriptions import asked, in_packets
from swarm_tui.config.model import Broker
from swarm_tui.protocol.client_ids import Client
from swarm_tui.protocol.envelope import Outgoing

#: Seconds without a message after which a session is taken to be empty.
_QUIET = 0.3


def retained(broker: Broker, topic: str, timeout: float = 5.0) -> bytes:
    """Return what `topic` retains, empty when nothing. Raises BusError."""
    heard: list[bytes] = []

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        if message.retain:
            heard.append(bytes(message.payload))
        # Nothing is kept for us here, and some brokers answer nothing more until they have it.
        client.ack(message.mid, message.qos)

    with _visit(broker, unique_client_id(Client.LOOK), timeout, clean=True, on_message=on_message) as (client, end):
        _listen(client, [topic], end)
        # What is retained comes before the answer to the next request.
        _listen(client, [f"{topic}/-"], end)
    return heard[-1] if heard else b""


def comes(
    broker: Broker,
    patterns: Sequence[str],
    is_it: Callable[[str, bytes], bool],
    *,
    question: Outgoing | None = None,
    timeout: float = 5.0,
) -> bool:
    """Return whether a message for which `is_it(topic, payload)` comes within `timeout` s; what is retained is none.

    `question` is said first. Raises BusError.
    """
    came: list[str] = []

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        if not message.retain and is_it(message.topic, bytes(message.payload)):
            came.append(message.topic)

    with _visit(broker, unique_client_id(Client.LOOK), timeout, clean=True, on_message=on_message) as (client, end):
        _listen(client, patterns, end)
        if question is not None:
            client.publish(question.topic, question.payload, question.qos)
        return pump(client, end, lambda: bool(came))


def keep_session(
    broker: Broker, client_id: str, patterns: Sequence[str], *, again: Callable[[str], bool], timeout: float = 5.0
) -> None:
    """Make the persistent session of `client_id`, listening to `patterns`, and leave it to its owner. Raises BusError.

    Nothing that the broker keeps in it is lost: what comes meanwhile is not acknowledged; what comes at QoS 0, which
    needs no acknowledgement, is published again at QoS 1 where `again(topic)` says so.
    """
    saying: set[int] = set()

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        if message.retain:
            # It stays where it is; some brokers answer nothing more until they know that it came.
            client.ack(message.mid, message.qos)
        elif message.qos == 0 and again(message.topic):
            saying.add(client.publish(message.topic, message.payload, 1).mid)

    def on_publish(client: Any, userdata: Any, mid: int, *more: Any) -> None:
        saying.discard(mid)

    with _visit(broker, client_id, timeout, clean=False, on_message=on_message) as (client, end):
        client.on_publish = on_publish
        _listen(client, patterns, end)
        _await(client, end, lambda: not saying)


def empty_session(
    broker: Broker, client_id: str, patterns: Sequence[str], *, again: Callable[[str], bool], timeout: float = 5.0
) -> int:
    """End the persistent session of `client_id`, if the broker has it: how many of its messages were published again.

    `patterns` are what it listens to; what it holds and `again(topic)` names is published anew, so that whoever listens
    by now has it, and nothing is dropped before. Raises BusError.
    """
    said: set[int] = set()
    early: list[Any] = []
    heard = [time.monotonic()]
    moved, listening = 0, True

    def on_message(client: Any, userdata: Any, message: Any) -> None:
        heard[0] = time.monotonic()
        # As long as it listens, it would get its own copies.
        if listening:
            early.append(message)
        else:
            move(client, message)

    def move(client: Any, message: Any) -> None:
        nonlocal moved
        if not message.retain and again(message.topic):
            said.add(client.publish(message.topic, message.payload, 1).mid)
            moved += 1
        # On one connection the broker reads the copy before it reads that the original may go.
        client.ack(message.mid, message.qos)

    with _visit(broker, client_id, timeout, clean=False, on_message=on_message) as (client, end):
        client.on_publish = lambda client, userdata, mid, *more: said.discard(mid)
        client.on_unsubscribe = lambda client, userdata, mid, *more: left.discard(mid)
        left: set[int | None] = set()
        for some in in_packets(patterns):
            left.add(client.unsubscribe(some)[1])
        _await(client, end, lambda: not left)
        listening = False
        for message in early:
            move(client, message)
        _await(client, end, lambda: not said and time.monotonic() - heard[0] > _QUIET)
    with _visit(broker, client_id, timeout, clean=True, on_message=on_message):
        pass
    return moved


@contextmanager
def _visit(
    broker: Broker, client_id: str, timeout: float, *, clean: bool, on_message: Callable[..., None]
) -> Iterator[tuple[BulkClient, float]]:
    """Yield a connected client, which acknowledges nothing by itself, and the monotonic time of the visit's end."""
    end = time.monotonic() + timeout
    at = parse_url(broker.url)
    client = _client(broker, at, client_id, timeout, clean=clean, on_message=on_message)
    try:
        refused, other = enter(client, broker, at, end)
        if other:
            client._sock_close()
            client = _client(broker, at, client_id, timeout, clean=clean, on_message=on_message)
            refused, _ = enter(client, broker, at, end)
        if refused is not None:
            raise BusError(refused[1])
        yield client, end
        client.disconnect()
        client.loop_write()
    except (OSError, ValueError) as error:
        raise BusError(explain(error, at)[1]) from error
    finally:
        client._sock_close()


def _client(
    broker: Broker, at: BrokerAddress, client_id: str, timeout: float, *, clean: bool, on_message: Callable[..., None]
) -> BulkClient:
    client = make_client(broker, at, client_id, clean=clean, keepalive=15, connect_timeout=timeout)
    client.manual_ack_set(True)
    client.on_message = on_message
    return client


def _listen(client: BulkClient, patterns: Sequence[str], end: float) -> None:
    waiting: set[int | None] = set()
    client.on_subscribe = lambda client, userdata, mid, codes, properties: waiting.discard(mid)
    for some in in_packets(patterns):
        waiting.add(client.subscribe(asked(client, [(pattern, 1, True) for pattern in some]))[1])
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

    with _visit(broker, unique_client_id(Client.CLEAR), timeout, clean=True, on_message=on_message) as (client, end):
        client.on_publish = lambda client, userdata, mid, *more: saying.discard(mid)
        _listen(client, patterns, end)
        # What is retained comes before the answer to the next request.
        _listen(client, [f"-/{os.urandom(4).hex()}"], end)
        cleared = sorted(topic for topic in found if not keep(topic))
        saying.update(client.publish(topic, b"", 1, retain=True).mid for topic in cleared)
        _await(client, end, lambda: not saying)
    return cleared
