"""Filters that a connection listens to, and which of them the broker has yet to hear of."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from paho.mqtt.subscribeoptions import SubscribeOptions

from swarm_tui.bus.bulk_client import BulkClient
from swarm_tui.bus.versions import FIVE

#: AWS IoT takes eight filters in one SUBSCRIBE.
_FILTERS = 8
T = TypeVar("T")


def in_packets(filters: Sequence[T]) -> Iterator[list[T]]:
    """Yield the filters in lists that each fit one SUBSCRIBE, or one UNSUBSCRIBE, of any broker."""
    for first in range(0, len(filters), _FILTERS):
        yield list(filters[first : first + _FILTERS])


def asked(client: BulkClient, some: Sequence[tuple[str, int, bool]]) -> Any:
    """Return filters, each with its QoS and whether to what we say too, as the client's version of MQTT has them."""
    if client.version != FIVE:
        return [(pattern, qos) for pattern, qos, _ in some]
    return [(pattern, SubscribeOptions(qos=qos, noLocal=not own)) for pattern, qos, own in some]


class Subscriptions:
    """Topic filters with the QoS asked for. `add` and `remove` are for any thread, the rest for who has the client."""

    def __init__(self) -> None:
        self._wanted: dict[str, tuple[int, bool]] = {}
        self._changed: deque[str] = deque()
        self._asked: dict[int, list[str]] = {}
        """Filters that the broker was asked for and has not answered, by packet id."""

    @property
    def pending(self) -> bool:
        """Return whether the broker must still be told of a change."""
        return bool(self._changed)

    def add(self, pattern: str, qos: int, *, own: bool = True) -> None:
        """Listen to a filter; not `own`: but not to what we say, where the broker knows how."""
        self._wanted[pattern] = qos, own
        self._changed.append(pattern)

    def remove(self, pattern: str) -> bool:
        """Listen to that filter no more; False when nobody did."""
        if self._wanted.pop(pattern, None) is None:
            return False
        self._changed.append(pattern)
        return True

    def send_changes(self, client: BulkClient) -> None:
        """Tell the broker what changed."""
        while self._changed:
            pattern = self._changed.popleft()
            wanted = self._wanted.get(pattern)
            if wanted is None:
                client.unsubscribe(pattern)
            else:
                self._ask(client, [(pattern, *wanted)])

    def send_all(self, client: BulkClient) -> None:
        """Tell the broker of a new connection all of them."""
        # Before the filters are listed: one that comes meanwhile stays changed, or is among them.
        changed = [self._changed.popleft() for _ in range(len(self._changed))]
        filters = [(pattern, *wanted) for pattern, wanted in list(self._wanted.items())]
        # A session that the broker kept still has the filters that were given up meanwhile.
        self._changed.extend(pattern for pattern in changed if pattern not in self._wanted)
        self._asked.clear()
        for some in in_packets(filters):
            self._ask(client, some)

    def refused(self, mid: int, codes: Sequence[Any]) -> list[str]:
        """Take a SUBACK in; the filters that it refuses. `codes` as paho gives them."""
        asked = self._asked.pop(mid, [])
        return [pattern for pattern, code in zip(asked, codes, strict=False) if code.is_failure]

    def _ask(self, client: BulkClient, some: list[tuple[str, int, bool]]) -> None:
        mid = client.subscribe(asked(client, some))[1]
        if mid is not None:
            self._asked[mid] = [pattern for pattern, *_ in some]
