"""The agent's own process: its age, memory and share of a core."""

import os
import time

from msgspec import Struct


class Vitals(Struct, frozen=True):
    """`uptime` s, `rss` bytes (None where it cannot be known), `cpu` percent of a core since the last look."""

    uptime: float
    rss: int | None
    cpu: float


class UsageMeter:
    """Takes the vitals; one look a heartbeat."""

    def __init__(self) -> None:
        self._born = self._looked = time.monotonic()
        self._spent = time.process_time()

    def uptime(self) -> float:
        """Return seconds since the agent started."""
        return round(time.monotonic() - self._born, 3)

    def look(self) -> Vitals:
        """Return the vitals now."""
        now, spent = time.monotonic(), time.process_time()
        share = 100 * (spent - self._spent) / max(now - self._looked, 0.001)
        self._looked, self._spent = now, spent
        return Vitals(round(now - self._born, 3), rss(), round(share, 2))


def rss() -> int | None:
    """Return the resident memory of this process in bytes; None where it cannot be known."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import psutil

        return int(psutil.Process().memory_info().rss)
    except (ImportError, OSError, RuntimeError):
        return None
