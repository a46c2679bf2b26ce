"""Messages as they are read: an Event, or a Rejected that says why it is none."""

from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import Any

from msgspec import Struct

from swarm_tui.protocol.bodies import Body
from swarm_tui.protocol.topics import Kind

ANONYMOUS = "anonymous"


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """A message of the swarm, normalised. Nothing in it can lead back to it, so the collector need not look.

    `at` is the sender's time and `received` ours, seconds since the epoch. `payload` is the body as it came, with
    snake-case names, unknown fields kept. `expires_at` is set on commands. `proved_by` names the
    identity whose proof was checked. `warnings` names what the reader mended.
    """

    topic: str
    kind: Kind
    key: str
    id: str
    at: float
    received: float
    sender: str
    role: str | None
    body: Body
    payload: dict[str, Any]
    retained: bool = False
    proved_by: str = ""
    expires_at: float | None = None
    warnings: tuple[str, ...] = ()


class Rejected(Struct, frozen=True, kw_only=True):
    """A message that the reader refused; `first` is its beginning, made safe to show."""

    topic: str
    reason: str
    first: str
    received: float
    who: str = ""
    """Sender that it names, which nobody has proved; empty where it names none."""
    unproved: bool = False
    """It reads well, and whoever said it did not prove that they may."""
    hint: str = ""
    """A sentence where it seems to be of another version of swarm-tui: which, where, and what to do."""
    late: str = ""
    """The id of a command that came after its time, of one who may give it; empty for anything else."""


class Outgoing(Struct, frozen=True, gc=False):
    """A message to publish. A broker of MQTT 5 gives it to nobody after `expires_at`, seconds since the epoch."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expires_at: float | None = None
    traceparent: str = ""
    """The trace that its payload names, for brokers and tools that look at no payload."""


def rfc3339(seconds: float) -> str:
    """Return `seconds` since the epoch as RFC 3339 text, UTC with milliseconds and Z."""
    whole = floor(seconds)
    micros = round((seconds - whole) * 1e6)
    if micros == 1_000_000:
        whole, micros = whole + 1, 0
    return f"{_second(whole)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    """Return the part that all messages of a second share."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def parse_time(value: object) -> float | None:
    """Return seconds since the epoch from RFC 3339 text, seconds or milliseconds; None when it is no time."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        # Compared before it is converted: an int of a thousand digits is no float.
        return (float(value) if value < 1e11 else float(value) / 1000) if 0 <= value < 1e14 else None
    if isinstance(value, str) and len(value) <= 40:
        try:
            parsed = datetime.fromisoformat(value)
            seconds = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
            return seconds if 0 <= seconds < 1e11 else None
        except (ValueError, OverflowError):
            return None
    return None
