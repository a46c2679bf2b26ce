"""Process groups of handlers: known by leader and start time, ended with their task and with their agent."""

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import Popen

#: Reads the groups that live, a line for each change; at the end of its input it kills the last it read.
_GUARDIAN = (
    'trap "" INT TERM HUP; g=; while read -r l; do g=$l; done; for p in $g; do kill -KILL "-$p"; done 2>/dev/null'
)


class ProcessGroups:
    """A shell that outlives the agent by an instant and ends what the agent had running, grandchildren too.

    It starts with the first group. The kernel closes its input whatever way the agent dies.
    """

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._shell: Popen[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self, pid: int) -> None:
        """A group with this leader has started."""
        with self._lock:
            self._groups.add(pid)
            if self._shell is None or self._shell.poll() is not None:
                self._start()
            self._tell()

    def release(self, pid: int) -> None:
        """The group has ended."""
        with self._lock:
            self._groups.discard(pid)
            self._tell()

    def close(self) -> None:
        """No group is left."""
        with self._lock:
            self._groups.clear()
            self._tell()
            if self._shell is not None and self._shell.stdin is not None:
                with contextlib.suppress(OSError):
                    self._shell.stdin.close()
                self._shell.wait()

    def _start(self) -> None:
        from subprocess import DEVNULL, PIPE, Popen

        with contextlib.suppress(OSError):
            self._shell = Popen(
                ["/bin/sh", "-c", _GUARDIAN],
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=DEVNULL,
                cwd="/",
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )

    def _tell(self) -> None:
        if self._shell is None or self._shell.stdin is None:
            return
        with contextlib.suppress(OSError, ValueError):
            self._shell.stdin.write((" ".join(map(str, sorted(self._groups))) + "\n").encode())
            self._shell.stdin.flush()


def start_time(pid: int) -> str:
    """When the process started, as text that no later process of that number shares; empty when it is gone."""
    fields = _stat(pid)
    if fields is not None:
        return f"{_boot()}:{fields[19]}"
    if os.path.isdir("/proc/self"):
        return ""
    with contextlib.suppress(Exception):
        import psutil

        return str(psutil.Process(pid).create_time())
    return ""


def end_left_behind(pid: int, started: str) -> bool:
    """Kill the group that a predecessor started, if it is still that group; True when there was one."""
    alive = start_time(pid)
    if alive:
        if alive != started:
            return False
    elif not _members_since(pid, started):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
        return True
    return False


def signal_group(pid: int, number: int) -> None:
    """Signal a group that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the name: state, ppid, pgrp, …"""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _members_since(group: int, started: str) -> bool:
    """Return whether the group, its leader gone, still holds processes that are no older than it."""
    boot, _, ticks = started.partition(":")
    if boot != _boot() or not ticks.isdigit():
        return False
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            fields = _stat(int(name)) if name.isdigit() else None
            if fields is not None and int(fields[2]) == group and int(fields[19]) >= int(ticks):
                return True
    return False


def _boot() -> str:
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""
