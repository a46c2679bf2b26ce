"""A CLI that runs on a terminal of its own, of which we hold the other end: what it shows, and what it is sent."""

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm_tui.agent.interactive import small_programs
from swarm_tui.processes.descendants import ProcessInfo, descendants, dying_with_us, process_info, signal_process

Size = tuple[int, int]
#: Seconds that it has to end by itself after SIGTERM.
TERM_WAIT = 1.0
_LOOK = 0.02
_CHUNK = 65536
_TICKS = os.sysconf("SC_CLK_TCK")
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_ticks() -> int:
    """Return the time by which the kernel tells when a process started."""
    return int(time.clock_gettime(_BOOT_CLOCK) * _TICKS)


class CliProcess:
    """Life of the CLI, from its start to its end. The kernel ends it with the thread that started it."""

    def __init__(self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str], size: Size) -> None:
        """Start it. Raises OSError."""
        self.master, slave = os.openpty()
        self.began = time.monotonic()
        self._pending = bytearray()
        try:
            set_size(self.master, size)
            self._popen = subprocess.Popen(
                dying_with_us([sys.executable, "-P", "-I", "-S", small_programs.__file__, "terminal", *argv]),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=cwd,
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:
            os.close(self.master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(self.master, False)

    @property
    def pid(self) -> int:
        """Return its process id, which is its group's and its session's too."""
        return self._popen.pid

    @property
    def waits(self) -> bool:
        """Return whether there is more to send than it took."""
        return bool(self._pending)

    def returncode(self) -> int | None:
        """Return its exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    def shown(self) -> bytes:
        """Return what it shows next; empty where that is nothing now, or its terminal is closed."""
        try:
            return os.read(self.master, _CHUNK)
        except OSError:
            return b""

    def send(self, keys: bytes = b"") -> None:
        """Send keys, after those that it did not take yet."""
        self._pending += keys
        with contextlib.suppress(OSError):
            while self._pending:
                sent = os.write(self.master, self._pending[:4096])
                del self._pending[:sent]

    def resize(self, size: Size) -> None:
        """Give its terminal another size; it is told."""
        set_size(self.master, size)

    def kill(self) -> None:
        """Kill it at once; `end` must follow."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it with what it has started, by SIGTERM, then SIGKILL, and let go of its terminal."""
        tree = descendants(self.pid)
        if self.returncode() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGTERM)
            until = time.monotonic() + TERM_WAIT
            while self.returncode() is None and time.monotonic() < until:
                self.shown()
                time.sleep(_LOOK)
        self.kill()
        kill(tree)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(TERM_WAIT)
        with contextlib.suppress(OSError):
            os.close(self.master)


def kill(tree: Sequence[ProcessInfo]) -> None:
    """Kill these processes, and what they have started meanwhile."""
    for info in [*tree, *(below for one in tree for below in descendants(one.pid))]:
        now = process_info(info.pid)
        if now is not None and now.key == info.key:
            signal_process(info, signal.SIGKILL)


def size_of(fd: int) -> Size | None:
    """Return a terminal's rows and columns; None where it has none."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return None
    return (rows, columns) if rows and columns else None


def set_size(fd: int, size: Size) -> None:
    """Set a terminal's rows and columns."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[0], size[1], 0, 0))
