"""An agent's look for conversations whose agents were killed here: what each took is read in its log, and said."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.process_groups import start_time
from swarm_tui.agent.running_attempt import RunningAttempt, attempt_token
from swarm_tui.protocol.bodies import AttemptUsage, Inbox
from swarm_tui.protocol.topics import Kind

#: Seconds between two looks, and between two words of what nobody has confirmed.
LOOK_EVERY, AGAIN = 20.0, 20.0
#: Seconds that a killed agent's own next life has before another on its host speaks for it.
OTHERS_AFTER = 30.0
#: Seconds after which a record that is of no use to anybody is thrown away.
KEPT = 7 * 86_400.0


class Owner(Struct, frozen=True, kw_only=True):
    """The attempt of a conversation that is under way, and the process that has it."""

    task_id: str
    worker: str
    attempt: int
    epoch: int | None
    pid: int
    started: str


def record_of(state_dir: Path, token: str) -> Path:
    """Return where the record of an attempt's conversation is while that is under way."""
    return state_dir / "conversations" / f"{token}.json"


class UsageDesk:
    """Says what killed conversations took until that is confirmed. Thread-safe; times are monotonic seconds."""

    def __init__(self, reporter: AgentReporter, agent_id: str, state_dir: Path, clock: Callable[[], float]) -> None:
        """Make it; `state_dir` is the swarm's, whose agents all write their records there."""
        self._reporter, self._me, self._state_dir, self._clock = reporter, agent_id, state_dir, clock
        self._due = 0.0
        self._dead: dict[Path, float] = {}
        """Records whose processes are gone, and since when that is known."""
        self._said: dict[tuple[str, int | None], Path] = {}
        self._reader: threading.Thread | None = None

    def forget(self, attempt: RunningAttempt) -> None:
        """Throw the record away of an attempt that has told its end."""
        lease = attempt.lease
        self._throw_away(record_of(self._state_dir, attempt_token(lease.task_id, lease.attempt, lease.epoch)))

    @property
    def is_reading(self) -> bool:
        """Return whether a log is being read."""
        return self._reader is not None and self._reader.is_alive()

    def again(self, now: float) -> None:
        """Look soon: the link or a dispatcher is new."""
        self._due = now

    def wake(self) -> float:
        """Return when `tick` is next worth a call."""
        return self._due

    def tick(self, now: float) -> None:
        """Look for what was left, and say it; a log may be long, and is read on a thread of its own."""
        if now < self._due:
            return
        self._due = now + LOOK_EVERY
        if (found := self._left_behind(now)) and self._reporter.bus.is_up() and not self.is_reading:
            self._reader = threading.Thread(target=self._say, args=(found,), name="usage", daemon=True)
            self._reader.start()

    def heard(self, order: Inbox) -> None:
        """Hear an ack: what was said counts, or never will."""
        if (path := self._said.pop((order.task_id or "", order.attempt), None)) is not None:
            self._throw_away(path)

    def _left_behind(self, now: float) -> list[Path]:
        paths = []
        for path in (self._state_dir / "conversations").glob("*.json"):
            if _is_old(path):
                self._throw_away(path)
            else:
                paths.append(path)
        self._dead = {path: self._dead.get(path, now) for path in paths if (owner := _owner(path)) and _is_gone(owner)}
        return [path for path, since in self._dead.items() if self._is_mine(path) or now - since >= OTHERS_AFTER]

    def _is_mine(self, path: Path) -> bool:
        owner = _owner(path)
        return owner is not None and owner.worker == self._me

    def _say(self, paths: list[Path]) -> None:
        from swarm_tui.agent.conversation.open_conversation import read

        for path in paths:
            try:
                known = read(path)
                used = known.usage()
            except (OSError, msgspec.DecodeError):
                continue
            if used is not None:
                self._said[(known.task_id, known.attempt)] = path
                self._reporter.say(
                    Kind.TASK_USAGE,
                    AttemptUsage(
                        task_id=known.task_id,
                        agent_id=self._me,
                        worker=known.worker,
                        attempt=known.attempt,
                        epoch=known.epoch,
                        session=known.session,
                        usage=used.wire(),
                    ),
                )
            elif known.worker == self._me:
                # Its model was asked nothing, or nobody will ever know.
                self._throw_away(path)

    def _throw_away(self, path: Path) -> None:
        self._dead.pop(path, None)
        with suppress(OSError):
            path.unlink()


def _owner(path: Path) -> Owner | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def _is_old(path: Path) -> bool:
    """Return whether nobody has been able to do anything with the record for long."""
    try:
        return path.stat().st_mtime < time.time() - KEPT and not ((owner := _owner(path)) and not _is_gone(owner))
    except OSError:
        return False


def _is_gone(owner: Owner) -> bool:
    return start_time(owner.pid) != owner.started
