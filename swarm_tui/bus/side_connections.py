"""More connections to a broker that limits the messages of each: what one may not say yet, another says.

Orders stay on the first one, ahead of all else, so that no lease ends before its offer was said. Nothing that is said
needs an order between connections.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from swarm_tui.bus.port import Link, OnAck
from swarm_tui.protocol.envelope import Outgoing

#: How many there are at most; each is made when it is needed first.
MOST = 7


class Speaker(Protocol):
    """A connection that only speaks."""

    def start(self, on_message: Callable[[str, bytes, bool], None], on_link: Callable[[Link], None]) -> None: ...
    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None: ...
    def backlog(self) -> int: ...
    def close(self, wait: float = 2.0) -> None: ...


def is_order(message: Outgoing) -> bool:
    """Return whether somebody's work waits for it: an order, a claim to lead, a sign of life."""
    return message.topic.endswith(("/inbox", "/dispatcher", "/heartbeat", "/status")) or "/_a/" in message.topic


class SideConnections:
    """`make(number)` makes one; what the broker acknowledged is told by `acked`, on the thread of who asks."""

    def __init__(self, make: Callable[[int], Speaker], wake: Callable[[], None]) -> None:
        self._make, self._wake = make, wake
        self._speakers: list[Speaker] = []
        self._acked: deque[OnAck] = deque()

    def publish(self, message: Outgoing, on_ack: OnAck | None) -> None:
        """Have it said by the one with the least to say."""
        idle = next((one for one in self._speakers if one.backlog() == 0), None)
        if idle is None and len(self._speakers) < MOST:
            idle = self._make(len(self._speakers) + 1)
            idle.start(lambda topic, payload, retained: None, lambda link: None)
            self._speakers.append(idle)
        speaker = idle or min(self._speakers, key=lambda one: one.backlog())
        speaker.publish(message, None if on_ack is None else lambda: self._note(on_ack))

    def acked(self) -> list[OnAck]:
        """Return whom to tell that the broker has their messages."""
        return [self._acked.popleft() for _ in range(len(self._acked))]

    def is_empty(self) -> bool:
        """Return whether all was said and told."""
        return not self._acked and all(one.backlog() == 0 for one in self._speakers)

    def close(self, wait: float) -> None:
        """Say what is left, and leave."""
        for one in self._speakers:
            one.close(wait)

    def _note(self, on_ack: OnAck) -> None:
        self._acked.append(on_ack)
        self._wake()
