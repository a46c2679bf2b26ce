"""The waking of a thread that waits for a socket: a byte in a pipe, written once however many ring."""

import socket
import threading
from contextlib import suppress


class Wakeup:
    """Thread-safe to ring; the one thread that waits polls `fileno()` and then calls `quiet`."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        """Return the number to poll for input; -1 once closed."""
        return self._read.fileno()

    def ring(self, *, unless: threading.Thread | None = None) -> None:
        """Wake the one who waits, now or as soon as it waits again; not when we are the thread `unless`."""
        if not self._rung and (unless is None or unless is not threading.current_thread()):
            self._rung = True
            # A full pipe wakes it too; a closed one has nobody to wake.
            with suppress(OSError):
                self._write.send(b"\0")

    def quiet(self) -> None:
        """Make it ready to be rung anew."""
        with suppress(BlockingIOError):
            self._read.recv(4096)
        # Only now: a ring between the two would leave the flag set over an empty pipe, and nobody would write again.
        self._rung = False

    def close(self) -> None:
        """Close both ends: nobody waits any more."""
        self._read.close()
        self._write.close()
