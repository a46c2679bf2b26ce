"""The dispatcher's hearing: its filters, the end of what the broker had kept for it, and who leads."""

import time
import uuid
from collections.abc import Callable, Iterable

from swarm_tui.agent.roles.task_manager.dialect_bridge import DialectBridge
from swarm_tui.bus.port import Bus, Link
from swarm_tui.config.model import RunSpec
from swarm_tui.domain.dispatch.leadership import MOST_EPOCH
from swarm_tui.protocol.bodies import Dispatcher, Inbox
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind, topic

#: Messages of our own that are remembered until the broker brings them back; some may be lost on the way.
ECHOES = 1000


class Subscription:
    """A connection's messages, decoded, into `put`; which it may call from the bus's thread."""

    def __init__(
        self, spec: RunSpec, writer: Writer, foreign: DialectBridge, put: Callable[[Event | Rejected | Link], None]
    ) -> None:
        self.marked = False
        """Our own message has come back: all that the broker had kept for us was heard before it."""
        self.retained: Dispatcher | None = None
        self.highest = 0
        """The newest epoch heard of, whoever led it and whether the topic still tells of it."""
        self._spec = spec
        self._writer = writer
        self._foreign = foreign
        self._put = put
        self._marker = ""
        self._echoes: dict[bytes, None] = {}
        self._assigned = topic(spec.swarm, Kind.TASK_ASSIGNED)

    def open(self, bus: Bus, patterns: Iterable[str]) -> None:
        """Connect, and listen to the patterns and to what is said to ourselves."""
        for pattern in patterns:
            bus.subscribe(pattern)
        bus.subscribe(topic(self._spec.swarm, Kind.INBOX, self._spec.agent_id))
        self._marker, self.marked = uuid.uuid4().hex, False
        bus.start(self._on_message, self._put)

    def said(self, message: Outgoing) -> None:
        """We said this. What says only what we decided need not be read when the broker brings it back."""
        if message.topic == self._assigned:
            if len(self._echoes) >= ECHOES:
                self._echoes.clear()
            self._echoes[message.payload] = None

    def _on_message(self, full: str, payload: bytes, retained: bool) -> None:
        if full == self._assigned and payload in self._echoes:
            self._echoes.pop(payload, None)
            return
        if self._foreign.hears(full):
            event = self._foreign.decode(full, payload, retained, time.time())
        else:
            event = decode(self._spec.swarm, full, payload, retained, time.time())
        # Others count what is refused in the swarm itself; only we understand what foreign agents say.
        if isinstance(event, Event) or (event is not None and self._foreign.hears(full)):
            self._put(event)

    def mark(self, bus: Bus) -> None:
        """Say something to ourselves: when it comes, all that was to be heard before it was."""
        # Another each time: an earlier one may come yet.
        self._marker, self.marked = uuid.uuid4().hex, False
        self.mark_again(bus)

    def mark_again(self, bus: Bus) -> None:
        """The same once more: the first may be lost, where a broker takes it before our filters."""
        ping = Inbox(command="ping", reason=self._marker, dispatcher=self._spec.agent_id)
        bus.publish(self._writer.message(Kind.INBOX, ping, self._spec.agent_id))

    def note(self, item: object, bus: Bus) -> None:
        """Follow the link, the marker, and who the retained `dispatcher` names."""
        if isinstance(item, Link):
            if item.up and item.kind == "":
                self.mark(bus)
        elif isinstance(item, Event):
            if item.kind is Kind.INBOX and isinstance(item.body, Inbox):
                self.marked = self.marked or item.body.reason == self._marker
            elif item.kind is Kind.DISPATCHER:
                self.retained = item.body if isinstance(item.body, Dispatcher) else None
                if self.retained is not None and self.retained.epoch < MOST_EPOCH:
                    self.highest = max(self.highest, self.retained.epoch)
