"""Find what a process has started, however deep, and signal a process by its pid and start time.

Linux tells of them by `/proc`; elsewhere nothing is found, and process groups are all that is ended.
"""

import os
import signal
from collections.abc import Iterator
from functools import cache

_PR_SET_CHILD_SUBREAPER = 36


class ProcessInfo:
    """A process as the kernel tells of it. `started` tells it from a later one of its pid: ticks since boot."""

    __slots__ = ("group", "parent", "pid", "session", "started", "zombie")

    def __init__(self, pid: int, parent: int, group: int, session: int, started: int, *, zombie: bool) -> None:
        self.pid, self.parent, self.group, self.session, self.started = pid, parent, group, session, started
        self.zombie = zombie

    def __repr__(self) -> str:
        return f"ProcessInfo({self.pid}, parent={self.parent}, started={self.started})"

    @property
    def key(self) -> tuple[int, int]:
        """The pid and the start time: what no other process since boot has."""
        return self.pid, self.started

    @property
    def command(self) -> str:
        """Return its command line, words separated by a space; empty when it is gone or does not tell."""
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as file:
                return file.read(4096).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return ""


def process_info(pid: int) -> ProcessInfo | None:
    """Return the process of that pid, a zombie too; None when there is none, or the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return ProcessInfo(
            pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), zombie=fields[0] in (b"Z", b"X")
        )
    except (OSError, ValueError, IndexError):
        return None


def all_processes() -> dict[int, ProcessInfo]:
    """Return every process that this user may see, by pid."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    return {pid: info for pid in pids if (info := process_info(pid)) is not None}


def descendants(of: int, processes: dict[int, ProcessInfo] | None = None) -> list[ProcessInfo]:
    """Return the children of the process `of`, theirs, and so on, each after its parent."""
    children: dict[int, list[ProcessInfo]] = {}
    for info in (all_processes() if processes is None else processes).values():
        children.setdefault(info.parent, []).append(info)
    return list(_below(of, children))


def _below(pid: int, children: dict[int, list[ProcessInfo]]) -> Iterator[ProcessInfo]:
    waiting = [pid]
    while waiting:
        found = children.pop(waiting.pop(), [])
        yield from found
        waiting += [info.pid for info in found]


def signal_process(info: ProcessInfo, number: int) -> bool:
    """Signal that very process, never a later one of its pid; False when it is gone or not ours to signal."""
    try:
        handle = os.pidfd_open(info.pid)
    except (OSError, AttributeError):
        return _signal_by_pid(info, number)
    try:
        # The handle is of one process: it is the right one if the start time read now is.
        now = process_info(info.pid)
        if now is None or now.started != info.started or now.zombie:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _signal_by_pid(info: ProcessInfo, number: int) -> bool:
    """Signal where the kernel has no handles of processes."""
    now = process_info(info.pid)
    if now is None or now.started != info.started or now.zombie:
        return False
    try:
        os.kill(info.pid, number)
    except OSError:
        return False
    return True


@cache
def become_subreaper() -> bool:
    """Have every orphan among our descendants become our child, so that none gets lost; False where that cannot be.

    A double fork or a `setsid` then leads out of a session and a group, and not out of our family.
    """
    try:
        import ctypes  # Only agents that start programs pay for it.

        return not ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return False


def dying_with_us(argv: list[str], by: str = "KILL") -> list[str]:
    """Return `argv`, such that the kernel signals it when the thread that starts it ends; `argv` itself where none can.

    The util-linux `setpriv` does it. That of busybox, and older ones, know no `--pdeathsig`: they are tried once.
    """
    program = setpriv()
    return [program, "--pdeathsig", by, "--", *argv] if program else argv


@cache
def setpriv() -> str | None:
    """Return the program that ties another's life to ours; None where none can."""
    from shutil import which
    from subprocess import DEVNULL, run

    found = which("setpriv")
    if found is None:
        return None
    try:
        tried = run(
            [found, "--pdeathsig", "KILL", "--", "true"],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            timeout=5.0,
            check=False,
        )
    except (OSError, ValueError, TimeoutError):
        return None
    except Exception:  # noqa: BLE001 - subprocess's own timeout: whatever hangs here must not be relied on
        return None
    return found if tried.returncode == 0 else None
