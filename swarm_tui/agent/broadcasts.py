"""Words that others call out to everybody, on the agent's pane: a few lines at a time; what is too much is counted."""

import threading
from collections.abc import Callable

#: So many lines within so many seconds are shown.
MOST, WITHIN = 10, 10.0


class Broadcasts:
    """Shows lines by `note(line, mark)`; of any thread. Times are monotonic seconds."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._since = float("-inf")
        self._shown = 0
        self._skipped = 0

    def show(self, line: str, now: float) -> float | None:
        """Show the line, or count it; when `tick` must be called to tell how many were skipped."""
        with self._lock:
            self._tell(now)
            if now - self._since >= WITHIN:
                self._since, self._shown = now, 0
            if self._shown < MOST:
                self._shown += 1
                self._note(line, "📨")
                return None
            self._skipped += 1
            return self._since + WITHIN

    def tick(self, now: float) -> float | None:
        """Tell what was skipped once its time is over; when to look again."""
        with self._lock:
            self._tell(now)
            return self._since + WITHIN if self._skipped else None

    def _tell(self, now: float) -> None:
        if self._skipped and now >= self._since + WITHIN:
            self._note(f"{self._skipped} more like these were not shown: {MOST} in {WITHIN:g} s are the most", "📨")
            self._skipped = 0
