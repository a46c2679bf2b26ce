"""The flight recorder as its users see it, and one in memory for tests."""

import threading
from collections import deque
from typing import Protocol

from msgspec import Struct

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, matches

MAX_PAYLOAD = 128 * 1024
MAX_ROWS = 10_000


class Recorded(Struct, frozen=True):
    """A message: `at` is when it was received, seconds since the epoch; `topic` is whole."""

    at: float
    topic: str
    payload: bytes
    agent_id: str | None = None
    task_id: str | None = None


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """The newest `limit` messages that match: times in seconds since the epoch, `topic` an MQTT filter."""

    since: float | None = None
    until: float | None = None
    topic: str | None = None
    agent_id: str | None = None
    task_id: str | None = None
    limit: int = 200


class RecorderStats(Struct, frozen=True, kw_only=True):
    """`stored` messages are there now, in `size` bytes on disk; `dropped` came faster than they could be kept."""

    stored: int
    dropped: int
    size: int
    oldest: float | None


class Recorder(Protocol):
    """Keeps every message for a while. All methods are thread-safe."""

    def add(self, message: Recorded) -> None:
        """Keep one message, from the next commit on; returns at once."""
        ...

    def flush(self) -> None:
        """Return when all that was added is kept, or it is known that it cannot be."""
        ...

    def history(self, query: HistoryQuery) -> list[Recorded]:
        """Return the newest messages that match, oldest first; payloads are cut at 128 KiB."""
        ...

    def stats(self) -> RecorderStats:
        """Return how much is kept."""
        ...

    def close(self) -> None:
        """Keep what is pending and let go."""
        ...


class MemoryRecorder:
    """Keeps messages as long as it lives, at most `capacity` of them."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._kept: deque[Recorded] = deque(maxlen=capacity)
        self._lock = threading.Lock()

    def add(self, message: Recorded) -> None:
        """Keep one message."""
        with self._lock:
            self._kept.append(cut(message))

    def flush(self) -> None:
        """All is kept already."""

    def history(self, query: HistoryQuery) -> list[Recorded]:
        """Return the newest messages that match, oldest first."""
        with self._lock:
            found = [message for message in self._kept if takes(query, message)]
        found.sort(key=lambda message: message.at)
        return found[-limit_of(query) :]

    def stats(self) -> RecorderStats:
        """Return how much is kept."""
        with self._lock:
            oldest = min((message.at for message in self._kept), default=None)
            return RecorderStats(
                stored=len(self._kept), dropped=0, size=sum(len(m.payload) for m in self._kept), oldest=oldest
            )

    def close(self) -> None:
        """Nothing to let go."""


def recorded_of(event: Event | Rejected, topic: str, payload: bytes, now: float) -> Recorded:
    """Return what is kept of a message that was heard at `now`: it is found by the agent and the task that it names."""
    if isinstance(event, Rejected):
        return Recorded(now, event.topic, payload)
    body = event.body
    agent_id = getattr(body, "agent_id", None) or (event.key if event.kind is Kind.INBOX else None) or event.sender
    task_id = getattr(body, "task_id", None) or getattr(getattr(body, "task", None), "task_id", None)
    return Recorded(now, topic, payload, agent_id, task_id)


def takes(query: HistoryQuery, message: Recorded) -> bool:
    """Return whether the message matches, `limit` aside."""
    return (
        (query.since is None or message.at >= query.since)
        and (query.until is None or message.at <= query.until)
        and (query.agent_id is None or message.agent_id == query.agent_id)
        and (query.task_id is None or message.task_id == query.task_id)
        and (query.topic is None or matches(query.topic, message.topic))
    )


def cut(message: Recorded) -> Recorded:
    """Return the message with no more payload than is kept."""
    if len(message.payload) <= MAX_PAYLOAD:
        return message
    return Recorded(message.at, message.topic, message.payload[:MAX_PAYLOAD], message.agent_id, message.task_id)


def limit_of(query: HistoryQuery) -> int:
    """Return how many messages the query may get."""
    return max(1, min(query.limit, MAX_ROWS))
