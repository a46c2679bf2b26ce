"""The dispatcher's turns: its work is done on its bus's thread, and on its own when that one has no turns."""

import threading
from collections.abc import Callable

from swarm_tui.bus.port import Bus

#: Seconds between two looks of the dispatcher's own thread while the bus's thread works.
LOOK = 1.0


class TurnScheduler:
    """Calls `work`, never twice at once, until it returns None; else it says in how many seconds to call it again.

    On the bus's thread nothing is handed over between two threads that would wait for each other's interpreter: what
    was heard is decided, written and said in one go. While the link is down the dispatcher's own thread works.
    """

    def __init__(self, bus: Bus, work: Callable[[], float | None]) -> None:
        self._bus = bus
        self._work = work
        self._mine = threading.Lock()
        self._nudge = threading.Event()
        self._over = False
        self._failure: Exception | None = None
        self._bus_thread = 0

    def run(self) -> None:
        """Work until there is no more to do, on the dispatcher's own thread. Raises what `work` raised."""
        shared = self._bus.on_turn(self._turn)
        while not self._over:
            with self._mine:
                wait = self._once()
            if shared:
                # Only the bus's thread keeps the time, and it does not know what this look put off.
                self._bus.on_turn(self._turn)
            self._nudge.wait(LOOK if shared else wait)
            self._nudge.clear()
        with self._mine:
            # A turn that the bus's thread still had is over.
            self._bus.on_turn(None)
        if self._failure is not None:
            raise self._failure

    def nudge(self, *, surely: bool = False) -> None:
        """Wake the dispatcher; on the bus's thread, whose turn comes anyway, only when it is `surely` needed."""
        if surely or threading.get_ident() != self._bus_thread:
            self._nudge.set()

    def _turn(self) -> float:
        self._bus_thread = threading.get_ident()
        if not self._mine.acquire(blocking=False):
            self._nudge.set()
            return LOOK
        try:
            return self._once()
        finally:
            self._mine.release()

    def _once(self) -> float:
        if self._over:
            return LOOK
        try:
            wait = self._work()
        except Exception as error:  # noqa: BLE001 - it belongs to the dispatcher, not to the bus
            wait, self._failure = None, error
        if wait is None:
            self._over = True
            self._nudge.set()
            return LOOK
        return wait
