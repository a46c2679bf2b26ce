"""An agent's open asks: said until the dispatcher has written an answer down; without that nothing is allowed."""

import threading
import uuid
from collections.abc import Callable

from msgspec import Struct

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.protocol.ask_bodies import Ask, AskRecorded
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic

#: Seconds after which an ask is said again, and by which its time is over here later than at the dispatcher.
AGAIN, GRACE = 10.0, 15.0
#: Lines of a change that the pane shows of an ask, and their characters.
SHOWN, WIDTH = 12, 54
#: Characters of an ask's parts that travel.
MOST_TITLE, MOST_DIFF = 2000, 64_000
NOBODY = "no dispatcher is there that could write an answer down"


class _Open(Struct, kw_only=True):
    body: Ask
    attempt: RunningAttempt
    done: Callable[[AskAnswer], None]
    again: float
    until: float


class AskDesk:
    """Keeps what is asked until it is answered. Thread-safe; times are monotonic seconds, `within` is for an answer."""

    def __init__(
        self,
        reporter: AgentReporter,
        agent_id: str,
        within: float,
        lease_of: Callable[[RunningAttempt], HeldLease],
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        """Make it; `lease_of` gives the lease that counts for an attempt, `changed` is told when something is open."""
        self._reporter, self._me, self._within = reporter, agent_id, within
        self._lease_of, self._clock, self._changed = lease_of, clock, changed
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def ask(self, attempt: RunningAttempt, question: Question, done: Callable[[AskAnswer], None]) -> str:
        """Ask, and have `done` called once with the answer, on whatever thread it comes. Returns the ask's id."""
        lease, now = self._lease_of(attempt), self._clock()
        ask_id = uuid.uuid4().hex[:16]
        if lease.epoch is None:
            done(AskAnswer(outcome="deny", reason=NOBODY))
            return ask_id
        redact = self._reporter.redact
        body = Ask(
            ask_id=ask_id,
            task_id=lease.task_id,
            agent_id=self._me,
            attempt=lease.attempt,
            epoch=lease.epoch,
            tool=question.tool[:100],
            title=redact.text(question.title)[:MOST_TITLE],
            input=redact.value(question.input),
            diff=None if question.diff is None else redact.text(question.diff)[:MOST_DIFF],
            rule=question.rule,
            expires_at=self._reporter.now() + self._within,
        )
        one = _Open(body=body, attempt=attempt, done=done, again=now + AGAIN, until=now + self._within + GRACE)
        with self._lock:
            self._open[ask_id] = one
        self._reporter.bus.subscribe(topic(self._reporter.swarm, Kind.ASK_RECORDED, ask_id))
        self._show(body)
        self._reporter.say(Kind.ASK, body, ask_id)
        self._changed()
        return ask_id

    def _show(self, body: Ask) -> None:
        """Show on the pane what is asked, and how it is answered there."""
        self._reporter.note(f"asks: {body.tool} {body.title}", "❓")
        lines = [line for line in (body.diff or "").split("\n") if line and not line.startswith(("---", "+++"))]
        for line in lines[:SHOWN]:
            self._reporter.log(f"     ┊{line[:WIDTH]}")
        if len(lines) > SHOWN:
            self._reporter.log(f"     … {len(lines) - SHOWN} more lines: `swarm-tui asks {body.ask_id[:8]}`")
        self._reporter.log("   type y, n REASON or a (always), then enter")

    def heard(self, event: Event) -> None:
        """Hear asks/<id>/recorded: the answer counts."""
        body = event.body
        if not isinstance(body, AskRecorded) or body.agent_id not in ("", self._me) or body.kept:
            return
        if (one := self._take(event.key)) is not None:
            self._reporter.note(f"{'denied' if body.outcome == 'deny' else 'allowed'} by {body.by or 'nobody'}", "❗")
            one.done(AskAnswer(outcome=body.outcome, reason=body.reason, by=body.by))

    def oldest(self) -> str | None:
        """Return the ask that has waited longest; None where none waits."""
        with self._lock:
            return next(iter(self._open), None)

    def titled(self, title: str) -> str | None:
        """Return the ask of that title that has waited longest; None where none waits."""
        wanted = self._reporter.redact.text(title)[:MOST_TITLE]
        with self._lock:
            return next((ask_id for ask_id, one in self._open.items() if one.body.title == wanted), None)

    def drop(self, ask_id: str) -> None:
        """Wait for the answer no more."""
        self._take(ask_id)

    def again(self, now: float) -> None:
        """Say all that is open: a link or a dispatcher is new."""
        with self._lock:
            for one in self._open.values():
                one.again = now

    def tick(self, now: float) -> None:
        """Say again what is due, and give up what nobody answered."""
        with self._lock:
            waiting = list(self._open.items())
        for ask_id, one in waiting:
            one.attempt.last_sign = max(one.attempt.last_sign, now)
            if now >= one.until and self._take(ask_id) is not None:
                one.done(AskAnswer(outcome="deny", reason=f"nobody answered within {self._within:.0f} s"))
            elif now >= one.again:
                one.again = now + AGAIN
                self._reporter.say(Kind.ASK, one.body, ask_id)

    def wake(self) -> float | None:
        """Return when `tick` is next worth a call; None while nothing is open."""
        with self._lock:
            return min((min(one.again, one.until) for one in self._open.values()), default=None)

    def _take(self, ask_id: str) -> _Open | None:
        with self._lock:
            one = self._open.pop(ask_id, None)
        if one is not None:
            self._reporter.bus.unsubscribe(topic(self._reporter.swarm, Kind.ASK_RECORDED, ask_id))
        return one
