"""Looks at the past: keyframes as messages come, and answers to `keyframe`, `timeline` and `step`.

A keyframe is due often enough that a moment is near one, and seldom enough that they stay a part of the record.
"""

import base64
import zlib
from collections.abc import Callable, Iterator

import msgspec

from swarm_tui.agent.roles.monitoring.history import number_of
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.snapshot import snapshot
from swarm_tui.journal.recorder_port import Keyframe, Recorder
from swarm_tui.protocol.bodies import JsonObject, Reply

#: Bytes of a keyframe in one row, which base64 makes four thirds of.
PART = 64 * 1024
#: Messages after a keyframe before which none is due, and the bytes of messages for each of its own.
EVERY, SHARE = 1000, 4
#: Tasks that had ended which a keyframe knows; of the others, how many there were.
ENDED = 500
#: Seconds after which one is due if anything came, and bytes of the largest that is kept.
LONGEST, LARGEST = 600.0, 4 * 1024 * 1024


class Keyframes:
    """Takes keyframes of `fleet` as messages come. `skipped` counts those that were too large to keep."""

    def __init__(self) -> None:
        self.skipped = 0
        self._messages = self._bytes = 0
        self._size = 0
        self._at: float | None = None
        self._wanted = False

    def want(self) -> None:
        """Take one at the next message: what is known has changed otherwise than by messages."""
        self._wanted = True

    def note(self, fleet: Fleet, recorder: Recorder, size: int, now: float) -> None:
        """Take in that a message of `size` bytes was applied and recorded at `now`."""
        self._messages += 1
        self._bytes += size
        if self._at is None:
            self._at = now
        full = self._messages >= EVERY and self._bytes >= SHARE * self._size
        if self._wanted or full or now - self._at >= LONGEST:
            self._take(fleet, recorder, now)

    def _take(self, fleet: Fleet, recorder: Recorder, now: float) -> None:
        self._wanted, self._messages, self._bytes, self._at = False, 0, 0, now
        state = zlib.compress(snapshot(fleet, ended_tasks=ENDED), 1)
        self._size = len(state)
        if self._size > LARGEST:
            self.skipped += 1
        else:
            recorder.add_keyframe(Keyframe(now, state))


def time_reply(query: str, args: JsonObject, recorder: Recorder, *, request: str, source: str) -> Iterator[Reply]:
    """Yield the replies to one of `QUERIES`, a row each, `more` on all but the last."""
    error: str | None = None
    rows: list[JsonObject] = []
    try:
        rows = QUERIES[query](args, recorder)
    except ValueError as problem:
        error = str(problem)
    for number, row in enumerate(rows or [None], 1):
        page = [] if row is None else [row]
        yield Reply(query=query, rows=page, error=error, more=number < len(rows), request=request, source=source)


def _keyframe(args: JsonObject, recorder: Recorder) -> list[JsonObject]:
    """Return rows `{at, part, data}`: the zlib-compressed snapshot, base64, in parts."""
    found = recorder.keyframe(_needed(args, "at"))
    if found is None:
        return []
    return [
        {"at": found.at, "part": start // PART, "data": base64.b64encode(found.state[start : start + PART]).decode()}
        for start in range(0, len(found.state), PART)
    ]


def _timeline(args: JsonObject, recorder: Recorder) -> list[JsonObject]:
    """Return one row: the timeline."""
    since, until = _needed(args, "since"), _needed(args, "until")
    if since >= until:
        raise ValueError("since: earlier than until it must be")
    found = recorder.timeline(since, until, int(number_of(args, "parts") or 100))
    return [msgspec.to_builtins(found)]


def _step(args: JsonObject, recorder: Recorder) -> list[JsonObject]:
    """Return one row `{at}`, or none at the record's end."""
    found = recorder.step(_needed(args, "at"), args.get("back") is not True)
    return [] if found is None else [{"at": found}]


def _needed(args: JsonObject, name: str) -> float:
    value = number_of(args, name)
    if value is None:
        raise ValueError(f"{name}: a number belongs there")
    return value


QUERIES: dict[str, Callable[[JsonObject, Recorder], list[JsonObject]]] = {
    "keyframe": _keyframe,
    "timeline": _timeline,
    "step": _step,
}
