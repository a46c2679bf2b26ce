"""The waits of the bus's thread: what wakes it, what it then does for others, and how long it waits to try again."""

import random
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from swarm_tui.bus.port import OnTurn

LONGEST_WAIT = 5.0
#: Seconds that a link must last to count as one, and how many shorter ones in a row are tried again at once.
SHORT_LINK, MOST_SHORT = 1.0, 8
#: Seconds between two looks of a bus that closes whether all was sent.
CLOSING_LOOK = 0.02
#: Seconds after which a turn that failed is tried again.
_AFTER_FAILURE = 1.0
#: Messages a second up to which reads wait; a broker that lets 20 be unacknowledged must not be held up.
CALM = 150
#: Seconds over which those are counted.
COUNTED = 0.5
#: Seconds after something of ours was said in which no read waits: what comes may be the answer.
ANSWERED_WITHIN = 1.0


class Wakeup:
    """A byte in a pipe, written once however many ring.

    Thread-safe to ring; the one thread that waits polls `fileno()` and then calls `quiet`.
    """

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


class Backoff:
    """The wait between two tries to connect: short at first, never over five seconds, never in step with others."""

    def __init__(self) -> None:
        self._attempt = 0
        """Number of times that the wait was doubled."""
        self._short = 0
        """Links in a row that were closed as soon as they were up."""
        self._up_since: float | None = None
        self._random = random.Random()

    def began(self, now: float) -> None:
        """Take in that the link is up."""
        self._up_since = now

    def ended(self, now: float) -> None:
        """Take in that a try is over. A broker that again and again closes what it accepted is left in peace."""
        since, self._up_since = self._up_since, None
        if since is None:
            self._attempt += 1
        elif now - since >= SHORT_LINK:
            self._attempt = self._short = 0
        else:
            self._short += 1
            self._attempt = max(0, self._short - MOST_SHORT)

    def wait(self, wakeup: Wakeup, done: Callable[[], bool], *, closing: bool) -> None:
        """Wait before the next try, or until all is `done`; while `closing` it looks often."""
        # The first time after a link that lasted it tries again almost at once.
        limit = min(LONGEST_WAIT, 0.2 * 2 ** min(self._attempt, 8))
        deadline = time.monotonic() + limit * self._random.uniform(0.5, 1.0)
        while (left := deadline - time.monotonic()) > 0 and not done():
            if select.select([wakeup], [], [], min(left, CLOSING_LOOK) if closing else left)[0]:
                wakeup.quiet()


class Turns:
    """Calls back when something came that the work may have to do with, or when it asked to be called again.

    `due` is for any thread to set, `give` for the connection's thread. `failed(what, error)` counts what it raised.
    """

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self.call: OnTurn | None = None
        self.due = False
        """Something came; a broker's acknowledgement is nothing of the kind."""
        self.by = float("inf")
        """When it wants to be called again, in monotonic seconds."""
        self.running = False
        self._failed = failed

    def give(self) -> None:
        """Call back, if it is time."""
        if not self.due and time.monotonic() < self.by:
            return
        # Before it is read who is called: somebody else may be by the next look.
        self.due = False
        call, wait = self.call, float("inf")
        if call is not None:
            self.running = True
            try:
                wait = call()
            except Exception as error:  # noqa: BLE001 - nothing may end the connection's thread but close()
                self._failed("a turn", error)
                wait = _AFTER_FAILURE
            finally:
                self.running = False
        self.by = time.monotonic() + wait


class Lulls:
    """Puts the next read off by `seconds`, where they are any, while little comes; all times are monotonic seconds.

    Whoever need not hear each message as it comes is woken once for all that came meanwhile.
    """

    def __init__(self, wakeup: Wakeup, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.read_by = 0.0
        """When the next read is; 0 when it waits for nothing."""
        self.now = False
        """Whether the connection's thread waits so: a ring ends it."""
        self._wakeup = wakeup
        self._answered_by = 0.0
        self._began, self._count, self._rate = 0.0, 0, 0.0

    def spoke(self) -> None:
        """Note that something was said which may be answered."""
        if self.seconds:
            self._answered_by = time.monotonic() + ANSWERED_WITHIN

    def read(self, messages: int, now: float) -> None:
        """Note how many messages a read brought, and decide whether the next one waits."""
        if not self.seconds:
            return
        if (passed := now - self._began) > COUNTED:
            self._began, self._count, self._rate = now, 0, self._count / passed
        self._count += messages
        calm = max(self._rate, self._count / COUNTED) <= CALM and now > self._answered_by
        self.read_by = now + self.seconds if calm else 0.0

    def poll(self, poller: select.poll, timeout: float) -> set[int]:
        """Return which of the wakeup and the socket have something for us, after at most so many milliseconds."""
        if self.read_by:
            left = (self.read_by - time.monotonic()) * 1000
            self.now = True
            rung = left > 0 and select.select([self._wakeup], [], [], min(left, timeout) / 1000)[0]
            self.now = False
            if rung or left > timeout:
                self.read_by = 0.0 if rung else self.read_by
                return {self._wakeup.fileno()} if rung else set()
            self.read_by, timeout = 0.0, timeout - max(0.0, left)
        return {fd for fd, _ in poller.poll(timeout)}
