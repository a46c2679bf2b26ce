"""Count what the dispatcher heard and let count for nothing, by why: told in the log, an alert while it repeats."""

from collections import Counter, deque
from collections.abc import Callable

from msgspec import Struct, field

from swarm_tui.protocol.bodies import Alert
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.versions import OTHER_VERSION

#: How many refusals of one reason are told in the log: the first, and each time that they are ten times as many.
TOLD = frozenset(10**power for power in range(10))
#: So many of one reason within so many seconds are no accident; so long after the last of them it is over.
MANY, WITHIN, OVER_AFTER = 5, 60.0, 120.0

#: Seconds between two lines that tell what a refusal may come of: those whom it names choose their names.
HINT_EVERY = 10.0
#: Of so many it is told without a pause.
HINTS = 3


class _Reason(Struct):
    """Refusals of one reason: when the last few were, in monotonic seconds."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=MANY))
    alerted: bool = False


class Refusals:
    """Counts refusals; `log` gets a line for the first ones, `say` an alert when they repeat and when that is over."""

    def __init__(self, log: Callable[[str], None], say: Callable[[Alert], None]) -> None:
        """Begin with nothing refused."""
        self.counts: Counter[str] = Counter()
        """Refusals of each reason."""
        self._log, self._say = log, say
        self._reasons: dict[str, _Reason] = {}
        self._hints: dict[str, float] = {}
        """What was heard lately of other versions of swarm-tui, as sentences, each with when it was the last time."""
        self._hint_again = 0.0

    def add(self, why: str, now: float, *, place: str = "", who: str = "", times: int = 1, hint: str = "") -> None:
        """Count a refusal, of what `who` said on the topic `place`, or so many of them at once.

        `hint` is told when it is another than those told lately, also as an alert. `now` is monotonic seconds.
        """
        if hint:
            self._hint(clean(hint, 400), now)
        before = self.counts[why]
        self.counts[why] = count = before + times
        on = f" on {place}" if place else ""
        by = f" by {who}" if who else ""
        if any(before < told <= count for told in TOLD):
            self._log(f"refused{on}{by}: {why} ({count:,} so far)")
        reason = self._reasons.setdefault(why, _Reason())
        reason.times.extend([now] * min(times, MANY))
        if not reason.alerted and len(reason.times) == MANY and now - reason.times[0] <= WITHIN:
            reason.alerted = True
            last = f"; the last{on}{by}" if on or by else ""
            message = f"refused again and again: {why}{last}"
            self._say(Alert(severity="warning", message=clean(message, 400), name=f"refused:{why}"))

    def _hint(self, hint: str, now: float) -> None:
        """Tell of a few at once, and then of one from time to time."""
        if hint not in self._hints:
            if len(self._hints) >= HINTS:
                if now < self._hint_again:
                    return
                del self._hints[min(self._hints, key=lambda known: self._hints[known])]
            self._hint_again = now + HINT_EVERY
            self._log(hint)
            self._say(Alert(severity="warning", message=hint, name=OTHER_VERSION))
        self._hints[hint] = now

    def row(self, guests: str, halt_id: str, halted: str | None = None) -> dict[str, object]:
        """Return the answer to the query `guard`: what guests may do, how often what was refused, what halt stands."""
        told: dict[str, object] = {"hints": list(self._hints)} if self._hints else {}
        if halted is not None:
            told["halted"] = halted
        return {"guests": guests, "refused": dict(self.counts), "halt": halt_id, **told}

    def tick(self, now: float) -> None:
        """Say of what has not been heard for long that it is over."""
        if self._hints and now - max(self._hints.values()) >= OVER_AFTER:
            self._hints = {}
            message = "nothing more is heard of another version"
            self._say(Alert(severity="info", message=message, name=OTHER_VERSION, active=False))
        for why, reason in self._reasons.items():
            if reason.alerted and now - reason.times[-1] >= OVER_AFTER:
                reason.alerted = False
                message = f"not refused any more: {why} ({self.counts[why]:,} in all)"
                self._say(Alert(severity="info", message=message, name=f"refused:{why}", active=False))
