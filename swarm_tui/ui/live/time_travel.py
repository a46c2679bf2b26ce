"""Time travel: the whole screen as it was at a moment of the record, while what happens now is taken in unseen."""

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from swarm_tui.bus.port import BusError
from swarm_tui.client.past import Moment, Past
from swarm_tui.client.record import NoRecordError
from swarm_tui.domain.views import keeps_record
from swarm_tui.journal.recorder_port import Timeline
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.model import ENDED_KEPT

#: Seconds of the line of time that shows at first, and its parts: more than any terminal has columns.
HOUR, PARTS = 3600.0, 400
MINUTE = 60.0
T = TypeVar("T")


class TimeTravel:
    """Moves one desk through time; `shown` is called when what shows has changed.

    Answers come on the screen's thread; of several questions the answer to the last one counts.
    """

    def __init__(self, desk: Desk, shown: Callable[[], None]) -> None:
        self._desk = desk
        self._shown = shown
        self._past: Past | None = None
        self._turn = 0
        self._alone = Lock()
        """Held by the one question that is asked now: of those that wait for it only the last is asked at all."""
        self.timeline: Timeline | None = None
        self.span = (0.0, 0.0)
        """The ends of the line of time, seconds since the epoch."""
        self.asked: float | None = None
        """The moment that is on its way."""
        self.busy = False
        """True while an answer is on its way."""
        self._steps = 0
        """Events to go on by, back where negative."""
        self._stepping = False
        self._marked: Moment | None = None

    @property
    def on(self) -> bool:
        """Tell whether the past is looked at, or about to be."""
        return self._past is not None

    @property
    def at(self) -> float:
        """Return the moment that was asked for last."""
        moment = self._desk.model.moment
        return self.asked if self.asked is not None else moment.at if moment is not None else self._desk.clock()

    def why_not(self) -> str | None:
        """Return why there is no way back in time; None where there is one."""
        facts, model = self._desk.source.facts, self._desk.model
        if facts.recorded is not None:
            return None
        if facts.recording:
            return "this recording cannot be asked"
        if self.on:
            return None
        if not model.live.broker_up:
            return "the broker is away: nobody answers for the past"
        agents = model.live.agents
        if agents and not keeps_record(agents.values()):
            return "nobody here keeps the record: an agent of the role monitoring does"
        return None

    def enter(self) -> None:
        """Hold what shows, as of now, and get the line of time."""
        recorded, now = self._desk.source.facts.recorded, self._latest()
        self._past = Past(self._ask, self._desk.model.swarm, kept=ENDED_KEPT)
        self.span, self.timeline = recorded or (now - HOUR, now), None
        self._get_timeline()
        self.go(min(self._desk.clock(), now))

    def leave(self) -> None:
        """Show what is so now."""
        self._turn += 1
        self.busy = self._stepping = False
        self._steps = 0
        self._past = self.timeline = self.asked = None
        self._desk.model.look_now()
        self._shown()

    def go(self, at: float) -> None:
        """Show the swarm as it was at that moment."""
        if (past := self._past) is None:
            return
        self._steps, self._stepping = 0, False
        at = min(at, self._latest())
        if self.timeline is not None and self.timeline.oldest is not None:
            at = max(at, self.timeline.oldest)
        self.asked = at
        self._keep_in_view(at)
        self._in_turn(lambda: past.moment(at), self._arrived)

    def step(self, *, forward: bool) -> None:
        """Go to the next event, or to the one before."""
        self._steps += 1 if forward else -1
        if not self._stepping:
            self._step_from(self.at)

    def _step_from(self, at: float) -> None:
        """Take one of the steps that were asked for; keys come faster than answers."""
        if (past := self._past) is None or not self._steps:
            self.go(at)
            return
        self._stepping, forward = True, self._steps > 0
        self._in_turn(lambda: past.step(at, forward=forward), lambda found: self._stepped(at, found, forward))

    @property
    def marked(self) -> float | None:
        """Return the moment that is marked."""
        return None if self._marked is None else self._marked.at

    def mark(self) -> None:
        """Mark the moment that shows, so that others can be compared with it; once more takes the mark away."""
        shown = self._desk.model.moment
        self._marked = None if shown is None or self.marked == shown.at else shown
        self._shown()

    def between(self) -> tuple[Moment, Moment] | None:
        """Return the two moments to compare, the earlier first: the mark, what shows, or now; None of one alone."""
        model = self._desk.model
        now = Moment(self._desk.clock() if model.ended is None else model.ended, model.live, [])
        marked, shown = self._marked, model.moment
        if marked is not None and shown is not None and marked.at != shown.at:
            return (marked, shown) if marked.at < shown.at else (shown, marked)
        one = marked or shown
        return None if one is None else (one, now)

    def minutes(self, count: int) -> None:
        """Go by so many minutes, back where negative."""
        self.go(self.at + count * MINUTE)

    def jump(self, tenth: int) -> None:
        """Go to so many tenths of the line of time."""
        since, until = self.span
        self.go(since + (until - since) * tenth / 10)

    def widen(self) -> None:
        """Let the line of time be all that is recorded, or an hour again."""
        oldest = self.timeline.oldest if self.timeline is not None else None
        now = self._latest()
        wide = self.span[1] - self.span[0] > HOUR + 1
        if not wide and (oldest is None or now - oldest <= HOUR):
            self._desk.say("this is all that is recorded")
            return
        self.span = (max(self.at - HOUR / 2, 0.0), self.at + HOUR / 2) if wide else (oldest or now - HOUR, now)
        self._get_timeline()

    def _latest(self) -> float:
        """Return the last moment that can be shown: now, or a recording's end, whatever has been played of it."""
        recorded = self._desk.source.facts.recorded
        return self._desk.clock() if recorded is None else recorded[1]

    def _keep_in_view(self, at: float) -> None:
        since, until = self.span
        if not since <= at <= until:
            half = (until - since) / 2
            end = min(at + half, self._latest())
            self.span = (end - 2 * half, end)
            self._get_timeline()

    def _get_timeline(self) -> None:
        if (past := self._past) is None:
            return
        since, until = self.span
        self._desk.in_thread(
            lambda: _answer(lambda: past.timeline(since, until, PARTS)), lambda found: self._drawn(past, found)
        )

    def _drawn(self, past: Past, found: Timeline | str) -> None:
        if past is not self._past:
            return
        if isinstance(found, str):
            self._desk.say(f"no line of time: {found}", bad=True)
        elif (found.since, found.until) == self.span:
            self.timeline = found
            self._shown()
            if found.oldest is not None and self.span[0] < found.oldest < self.span[1] - MINUTE:
                self.span = (found.oldest, self.span[1])
                self._get_timeline()

    def _in_turn(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        self._turn += 1
        turn, self.busy = self._turn, True

        def arrived(found: T | str) -> None:
            if turn != self._turn:
                return
            self.busy = False
            if isinstance(found, str):
                self._failed(found)
            else:
                done(found)

        def answer() -> T | str:
            with self._alone:
                return _answer(work) if turn == self._turn else "another was asked for since"

        self._desk.in_thread(answer, arrived)

    def _failed(self, why: str) -> None:
        self.asked = None
        self._steps, self._stepping = 0, False
        self._desk.say(f"no way back in time: {why}", bad=True)
        if self._desk.model.moment is None:
            self.leave()

    def _arrived(self, moment: Moment) -> None:
        self.asked = None
        self._desk.model.look_back(moment)
        self._shown()

    def _stepped(self, before: float, at: float | None, forward: bool) -> None:
        self._steps -= 1 if forward else -1
        if at is not None:
            self._step_from(at)
            return
        if before != self.at:
            self.go(before)
        self._steps, self._stepping = 0, False
        self._desk.say("nothing happened after that" if forward else "the record begins here")

    def _ask(self, query: str, args: dict[str, Any], _: float) -> Any:
        return self._desk.source.query(query, args)


def _answer(work: Callable[[], T]) -> T | str:
    """Return what the work gives, or why it gives nothing."""
    try:
        return work()
    except (NoRecordError, BusError, OSError) as error:
        return str(error)
