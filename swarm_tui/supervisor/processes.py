"""Look at and signal processes by pid and start time, never by name."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_LINUX = Path("/proc/self/stat").exists()
#: What stands before its agent's pid in the command line of a pane's leader.
LEADER = "swarm-tui-agent"


def start_time(pid: int) -> float | None:
    """Return when the process started, seconds since boot (elsewhere since the epoch); None when gone or a zombie."""
    if not _LINUX:
        return _by_psutil(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19]) / _TICKS
    except (OSError, ValueError, IndexError):
        return None


def _by_psutil(pid: int) -> float | None:
    import psutil  # Only systems without /proc pay for it.

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def now() -> float:
    """Return the time that a process which starts now has as its start time."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if clock is None or not _LINUX else time.clock_gettime(clock)


def is_alive(pid: int | None, started: float | None = None) -> bool:
    """Return whether that very process lives; without `started`, whether any of that pid does."""
    if not pid:
        return False
    now = start_time(pid)
    return now is not None and (started is None or abs(now - started) < 0.05)


def is_stopped(pid: int) -> bool:
    """Return whether the process stands still by a signal (SIGSTOP, SIGTSTP) or a debugger."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])
    except OSError:
        if _LINUX:
            return False
    import psutil  # Only systems without /proc pay for it.

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def signal_one(pid: int | None, started: float | None, number: signal.Signals) -> bool:
    """Signal that very process; False when it is gone."""
    if not pid or not is_alive(pid, started):
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        return True
    return False


def signal_group(pid: int | None, started: float | None, number: signal.Signals) -> bool:
    """Signal that very process and the group it leads; False when it is gone."""
    if not pid or not is_alive(pid, started):
        return False
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid and pid != os.getpgrp():
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
        return True
    return False


def words(pid: int) -> list[str]:
    """Return the process's command line; empty when it is gone, or the system does not tell."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def memory_left() -> int:
    """Return the bytes of memory that can still be used."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    import psutil

    return int(psutil.virtual_memory().available)


def agent_of(pid: int) -> int:
    """Return the pid of the agent whose pane's leader the process is (`agent/pane_leader.py`); else `pid` itself."""
    found = words(pid)[3:5]
    return int(found[1]) if found[:1] == [LEADER] and found[1].isdigit() else pid


def memory_of(pid: int) -> int:
    """Return the bytes of memory that the process holds, or the agent that it leads; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{agent_of(pid)}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
