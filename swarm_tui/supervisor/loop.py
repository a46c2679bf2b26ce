"""Run the supervisor's one thread: exits from the kernel, calls from other threads, signals and timers, in turn."""

import heapq
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from swarm_tui.supervisor.processes import is_alive, start_time

Call = Callable[[], None]
#: What comes this much too late says that the machine, or we, stood still; seconds.
STALL = 5.0


class Timer:
    """A call to come; `cancel()` before it is made."""

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Runs calls one after another; only `post` may be used from other threads.

    `on_stall` hears how many seconds the machine or this process stood still, when they are more than `stall`.
    """

    def __init__(self, on_error: Callable[[Exception], None], on_stall: Callable[[float], None]) -> None:
        self._on_error, self._on_stall = on_error, on_stall
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._posted: deque[Call] = deque()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._read, selectors.EVENT_READ)
        self._watched: dict[int, Call] = {}
        self._asleep, self._looked = _asleep(), time.monotonic()
        self.stall = STALL
        self.running = False

    def post(self, call: Call) -> None:
        """Have `call` made on the loop's thread, soon; from any thread, and from a signal handler."""
        self._posted.append(call)
        with suppress(OSError):
            os.write(self._write, b"\0")

    def after(self, delay: float, call: Call) -> Timer:
        """Make `call` in `delay` seconds."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._order), timer))
        return timer

    def on_signal(self, number: signal.Signals, call: Call) -> None:
        """Make `call` when the signal comes."""
        signal.signal(number, lambda _number, _frame: self.post(call))

    def watch(self, pid: int, call: Call) -> Call:
        """Make `call` once when the process ends; what is returned ends the watch."""
        try:
            descriptor = os.pidfd_open(pid)
        except AttributeError:
            return self._poll(pid, call)
        except OSError:
            timer = self.after(0.0, call)
            return timer.cancel

        def end() -> None:
            # Once it is closed another watch may have its number.
            if self._watched.get(descriptor) is fired:
                del self._watched[descriptor]
                self._selector.unregister(descriptor)
                os.close(descriptor)

        def fired() -> None:
            end()
            call()

        self._watched[descriptor] = fired
        self._selector.register(descriptor, selectors.EVENT_READ)
        return end

    def _poll(self, pid: int, call: Call) -> Call:
        """Look again and again, where the kernel offers no pidfd."""
        began = start_time(pid)
        timer: list[Timer] = []

        def look() -> None:
            if is_alive(pid, began):
                timer[:] = [self.after(0.25, look)]
            else:
                call()

        timer.append(self.after(0.0, look))
        return lambda: timer[0].cancel()

    def run(self) -> None:
        """Until `stop`."""
        self.running = True
        while self.running:
            self.turn(self._wait())

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        """Let go of every descriptor."""
        for descriptor in list(self._watched):
            self._selector.unregister(descriptor)
            os.close(descriptor)
        self._watched.clear()
        self._selector.close()
        os.close(self._read)
        os.close(self._write)

    def turn(self, limit: float | None) -> None:
        """Wait for at most `limit` seconds for something to do, and do all of it."""
        for key, _ in self._selector.select(limit):
            if key.fd == self._read:
                with suppress(OSError):
                    os.read(self._read, 65536)
            elif (fired := self._watched.get(key.fd)) is not None:
                self._make(fired)
        self._notice_stall(limit)
        while self._posted:
            self._make(self._posted.popleft())
        while self._timers and self._timers[0][0] <= time.monotonic():
            call = heapq.heappop(self._timers)[2].call
            if call is not None:
                self._make(call)

    def _notice_stall(self, limit: float | None) -> None:
        """Tell `on_stall` when more time went by since the last look than was waited for."""
        asleep, now = _asleep(), time.monotonic()
        slept, self._asleep = asleep - self._asleep, asleep
        late = 0.0 if limit is None else now - self._looked - limit
        self._looked = now
        if slept > 1.0 or late > self.stall:
            self._on_stall(max(slept, late))

    def _wait(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _make(self, call: Call) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  (one agent's trouble must not end the supervision of all)
            self._on_error(error)


def _asleep() -> float:
    """Return the seconds that the machine has been suspended since boot, where the system tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.clock_gettime(time.CLOCK_MONOTONIC) if clock is not None else 0.0
