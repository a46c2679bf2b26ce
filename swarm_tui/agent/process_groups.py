"""Keep a list of the process groups of handlers, by leader and start time, that ends them with their agent."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from swarm_tui.processes import marks

#: The mark by which the shell is known, should it become a child of ours after all.
GUARDIAN_MARK = "agent"
#: Reads what lives, a line for each change: groups as numbers, attempts as `t<token>`. At the end of its input it kills
#: the groups of the last line, then has found by their mark what left them.
_GUARDIAN = """
trap "" INT TERM HUP
g=; t=
while read -r l; do g=$l; done
for p in $g; do case $p in t*) t="$t ${p#t}";; *) kill -KILL "-$p";; esac; done 2>/dev/null
[ -z "$t" ] || exec "$@" $t
"""
#: Starts the first as nobody's child: an agent without children has nothing left to end, and the kernel tells that.
_ORPHAN = 'exec 3<&0; g=$1; shift; /bin/sh -c "$g" guardian "$@" <&3 3<&- &'
#: Ours comes last on the path: it stands beside what else is installed.
_SWEEP = "import sys; sys.path.append(sys.argv[1]); from swarm_tui.processes.marks import main; main(sys.argv[2:])"


class ProcessGroups:
    """A shell that outlives the agent by an instant and ends what the agent had running, grandchildren too.

    It starts with the first program. The kernel closes its input whatever way the agent dies.
    """

    def __init__(self, state_dir: str, agent_id: str) -> None:
        self._whose = (state_dir, agent_id)
        self._groups: dict[int, str] = {}
        self._input: int | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the shell, if it is not there; to be called before orphans become our children."""
        with self._lock:
            if self._input is None:
                self._start()

    def watch(self, pid: int, token: str) -> None:
        """Note that a group with this leader has started; `token` is in the mark of its processes."""
        with self._lock:
            self._groups[pid] = token
            if self._input is None or not self._tell():
                self._start()
                self._tell()

    def release(self, pid: int) -> None:
        """Note that the group has ended, or shall live on."""
        with self._lock:
            self._groups.pop(pid, None)
            self._tell()

    def close(self) -> None:
        """End the shell: no group is left."""
        with self._lock:
            self._groups.clear()
            self._tell()
            self._drop()

    def _start(self) -> None:
        from subprocess import DEVNULL, run

        self._drop()
        sweep = [sys.executable, "-P", "-I", "-c", _SWEEP]
        output, self._input = os.pipe()
        try:
            run(
                ["/bin/sh", "-c", _ORPHAN, "orphan", _GUARDIAN, *sweep, _home(), *self._whose],
                stdin=output,
                stdout=DEVNULL,
                stderr=DEVNULL,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", marks.VARIABLE: GUARDIAN_MARK},
                start_new_session=True,
                check=False,
            )
        except OSError:
            self._drop()
        finally:
            os.close(output)

    def _drop(self) -> None:
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def _tell(self) -> bool:
        """Return whether the shell heard which groups live."""
        if self._input is None:
            return False
        try:
            words = [str(pid) for pid in sorted(self._groups)] + [f"t{token}" for token in set(self._groups.values())]
            os.write(self._input, (" ".join(words) + "\n").encode())
        except OSError:
            return False
        return True


def _home() -> str:
    """Return the folder that our package lies in."""
    return str(Path(__file__).parents[2])


def start_time(pid: int) -> str:
    """Return when the process started, as text that no later one of its pid shares; empty when it is gone, or dead."""
    fields = _stat(pid)
    if fields is not None:
        return "" if fields[0] in ("Z", "X") else f"{_boot()}:{fields[19]}"
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
    """Return the fields of /proc/<pid>/stat after the name: state, ppid, pgrp, …"""
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
