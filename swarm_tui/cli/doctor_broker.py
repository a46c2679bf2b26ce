"""The broker's features, each one tried on topics of our own that are cleared again."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from swarm_tui.bus.broker_address import keeps_aws_limits, parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client
from swarm_tui.bus.port import BusError
from swarm_tui.bus.probe import probe, pump
from swarm_tui.cli.doctor_findings import Finding, bad, ok, warn
from swarm_tui.config.model import Broker
from swarm_tui.config.urls import is_loopback
from swarm_tui.protocol.topics import TRIALS

_LIMIT = 3.0
_LARGE = 128 * 1024 - 256
#: More than mosquitto queues for an absent client unless it is told otherwise.
_BURST = 1200
#: The same for one that takes a hundred messages a second.
_PACED_BURST = 60
#: Characters of the longest client id that we use.
_LONGEST_ID = 64
#: A broker says what it kept within so many seconds.
_KEPT_WITHIN = 2.0
#: On one machine a ping-pong over two Nagle delays takes 80 ms, without them one or two.
_SLOW = 0.03


class _Try:
    """A blocking client; `heard` are (topic, payload, retained)."""

    def __init__(self, broker: Broker, name: str, *, clean: bool = True, will: str | None = None) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.acked: set[int] = set()
        self._up = False
        self._subscribed: set[int] = set()
        self.client: BulkClient = make_client(broker, parse_url(broker.url), name, clean=clean, keepalive=15)
        self.client.on_connect = self._connected
        self.client.on_message = self._took
        self.client.on_publish = lambda client, data, mid, code, properties: self.acked.add(mid)
        self.client.on_subscribe = lambda client, data, mid, codes, properties: self._subscribed.add(mid)
        if will is not None:
            self.client.will_set(will, b"{}", 1)
        self.client.reconnect()
        self.wait(lambda: self._up)

    def _connected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        self._up = not code.is_failure

    def _took(self, client: Any, data: Any, message: Any) -> None:
        self.heard.append((message.topic, bytes(message.payload), message.retain))
        # A broker sends no more than its window until it hears that we have it.
        client.ack(message.mid, message.qos)

    def wait(self, done: Callable[[], bool], limit: float = _LIMIT) -> bool:
        """Carry traffic until `done` or the limit."""
        return pump(self.client, time.monotonic() + limit, done)

    def subscribe(self, topic: str) -> bool:
        mid = self.client.subscribe(topic, 1)[1]
        return self.wait(lambda: mid in self._subscribed)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        mid = self.client.publish(topic, payload, qos, retain).mid
        return self.wait(lambda: mid in self.acked)

    def leave(self) -> None:
        self.client.disconnect()
        self.wait(lambda: not self.client.want_write(), 0.5)
        self.drop()

    def drop(self) -> None:
        """Vanish without a word, as a killed process does."""
        self.client._sock_close()


def check_broker(broker: Broker, swarm: str) -> Iterator[Finding]:
    """A line for the broker, and one for each feature the swarm leans on."""
    tried = probe(broker, _LIMIT)
    if not tried.ok:
        yield bad("broker", tried.reason)
        return
    yield ok("broker", f"{parse_url(broker.url)} accepts us in {tried.seconds * 1000:.0f} ms, MQTT {tried.version}")
    base = f"{swarm}/{TRIALS}/{os.urandom(4).hex()}"
    for name, check in (
        ("ping-pong", _ping),
        ("retained", _retained),
        ("will", _will),
        ("large message", _large),
        ("names", _names),
        ("offline queue", _offline),
    ):
        try:
            yield check(broker, f"{base}/{check.__name__.strip('_')}", name)
        except (BusError, OSError, ValueError) as error:
            yield bad(name, f"the try broke off: {error}")


def _ping(broker: Broker, topic: str, name: str) -> Finding:
    one = _Try(broker, f"visit-doctor-{os.urandom(4).hex()}")
    try:
        if not one.subscribe(topic):
            return bad(name, f"no SUBACK for {topic}: allow the swarm's topics in the broker's ACL")
        times = []
        for number in range(5):
            began = time.monotonic()
            one.client.publish(topic, b"{}", 1)
            if not one.wait(lambda wanted=number: len(one.heard) > wanted):  # type: ignore[misc]
                return bad(
                    name, "a message to ourselves does not come back: allow the swarm's topics in the broker's ACL"
                )
            times.append(time.monotonic() - began)
        took = statistics.median(times)
        if took > _SLOW and is_loopback(broker.url):
            return warn(
                name, f"{took * 1000:.0f} ms: each step of a task waits that long (mosquitto: `set_tcp_nodelay true`)"
            )
        return ok(name, f"QoS 1 there and back in {took * 1000:.1f} ms")
    finally:
        one.leave()


def _retained(broker: Broker, topic: str, name: str) -> Finding:
    one = _Try(broker, f"visit-doctor-{os.urandom(4).hex()}")
    try:
        one.publish(topic, b'{"retained":true}', retain=True)
        one.subscribe(topic)
        exact = one.wait(lambda: any(kept for _, _, kept in one.heard), 1.0)
        one.heard.clear()
        one.subscribe(f"{topic.rpartition('/')[0]}/+")
        wild = one.wait(lambda: any(kept for _, _, kept in one.heard), 1.0)
        one.publish(topic, b"", retain=True)
        if not exact:
            return bad(
                name,
                "retained messages are not kept (mosquitto: `retain_available true`): who dies or halts is forgotten",
            )
        if not wild:
            return warn(name, "kept, but not sent for wildcards: who comes asks who is there, which takes a second")
        return ok(name, "kept, sent to newcomers, cleared")
    finally:
        one.leave()


def _will(broker: Broker, topic: str, name: str) -> Finding:
    one = _Try(broker, f"visit-doctor-{os.urandom(4).hex()}")
    try:
        one.subscribe(topic)
        _Try(broker, f"visit-doctor-{os.urandom(4).hex()}", will=topic).drop()
        if one.wait(lambda: bool(one.heard)):
            return ok(name, "a vanished client's last word is said")
        return bad(name, "a vanished client's last word is not said: agents that die are noticed late")
    finally:
        one.leave()


def _large(broker: Broker, topic: str, name: str) -> Finding:
    one = _Try(broker, f"visit-doctor-{os.urandom(4).hex()}")
    try:
        one.subscribe(topic)
        one.client.publish(topic, b'{"fill":"' + b"x" * (_LARGE - 11) + b'"}', 1)
        if one.wait(lambda: bool(one.heard)):
            return ok(name, "128 KiB pass")
        return bad(
            name,
            "a message of 128 KiB does not pass (mosquitto: `message_size_limit`; 2.0.11 by WebSocket: another way): "
            "large tasks and results never arrive",
        )
    finally:
        one.drop()


def _names(broker: Broker, topic: str, name: str) -> Finding:
    """Return whether a topic with a dot comes as it was said, and a client id of the longest kind is let in."""
    long = "visit-doctor-" + os.urandom(32).hex()[: _LONGEST_ID - 13]
    one = _Try(broker, long)
    try:
        if not one.subscribe(f"{topic}/#"):
            return bad(name, f"a client id of {_LONGEST_ID} characters is refused: use another broker")
        one.client.publish(f"{topic}/a.b", b"{}", 1)
        # Some bring retained messages that the filter does not name (amqtt) before it.
        if one.wait(lambda: any(heard == f"{topic}/a.b" for heard, _, _ in one.heard), 1.0):
            return ok(name, "a dot in a topic and long client ids pass")
        return warn(name, "a dot in a topic does not pass: name swarms, agents and hosts without one")
    finally:
        one.drop()


def _offline(broker: Broker, topic: str, name: str) -> Finding:
    """Return whether the broker holds what comes while the dispatcher is away."""
    away = f"visit-doctor-{os.urandom(4).hex()}"
    burst = _PACED_BURST if keeps_aws_limits(broker) else _BURST
    first = _Try(broker, away, clean=False)
    first.subscribe(topic)
    first.leave()
    sender = _Try(broker, f"visit-doctor-{os.urandom(4).hex()}")
    try:
        sender.publish(topic, b'{"qos":0}', qos=0)
        for _ in range(burst):
            sender.client.publish(topic, b'{"qos":1}', 1)
        sender.wait(lambda: len(sender.acked) > burst, 5.0)
    finally:
        sender.leave()
    back = _Try(broker, away, clean=False)
    try:
        back.wait(lambda: len(back.heard) >= burst, _KEPT_WITHIN)
        back.wait(lambda: len(back.heard) > burst, 0.2)
        kept = sum(payload == b'{"qos":1}' for _, payload, _ in back.heard)
        qos0 = any(payload == b'{"qos":0}' for _, payload, _ in back.heard)
    finally:
        back.drop()
        _Try(broker, away, clean=True).leave()
    if kept < burst:
        return warn(
            name,
            f"kept {kept} of {burst} for a client that was away (mosquitto: `max_queued_messages 0`): what is said "
            "while the dispatcher restarts is said again by whoever waits for an answer",
        )
    if not qos0:
        return warn(
            name,
            f"kept all {burst}, but no QoS 0 (mosquitto: `queue_qos0_messages true`): the dispatcher misses tasks that "
            "were published with QoS 0 while it restarts",
        )
    return ok(name, f"kept all {burst + 1} for a client that was away, QoS 0 too")
