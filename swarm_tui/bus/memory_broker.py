"""The broker's side of the bus in memory; `bus.memory` tells how to use it."""

import random
import threading
from collections import deque
from functools import lru_cache
from typing import Any, Protocol

from msgspec import Struct

from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.topics import matches

_matches = lru_cache(maxsize=10_000)(matches)


class Faults(Struct, frozen=True, kw_only=True):
    """Probabilities, 0 to 1, for each delivery of a message to a subscriber."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


class BrokerClient(Protocol):
    """A client as the broker knows it; `connection` counts its connections."""

    client_id: str
    clean: bool
    will: Outgoing | None
    connection: int

    def lost(self, reason: str, *, say_will: bool) -> None:
        """Hear that the connection is lost, and why."""
        ...

    def receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take a message."""
        ...


class Session:
    """The broker's knowledge of one client id."""

    def __init__(self, client_id: str, clean: bool) -> None:
        self.client_id = client_id
        self.clean = clean
        self.filters: dict[str, int] = {}
        self.bus: BrokerClient | None = None
        self.will: Outgoing | None = None
        self.kept: deque[tuple[str, bytes, int]] = deque()
        """QoS 1 messages that wait for the client of a persistent session."""


class _Packet(Struct, frozen=True):
    """A message on its way to one client; it dies with the connection it was sent on."""

    session: Any
    connection: int
    topic: str
    payload: bytes
    qos: int
    retained: bool


class MemoryBroker:
    """The broker; `bus.memory` tells how to move it."""

    def __init__(self, *, step: bool = False, faults: Faults | None = None, rng: random.Random | None = None) -> None:
        self.retained: dict[str, Outgoing] = {}
        self.published: list[Outgoing] = []
        """Every message the broker took, in order."""
        self.running = True
        self.faults = faults or Faults()
        self._rng = rng or random.Random(0)
        self._manual = step
        self._sessions: dict[str, Session] = {}
        self._travelling: deque[_Packet] = deque()
        self._lock = threading.RLock()
        self._draining = False

    # Moving it by hand.

    def pending(self) -> int:
        """Return the number of packets that travel."""
        return len(self._travelling)

    def step(self) -> bool:
        """Deliver one packet; False when nothing travels."""
        with self._lock:
            if not self._travelling:
                return False
            packet = self._travelling.popleft()
        self._deliver(packet)
        return True

    def run(self, limit: int = 1_000_000) -> int:
        """Step until nothing travels, or `limit` packets; how many were delivered."""
        count = 0
        while count < limit and self.step():
            count += 1
        return count

    def stop(self) -> None:
        """End the broker: every connection is lost, no will is said."""
        self.running = False
        for session in list(self._sessions.values()):
            if session.bus is not None:
                session.bus.lost("the broker stopped", say_will=False)

    def start(self, *, lose_sessions: bool = False, lose_retained: bool = False) -> None:
        """Bring the broker back; its clients come when they `restore`."""
        self.running = True
        if lose_sessions:
            self._sessions.clear()
        if lose_retained:
            self.retained.clear()

    def lose_session(self, client_id: str) -> None:
        """Forget what a persistent session subscribed to and held."""
        session = self._sessions.get(client_id)
        if session is not None:
            session.filters.clear()
            session.kept.clear()

    # What buses call.

    def attach(self, bus: BrokerClient) -> tuple[Session, bool]:
        """Connect `bus`, evicting an older one of its id; return its session, and whether that was there."""
        with self._lock:
            old = self._sessions.get(bus.client_id)
            evicted = old.bus if old is not None else None
        if evicted is not None and evicted is not bus:
            evicted.lost("another client has our id", say_will=True)
        with self._lock:
            resumed = old is not None and not bus.clean and not old.clean
            session = old if resumed and old is not None else Session(bus.client_id, bus.clean)
            session.bus, session.will = bus, bus.will
            self._sessions[bus.client_id] = session
        return session, resumed

    def resume(self, session: Session, connection: int) -> None:
        """Send what the session kept."""
        with self._lock:
            while session.kept:
                topic, payload, qos = session.kept.popleft()
                self._travelling.append(_Packet(session, connection, topic, payload, qos, False))
        self._pump()

    def detach(self, session: Session, connection: int, say_will: bool) -> None:
        """End a connection: its packets die or are kept, its will is said."""
        with self._lock:
            session.bus = None
            for packet in [p for p in self._travelling if p.session is session and p.connection == connection]:
                self._travelling.remove(packet)
                self._keep(packet)
            if session.clean:
                session.filters.clear()
            will = session.will if say_will else None
            session.will = None
        if will is not None and self.running:
            self.take(will)

    def subscribe(self, session: Session, connection: int, pattern: str, qos: int) -> None:
        """Add a filter and send what is retained under it."""
        with self._lock:
            session.filters[pattern] = qos
            for message in list(self.retained.values()):
                if _matches(pattern, message.topic):
                    self._travelling.append(
                        _Packet(session, connection, message.topic, message.payload, min(qos, message.qos), True)
                    )
        self._pump()

    def unsubscribe(self, session: Session, pattern: str) -> None:
        """Take a filter away."""
        with self._lock:
            session.filters.pop(pattern, None)

    def take(self, message: Outgoing) -> None:
        """Take a message: retain it, and send it to whom it concerns."""
        with self._lock:
            self.published.append(message)
            if message.retain and message.payload:
                self.retained[message.topic] = message
            elif message.retain:
                self.retained.pop(message.topic, None)
            for session in self._sessions.values():
                granted = [qos for pattern, qos in session.filters.items() if _matches(pattern, message.topic)]
                if granted:
                    self._route(session, message, min(max(granted), message.qos))
        self._pump()

    def _route(self, session: Session, message: Outgoing, qos: int) -> None:
        packet = _Packet(
            session, session.bus.connection if session.bus else -1, message.topic, message.payload, qos, False
        )
        if session.bus is None:
            self._keep(packet)
            return
        reliable = qos > 0 and not session.clean
        if not reliable and self._chance(self.faults.loss):
            return
        for _ in range(2 if qos and self._chance(self.faults.duplicate) else 1):
            if self._travelling and self._chance(self.faults.reorder):
                self._travelling.insert(self._rng.randrange(len(self._travelling)), packet)
            else:
                self._travelling.append(packet)

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._rng.random() < probability

    def _keep(self, packet: _Packet) -> None:
        if packet.qos and not packet.session.clean and not packet.retained:
            packet.session.kept.append((packet.topic, packet.payload, packet.qos))

    def _deliver(self, packet: _Packet) -> None:
        bus = packet.session.bus
        if bus is None or bus.connection != packet.connection:
            return
        bus.receive(packet.topic, packet.payload, packet.retained)
        if bus.connection != packet.connection or packet.session.bus is not bus:
            # The connection went before the PUBACK: the broker does not know that it arrived.
            with self._lock:
                self._keep(packet)

    def _pump(self) -> None:
        if self._manual:
            return
        with self._lock:
            if self._draining:
                return
            self._draining = True
        while True:
            with self._lock:
                if not self._travelling:
                    self._draining = False
                    return
                packet = self._travelling.popleft()
            self._deliver(packet)
