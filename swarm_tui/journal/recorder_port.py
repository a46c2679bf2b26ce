"""The flight recorder as its users see it, and one in memory for tests."""

import threading
from collections import deque
from typing import Protocol

from msgspec import Struct, structs

from swarm_tui.protocol import bodies
from swarm_tui.protocol.codec import decode, refused
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, matches

MAX_PAYLOAD = 128 * 1024
MAX_ROWS = 10_000
#: Parts of a timeline, and marks on it, at most.
MAX_PARTS, MAX_MARKS = 1000, 2000
_MARKED = {
    Kind.TASK_FAILED: "failure",
    Kind.TASK_DEAD: "failure",
    Kind.DEPLOYMENT_STATUS: "deployment",
    Kind.HALT: "halt",
    Kind.ALERT: "alert",
    Kind.ASK: "ask",
}
#: What people look for on a line of time.
MARKS = frozenset({*_MARKED.values(), "death"})
_NO_EVENT = frozenset({Kind.HEARTBEAT, Kind.TASK_PROGRESS, Kind.QUERY, Kind.REPLY, Kind.HOST_STATUS})


class Recorded(Struct, frozen=True):
    """A message: `at` is when it was received, seconds since the epoch; `topic` is whole."""

    at: float
    topic: str
    payload: bytes
    agent_id: str | None = None
    task_id: str | None = None
    retained: bool = False
    mark: str | None = None
    """`event` where it changes what is known, or one of `MARKS`; None for beats, progress and talk about the past."""
    is_cut: bool = False
    """True where the answer to a question has only its beginning."""
    proved: str = ""
    """The identity whose proof held when it was heard; empty where nobody proved it, or that is not known."""
    refused: str = ""
    """Why it counted for nothing when it was heard, for want of a proof; empty where it counted."""


class Keyframe(Struct, frozen=True):
    """All that was known of the swarm at a moment: `state` is a fleet's snapshot, compressed by zlib."""

    at: float
    state: bytes


class Mark(Struct, frozen=True, kw_only=True):
    """Something on the line of time that people look for: `what` is one of `MARKS`."""

    at: float
    what: str
    agent_id: str | None = None
    task_id: str | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """A span of the record: messages in each of its equal parts, and its newest marks, oldest first.

    `oldest` is the record's first moment, None when it is empty.
    """

    since: float
    until: float
    oldest: float | None
    density: list[int]
    marks: list[Mark]


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """The newest `limit` messages that match: times in seconds since the epoch, `topic` an MQTT filter.

    Of `topics`, where there are any, one must match too.
    """

    since: float | None = None
    until: float | None = None
    topic: str | None = None
    topics: tuple[str, ...] = ()
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

    def add_keyframe(self, keyframe: Keyframe) -> None:
        """Keep a keyframe, which holds for all messages that were added before it."""
        ...

    def keyframe(self, at: float) -> Keyframe | None:
        """Return the newest keyframe of that moment or before."""
        ...

    def timeline(self, since: float, until: float, parts: int) -> Timeline:
        """Return the span in so many parts."""
        ...

    def step(self, at: float, forward: bool) -> float | None:
        """Return when the next event after that moment was, or the last one before it; None at the end."""
        ...

    @property
    def failure(self) -> str:
        """Why the last messages could not be kept; empty while they can."""
        ...

    def stats(self) -> RecorderStats:
        """Return how much is kept."""
        ...

    def close(self) -> None:
        """Keep what is pending and let go."""
        ...


class MemoryRecorder:
    """Keeps messages as long as it lives, at most `capacity` of them."""

    failure = ""

    def __init__(self, capacity: int = 10_000) -> None:
        self._kept: deque[Recorded] = deque(maxlen=capacity)
        self._keyframes: list[Keyframe] = []
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

    def add_keyframe(self, keyframe: Keyframe) -> None:
        """Keep a keyframe."""
        with self._lock:
            self._keyframes.append(keyframe)

    def keyframe(self, at: float) -> Keyframe | None:
        """Return the newest keyframe of that moment or before."""
        with self._lock:
            return max((one for one in self._keyframes if one.at <= at), key=lambda one: one.at, default=None)

    def timeline(self, since: float, until: float, parts: int) -> Timeline:
        """Return the span in so many parts."""
        parts = bounded_parts(parts)
        density = [0] * parts
        with self._lock:
            kept = sorted(self._kept, key=lambda message: message.at)
        for message in kept:
            if since <= message.at < until:
                density[min(parts - 1, int((message.at - since) / (until - since) * parts))] += 1
        marks = [
            Mark(at=one.at, what=one.mark, agent_id=one.agent_id, task_id=one.task_id)
            for one in kept
            if one.mark in MARKS and since <= one.at <= until
        ]
        oldest = kept[0].at if kept else None
        return Timeline(since=since, until=until, oldest=oldest, density=density, marks=marks[-MAX_MARKS:])

    def step(self, at: float, forward: bool) -> float | None:
        """Return when the next event after that moment was, or the last one before it."""
        with self._lock:
            moments = [one.at for one in self._kept if one.mark is not None]
        return (
            min((moment for moment in moments if moment > at), default=None)
            if forward
            else max((moment for moment in moments if moment < at), default=None)
        )

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
        return Recorded(now, event.topic, payload, refused=event.reason if event.unproved else "")
    body = event.body
    agent_id = getattr(body, "agent_id", None) or (event.key if event.kind is Kind.INBOX else None) or event.sender
    task_id = getattr(body, "task_id", None) or getattr(getattr(body, "task", None), "task_id", None)
    return Recorded(now, topic, payload, agent_id, task_id, event.retained, _mark(event), proved=event.proved_by)


def heard_then(swarm: str, row: Recorded, *, retained: bool = False) -> Event | Rejected | None:
    """Return the message as it was heard then; None of another swarm's.

    Whoever reads it later cannot judge it: keys are given and taken away, and what it proved counted at its time.
    """
    event = decode(swarm, row.topic, row.payload, retained, row.at)
    if event is not None and row.refused:
        return refused(row.topic, row.payload, row.at, row.refused)
    return structs.replace(event, proved_by=row.proved) if isinstance(event, Event) and row.proved else event


def _mark(event: Event) -> str | None:
    kind, body = event.kind, event.body
    if kind in _NO_EVENT or event.retained:
        return None
    if kind is Kind.STATUS and isinstance(body, bodies.Status) and body.status == "offline":
        return "death" if event.payload.get("reason") is None else "event"
    if kind is Kind.ALERT and isinstance(body, bodies.Alert) and not body.active:
        return "event"
    return _MARKED.get(kind, "event")


def takes(query: HistoryQuery, message: Recorded) -> bool:
    """Return whether the message matches, `limit` aside."""
    return (
        (query.since is None or message.at >= query.since)
        and (query.until is None or message.at <= query.until)
        and (query.agent_id is None or message.agent_id == query.agent_id)
        and (query.task_id is None or message.task_id == query.task_id)
        and (query.topic is None or matches(query.topic, message.topic))
        and (not query.topics or any(matches(each, message.topic) for each in query.topics))
    )


def cut(message: Recorded) -> Recorded:
    """Return the message with no more payload than is kept."""
    if len(message.payload) <= MAX_PAYLOAD:
        return message
    return structs.replace(message, payload=message.payload[:MAX_PAYLOAD])


def bounded_parts(parts: int) -> int:
    """Return in how many parts a timeline is given, as wanted and within bounds."""
    return max(1, min(parts, MAX_PARTS))


def limit_of(query: HistoryQuery) -> int:
    """Return how many messages the query may get."""
    return max(1, min(query.limit, MAX_ROWS))
