"""Keep the agent's retained status: said on each connect and change, and again where a stranger wrote over it."""

import threading
import time
from collections import deque
from collections.abc import Callable

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.protocol.bodies import Status
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

#: Two evictions within so many seconds mean that two processes share the id.
COLLISION_WITHIN = 10.0
#: Changes are said no more often than this; tasks that come and go faster do not show.
CHANGE_EVERY = 0.3
_BIRTH_EVERY = 1.0


class RetainedStatus:
    """Says the agent's birth and changes; `state` tells its word (online, busy, draining) and its active tasks."""

    def __init__(
        self, reporter: AgentReporter, state: Callable[[], tuple[str, int]], on_settled: Callable[[], None]
    ) -> None:
        self._reporter = reporter
        self._me = reporter.me
        self._state = state
        self._on_settled = on_settled
        self._said: tuple[str, int, str] | None = None
        self._due: float | None = None
        self._links = 0
        self._settled_links = 0
        self._evictions: deque[float] = deque(maxlen=2)
        self._last_birth = 0.0
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Set the will and listen to our own topic."""
        will = self._reporter.writer.message(Kind.STATUS, self._me.status("offline"), self._me.agent_id)
        self._reporter.bus.set_will(will)

    def on_up(self) -> None:
        """Say our birth, as the link is up; its echo tells that all retained messages were heard."""
        self._links += 1
        self._birth()

    def on_status(self, event: Event) -> None:
        """Take what was said on our own topic."""
        body = event.body
        if isinstance(body, Status) and body.incarnation == self._me.incarnation:
            if body.status == "offline" and not event.retained:
                # The broker's late word of a connection that is gone, or somebody's who kept it.
                self.overwritten()
                return
            if self._settled_links != self._links:
                self._settled_links = self._links
                self._on_settled()
            return
        if self._reporter.leaving.is_set():
            return
        if isinstance(body, Status) and self._links > 1 and self._settled_links != self._links:
            self._evicted_by(body)
        self._defend()

    def overwritten(self) -> None:
        """Take in that our topic says what is not so, and that it tells of no other process of our id."""
        if not self._reporter.leaving.is_set():
            self._defend()

    def again(self) -> None:
        """Say our word again, to those who cannot have heard it."""
        if not self._reporter.leaving.is_set():
            self._defend()

    def settle_late(self) -> None:
        """Go on without an echo that did not come in time: an access rule may forbid it."""
        if self._settled_links != self._links:
            self._settled_links = self._links
            self._on_settled()

    def changed(self) -> float | None:
        """Note that our state may have changed; return when to call `tick`, in monotonic seconds.

        That we drain, or do no more, is said at once: who asked for it reads it next.
        """
        with self._lock:
            now = self._now()
            if self._said is None or now == self._said:
                return self._due
            if "draining" in (now[0], self._said[0]) and now[0] != self._said[0]:
                self._due = None
                self._say()
            elif self._due is None:
                self._due = time.monotonic() + CHANGE_EVERY
            return self._due

    def tick(self, now: float) -> float | None:
        """Say a change that has stood long enough; when to call again."""
        with self._lock:
            if self._due is None or self._due > now:
                return self._due
            self._due = None
            if self._now() != self._said:
                self._say()
            return None

    def farewell(self) -> None:
        """Say that we leave: offline, or nothing at all for an id that will not come again."""
        if self._me.ephemeral:
            self._reporter.publish(self._reporter.writer.clear(Kind.STATUS, self._me.agent_id))
        else:
            self._reporter.say(Kind.STATUS, self._me.status("offline"), self._me.agent_id)

    def _birth(self) -> None:
        with self._lock:
            self._due = None
            self._last_birth = time.monotonic()
            self._say()

    def _now(self) -> tuple[str, int, str]:
        return (*self._state(), self._reporter.complaints())

    def _say(self) -> None:
        self._said = self._now()
        self._reporter.say(Kind.STATUS, self._me.status(*self._said), self._me.agent_id)

    def _defend(self) -> None:
        """Say our word again where a stranger's stands, but do not shout a stranger down."""
        if time.monotonic() - self._last_birth >= _BIRTH_EVERY or self._settled_links != self._links:
            self._birth()
            return
        with self._lock:
            self._said = None
            self._due = self._last_birth + _BIRTH_EVERY

    def _evicted_by(self, other: Status) -> None:
        now = time.monotonic()
        self._evictions.append(now)
        twice = len(self._evictions) == 2 and now - self._evictions[0] <= COLLISION_WITHIN
        if twice and self._me.is_younger_than(other):
            self._reporter.quietly = True
            where = f"{other.host or '?'}, pid {other.pid or '?'}"
            self._reporter.leave(f"{self._me.agent_id} runs elsewhere already ({where}): choose another --agent-id")
