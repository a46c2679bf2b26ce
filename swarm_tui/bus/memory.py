"""A broker and its buses in memory: deterministic, without threads, for tests and whole simulated swarms.

A test that wants things to happen at once makes `MemoryBroker()`: each publish is delivered before it returns (a
callback that publishes is answered after the callback, in order). A simulation makes
`MemoryBroker(step=True, faults=Faults(...), rng=random.Random(seed))` and moves it by hand:

    broker.step()             deliver one packet; False when nothing travels
    broker.run()              step until nothing travels
    broker.pending()          how many packets travel
    bus.drop()                this client's connection is lost: the broker says its will, `on_link` hears it is down
    bus.restore()             it is connected again: retained messages, and what its session kept, follow
    broker.stop(), .start()   every connection is lost, and may come back; start(lose_sessions=, lose_retained=)
    broker.lose_session(id)   what a persistent session held is forgotten

What it keeps of MQTT: order for each sender and receiver (unless `reorder`), retained messages, wills, persistent
sessions, QoS 1 redelivery until the receiver's callback has returned, eviction of a client whose id comes again.
QoS 1 from a client to the broker is never lost, only repeated; to a clean session it is lost with its connection or by
`faults.loss`, to a persistent session it is delivered again.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from swarm_tui.bus.memory_broker import Faults, MemoryBroker, Session
from swarm_tui.bus.port import Link, MakeLate, OnAck, OnLink, OnMessage, OnTurn, unsendable
from swarm_tui.protocol.envelope import Outgoing

__all__ = ["Faults", "MemoryBroker", "MemoryBus"]


class MemoryBus:
    """A client of a MemoryBroker; see `bus.port.Bus`. `connection` counts its connections."""

    def __init__(self, broker: MemoryBroker, client_id: str, *, clean: bool = True) -> None:
        self.broker = broker
        self.client_id = client_id
        self.clean = clean
        self.will: Outgoing | None = None
        self.connection = 0
        self.failures = 0
        self.last_failure = ""
        self.dropped = 0
        self.received = 0
        self._session: Session | None = None
        self._patterns: dict[str, int] = {}
        self._waiting: deque[tuple[Outgoing, OnAck | None]] = deque()
        self._on_message: OnMessage = lambda topic, payload, retained: None
        self._on_link: OnLink = lambda link: None
        self._closed = False

    def start(self, on_message: OnMessage, on_link: OnLink) -> None:
        """Connect at once, when the broker runs."""
        self._on_message, self._on_link = on_message, on_link
        self.restore()

    def subscribe(self, pattern: str, qos: int = 1, *, own: bool = True) -> None:
        """Listen to a filter, now and after each reconnect."""
        self._patterns[pattern] = qos
        if self._session is not None:
            self.broker.subscribe(self._session, self.connection, pattern, qos)

    def unsubscribe(self, pattern: str) -> None:
        """Listen to that filter no more."""
        self._patterns.pop(pattern, None)
        if self._session is not None:
            self.broker.unsubscribe(self._session, pattern)

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Send, or keep in memory while the link is down (QoS 0 is dropped then)."""
        if self._closed or (message.qos == 0 and self._session is None):
            self.dropped += 1
        elif reason := unsendable(message):
            self.dropped += 1
            self.failures += 1
            self.last_failure = reason
        elif self._session is None:
            self._waiting.append((message, on_ack))
        else:
            self._send(message, on_ack)

    def publish_late(self, make: MakeLate) -> None:
        """Send what `make` gives."""
        if (message := make()) is not None:
            self.publish(message)

    def publish_all(self, messages: Sequence[tuple[Outgoing, OnAck | None]]) -> None:
        """Publish them in order."""
        for message, on_ack in messages:
            self.publish(message, on_ack)

    def on_turn(self, call: OnTurn | None) -> bool:
        """Return False: there is no thread whose turns one could share."""
        return False

    def set_will(self, will: Outgoing) -> None:
        """Set the broker's word for when we vanish; from the next connect on."""
        self.will = will

    def is_up(self) -> bool:
        """Return whether we are connected."""
        return self._session is not None

    def close(self, wait: float = 2.0) -> None:
        """Disconnect in order: no will is said."""
        if self._session is not None:
            session, self._session = self._session, None
            session.will = None
            self.broker.detach(session, self.connection, say_will=False)
        self._closed = True

    # What a test does to it.

    def drop(self, reason: str = "the connection was cut") -> None:
        """Lose the connection: the broker says the will, `on_link` hears that it is down."""
        self.lost(reason, say_will=True)

    def restore(self) -> bool:
        """Connect again; False while the broker does not run."""
        if self._closed or self._session is not None:
            return self._session is not None
        if not self.broker.running:
            self._guard(self._on_link, Link(False, "nothing listens: the broker does not run", kind="refused"))
            return False
        self.connection += 1
        session, resumed = self.broker.attach(self)
        self._session = session
        for pattern, qos in self._patterns.items():
            self.broker.subscribe(session, self.connection, pattern, qos)
        self._guard(self._on_link, Link(True, resumed=resumed))
        self.broker.resume(session, self.connection)
        while self._waiting and self._session is not None:
            self._send(*self._waiting.popleft())
        return True

    def _send(self, message: Outgoing, on_ack: OnAck | None) -> None:
        self.broker.take(message)
        if on_ack is not None:
            self._guard(on_ack)

    def lost(self, reason: str, *, say_will: bool) -> None:
        """Hear from the broker that the connection is lost; with `say_will` it says our will."""
        if self._session is None:
            return
        session, self._session = self._session, None
        connection, self.connection = self.connection, self.connection + 1
        self.broker.detach(session, connection, say_will)
        self._guard(self._on_link, Link(False, reason, kind="closed"))

    def receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """Hand a message of the broker's to whoever listens."""
        self.received += 1
        self._guard(self._on_message, topic, payload, retained)

    def _guard(self, call: Any, *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - as on the real bus, no callback can end it
            self.failures += 1
            self.last_failure = f"{type(error).__name__}: {error}"
