"""What all parties of a simulated swarm share: virtual time with clocks that may be wrong, and connections of processes
that may stand still."""

from typing import Any

from msgspec import Struct

from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.domain.dispatch.model import DispatchSettings, TypePolicy
from swarm_tui.domain.workflows.schedule import Schedule

SWARM = "sim"
START = 1_700_000_000.0
#: Seconds after which the broker ends the connection of a client of which it hears nothing: one and a half keepalives.
KEEPALIVE = 22.5
RULES = {
    "noop": TypePolicy(roles=("general",), max_attempts=50),
    "database.migrate": TypePolicy(roles=("general",), idempotent=False, max_attempts=50),
    "deployment.deploy": TypePolicy(roles=("general",), idempotent=False, approve=True, max_attempts=50),
    "code.generate": TypePolicy(roles=("general",), max_attempts=50),
    "code.merge": TypePolicy(roles=("general",), max_attempts=50),
    "testing.run": TypePolicy(roles=("general",), max_attempts=50),
}
#: The steps of each run: for items, one that asks a person, by a condition, after a failure, and at last.
STEPS: dict[str, Any] = {
    "a": {"type": "noop"},
    "each": {"type": "noop", "needs": ["a"], "each": "{inputs.items}", "retry": {"max_attempts": 2}},
    "move": {"type": "database.migrate", "needs": ["a"]},
    "if": {"type": "noop", "needs": ["a"], "when": "{inputs.go}", "approve": True},
    "join": {"type": "noop", "needs": ["each", "move"], "payload": {"all": "{each.state}", "run": "{run.id}"}},
    "undo": {"type": "noop", "needs": ["move"], "on": "failure"},
    "tell": {"type": "noop", "needs": ["join", "undo", "if"], "on": "always"},
}
#: Steps that follow from success alone: what of them succeeded is never done again.
PLAIN_STEPS = ("a", "each", "move", "if", "join")
#: Three firings, a minute apart, from a minute after the beginning on; of a type that must not run twice by itself.
SCHEDULE = Schedule(name="s", cron="31-33 22 14 11 *", type="database.migrate", overlap="queue")
FIRINGS = [f"s:20231114T22{minute}00Z" for minute in (31, 32, 33)]
SETTINGS = DispatchSettings(rules=RULES, approve_within=60.0)


class Time:
    """Virtual seconds, the same for all."""

    now = 1000.0


class Clock:
    """One party's clocks: the monotonic one is right, the wall clock may have been set wrong."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.wrong = 0.0

    def monotonic(self) -> float:
        return self.time.now

    def wall(self) -> float:
        return START + self.time.now + self.wrong


class Ran(Struct):
    """One run of a task's work."""

    task_id: str
    agent_id: str
    attempt: int
    epoch: int | None
    """None: claimed while the swarm seemed to have no dispatcher, of which nothing is promised."""


class SimBus(MemoryBus):
    """A connection whose process may be stopped: what comes waits in its socket, and is not acknowledged meanwhile."""

    def __init__(self, broker: MemoryBroker, client_id: str, *, clean: bool = True) -> None:
        super().__init__(broker, client_id, clean=clean)
        self.stopped_at: float | None = None
        self.evicted = False
        self._socket: list[tuple[Any, tuple[Any, ...]]] = []

    def stop(self, now: float) -> None:
        """SIGSTOP."""
        self.stopped_at = now

    def look(self, now: float) -> None:
        """The broker drops who is silent for too long."""
        if self.stopped_at is not None and now - self.stopped_at > KEEPALIVE:
            self.drop("keepalive")

    def go_on(self) -> None:
        """SIGCONT: what waits is read, and then the end of the connection, where it ended."""
        self.stopped_at = None
        waiting, self._socket = self._socket, []
        for call, arguments in waiting:
            super()._guard(call, *arguments)

    def restore(self) -> bool:
        if self.stopped_at is not None:
            return False
        self.evicted = False
        return super().restore()

    def lost(self, reason: str, *, say_will: bool) -> None:
        self.evicted = self._session is not None and "another client" in reason
        session = self._session
        if self.stopped_at is not None and session is not None and not session.clean:
            # Nothing of it was acknowledged: whoever has the session next gets it too.
            session.kept.extend((c[0], c[1], 1) for _, c in self._socket if len(c) == 3 and not c[2])
        super().lost(reason, say_will=say_will)

    def _guard(self, call: Any, *arguments: Any) -> None:
        if self.stopped_at is not None:
            self._socket.append((call, arguments))
        else:
            super()._guard(call, *arguments)
