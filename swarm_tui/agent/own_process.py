"""Look at the agent's own process: its age, memory and share of a core, and the package that it runs."""

import os
import re
import time
from pathlib import Path

from msgspec import Struct

import swarm_tui

_VERSION = re.compile(r'^__version__ = "([^"\n]{1,40})"', re.MULTILINE)


_leader: list[int] = []


def led_by(pid: int) -> None:
    """Note that this process is a fork of the warm one, and which process leads its pane (`agent/pane_leader.py`)."""
    _leader[:] = [pid]


def pane_pid() -> int:
    """Return the pid of the agent's pane: this process's own, or its leader's."""
    return _leader[0] if _leader else os.getpid()


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


class Installation:
    """The package as it was when this process began."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or Path(swarm_tui.__file__)
        self._was = self._signature()

    def changed(self) -> str:
        """Return a sentence once the package on disk is another one, or gone; else empty."""
        now = self._signature()
        if now == self._was:
            return ""
        if now is None:
            return (
                f"swarm-tui {swarm_tui.__version__} runs here and is not installed any more: install it, then restart"
            )
        return f"swarm-tui {self._version()} is installed, and an older installation runs here: restart this agent"

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _version(self) -> str:
        try:
            found = _VERSION.search(self._path.read_text("utf-8", "replace"))
        except OSError:
            found = None
        return found[1] if found else "of another version"
