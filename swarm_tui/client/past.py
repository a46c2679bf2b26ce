"""The swarm as it was: a keyframe of the record, and what was said from then on."""

import base64
import binascii
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import inf, nextafter
from threading import Lock

import msgspec
from msgspec import Struct

from swarm_tui.client.record import ANSWER_WITHIN, NoRecordError, ask_record
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.snapshot import SnapshotError, restored
from swarm_tui.journal.recorder_port import HistoryQuery, Recorded, Timeline, heard_then
from swarm_tui.protocol.bodies import JsonObject, Reply
from swarm_tui.protocol.envelope import Event, Rejected

#: Bytes of a keyframe, unpacked, at most.
LARGEST = 256 * 1024 * 1024
#: Messages after a keyframe that are asked for at most, and of before it for the stream.
MOST, BEFORE = 100_000, 500
#: Seconds after a moment whose messages are fetched with it, so that steps forward need not ask.
AHEAD = 5.0
Ask = Callable[[str, JsonObject, float], Reply | None]


class Moment(Struct, frozen=True):
    """The swarm as it was `at`: `fleet`, and the last `messages` up to then, oldest first."""

    at: float
    fleet: Fleet
    messages: list[Event | Rejected]


def heard_by(moment: Moment | None, events: Iterable[Event]) -> list[Event]:
    """Return those that had been heard at that moment; all of them for None, which is now."""
    return [event for event in events if moment is None or event.received <= moment.at]


class Past:
    """Looks at the past of `swarm`, by questions `ask(query, args, timeout)` to whoever keeps the record; blocks.

    Each method raises NoRecordError with a sentence. `kept` is how many ended tasks are kept.
    """

    def __init__(self, ask: Ask, swarm: str, *, kept: int) -> None:
        self._ask = ask
        self._swarm = swarm
        self._kept = kept
        self._keyframe: tuple[float, bytes] | None = None
        self._before: list[Event | Rejected] = []
        self._since: list[Event | Rejected] = []
        self._rest: list[Recorded] = []
        self._until = -inf
        self._alone = Lock()
        """Held while what is kept between two moments is read or changed: each is asked for on a thread of its own."""

    def moment(self, at: float) -> Moment:
        """Return the swarm as it was at that moment."""
        with self._alone:
            return self._moment(at)

    def _moment(self, at: float) -> Moment:
        if self._keyframe is None or not self._keyframe[0] <= at <= self._until:
            self._fetch(at)
        _began, state = self._keyframe or (0.0, b"")
        try:
            fleet = restored(state, kept=self._kept) if state else Fleet(self._swarm, kept=self._kept)
        except SnapshotError as error:
            raise NoRecordError(str(error)) from None
        if not state:
            fleet.link(True, "", at if not self._heard(at) else self._since[0].received)
        messages = list(self._before)
        for event in self._heard(at):
            fleet.apply(event, event.received)
            messages.append(event)
        fleet.tick(at)
        return Moment(at, fleet, messages)

    def timeline(self, since: float, until: float, parts: int) -> Timeline:
        """Return the span in so many parts."""
        rows = self._rows("timeline", {"since": since, "until": until, "parts": parts})
        try:
            return msgspec.convert(rows[0], Timeline, strict=False)
        except (IndexError, msgspec.ValidationError):
            raise NoRecordError("the answer is no timeline") from None

    def step(self, at: float, *, forward: bool) -> float | None:
        """Return when the next event after that moment was, or the last one before it; None at the end."""
        for row in self._rows("step", {"at": at, "back": not forward}):
            found = row.get("at") if isinstance(row, dict) else None
            if isinstance(found, (int, float)) and not isinstance(found, bool):
                return float(found)
        return None

    def _heard(self, at: float) -> list[Event | Rejected]:
        """Return what was heard from the keyframe up to then; each message is decoded once."""
        while self._rest and self._rest[-1].at <= at:
            if (event := self._event(self._rest.pop())) is not None:
                self._since.append(event)
        return self._since[: bisect_right(self._since, at, key=lambda event: event.received)]

    def _event(self, row: Recorded) -> Event | Rejected | None:
        return heard_then(self._swarm, row, retained=row.retained)

    def _fetch(self, at: float) -> None:
        """Get the keyframe of that moment and the messages around it."""
        began, state = self._fetch_keyframe(at)
        since = nextafter(began, inf) if state else None
        rows = ask_record(self._ask, HistoryQuery(since=since, until=at + AHEAD, limit=MOST))
        before = ask_record(self._ask, HistoryQuery(until=began, limit=BEFORE)) if state else []
        self._before = [event for row in before if (event := self._event(row)) is not None]
        self._since, self._rest = [], rows[::-1]
        self._keyframe, self._until = (began, state), at + AHEAD

    def _fetch_keyframe(self, at: float) -> tuple[float, bytes]:
        rows = self._rows("keyframe", {"at": at})
        if not rows:
            return 0.0, b""
        try:
            packed = b"".join(base64.b64decode(row["data"], validate=True) for row in rows)
            unpacker = zlib.decompressobj()
            state = unpacker.decompress(packed, LARGEST)
            if unpacker.unconsumed_tail or not unpacker.eof:
                raise ValueError
            return float(rows[0]["at"]), state
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error):
            raise NoRecordError("the answer is no keyframe") from None

    def _rows(self, query: str, args: JsonObject) -> list[JsonObject]:
        reply = self._ask(query, args, ANSWER_WITHIN)
        if reply is None:
            raise NoRecordError("nobody who keeps the record answers")
        if reply.error is not None or reply.more:
            raise NoRecordError(reply.error or "the answer came only in part")
        return reply.rows
