"""The agent's clockwork: a thread for heartbeats and nothing else, a thread for all that is due at a time."""

import logging
import threading
import time
from collections.abc import Callable

from swarm_tui.domain.liveness import BEAT

#: Seconds after which a tick that failed is tried again.
AFTER_FAILURE = 1.0
_log = logging.getLogger("swarm_tui.agent")


class HeartbeatThread:
    """Calls `beat` every `every` seconds on a thread of its own: whatever hangs elsewhere, this goes on."""

    def __init__(self, beat: Callable[[], None], every: float = BEAT) -> None:
        self._beat = beat
        self._every = every
        self.failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        due = time.monotonic() + self._every
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.failures += _tried(self._beat)
            # After a suspend the missed beats are not made up for.
            due = max(due, time.monotonic() - self._every) + self._every


class TimerThread:
    """Calls `tick(now)`, which says when it wants to be called next; sleeps without a wake-up until then."""

    def __init__(self, tick: Callable[[float], float | None]) -> None:
        self._tick = tick
        self._changed = threading.Condition(threading.Lock())
        self._due: float | None = None
        self.failures = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake_at(self, when: float | None) -> None:
        """Have `tick` called no later than `when`, in monotonic seconds."""
        if when is None or (self._due is not None and self._due <= when):
            return
        with self._changed:
            if self._due is None or when < self._due:
                self._due = when
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed:
                    left = None if self._due is None else self._due - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                if self._closed:
                    return
                self._due = None
            self.failures += _tried(lambda: self.wake_at(self._tick(time.monotonic())), self._again)

    def _again(self) -> None:
        self.wake_at(time.monotonic() + AFTER_FAILURE)


def _tried(call: Callable[[], None], otherwise: Callable[[], None] = lambda: None) -> int:
    """Call, and go on whatever it raises: the clockwork outlives one failure. Returns how many failed."""
    try:
        call()
    except Exception:  # noqa: BLE001 - heartbeats and repeats must not end with one exception
        _log.exception("the agent's clockwork")
        otherwise()
        return 1
    return 0
