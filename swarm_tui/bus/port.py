"""The bus as the rest of swarm-tui uses it: a real one over MQTT, and one in memory for tests."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from swarm_tui.protocol.envelope import Outgoing


class Link(Struct, frozen=True):
    """The state of the connection; `reason` is a sentence for people when it is down."""

    up: bool
    reason: str = ""
    resumed: bool = False
    """The broker kept our session over the gap."""
    kind: str = ""
    """Why it is down, as a word: `refused`, `password`, `dns`, `tls`, `not-mqtt`, `timeout`, `closed` …

    `forbidden` while it is up: the broker refuses a filter of ours, or what we say.
    """


class BusError(Exception):
    """The broker cannot be used; the text is one sentence that says why and what to do next."""


#: topic, payload, retain flag. Called on the bus's own thread: return at once, never raise.
OnMessage = Callable[[str, bytes, bool], None]
OnLink = Callable[[Link], None]
#: Called on the bus's thread when it has heard all there was; returns after how many seconds it wants to be again.
OnTurn = Callable[[], float]
#: Gives a message when it is about to be sent, on whatever thread does that; None once it need not be said any more.
MakeLate = Callable[[], Outgoing | None]
#: Called when the broker has acknowledged (QoS 1), or when a QoS 0 message has been handed over.
OnAck = Callable[[], None]


#: What some broker may take, bytes; one that takes less closes the connection or drops the message.
LARGEST = 16 * 1024 * 1024


def unsendable(message: Outgoing) -> str | None:
    """Return why no broker takes this message, None when one may: sent, it would end each connection."""
    topic = message.topic
    if not topic or not topic.isprintable() or "+" in topic or "#" in topic or len(topic) > 1000:
        return f"{topic[:100]!r} is no topic to publish on"
    if len(message.payload) > LARGEST:
        return f"{len(message.payload):,} bytes on {topic!r}: no broker takes that"
    return None


class Bus(Protocol):
    """A connection to a broker. It reconnects by itself for ever, at most 5 s apart, jittered."""

    def start(self, on_message: OnMessage, on_link: OnLink) -> None:
        """Begin to connect, and return at once."""
        ...

    def subscribe(self, pattern: str, qos: int = 1, *, own: bool = True) -> None:
        """Listen to a filter, now and after each reconnect; not `own`: where the broker can, not to what we say."""
        ...

    def unsubscribe(self, pattern: str) -> None:
        """Listen to that filter no more."""
        ...

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Send, or keep in memory while the link is down; thread-safe, never blocks."""
        ...

    def publish_late(self, make: MakeLate) -> None:
        """Send what `make` gives with the next message, or in some milliseconds when none comes."""
        ...

    def publish_all(self, messages: Sequence[tuple[Outgoing, OnAck | None]]) -> None:
        """Publish them in order, with one write."""
        ...

    def on_turn(self, call: OnTurn | None) -> bool:
        """Have `call` run on the bus's thread whenever that has something to do and the link is up.

        False when this bus has no thread of its own, and will not call it.
        """
        ...

    def set_will(self, will: Outgoing) -> None:
        """Set the broker's word for when we vanish; from the next connect on."""
        ...

    def is_up(self) -> bool:
        """Return whether the broker accepted us and we have not lost it since."""
        ...

    def close(self, wait: float = 2.0) -> None:
        """Send what is pending, for at most `wait` seconds, and disconnect in order (no will)."""
        ...
