"""The panes of this host: one control client marks them dirty, one thread captures those that are watched."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from swarm_tui.tmux.attach import attach, attach_far
from swarm_tui.tmux.control import ControlClient
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.pane_sizes import PaneSizes
from swarm_tui.tmux.server import Tmux

PAUSE = 0.1
"""Seconds between two captures at least."""


class TmuxPanes:
    """A pane that prints ten thousand times a second is still captured ten times; one that nobody sees, never."""

    def __init__(self, tmux: Tmux, session: str) -> None:
        self._tmux = tmux
        self._session = session
        self._wake = threading.Condition()
        self._sizes = PaneSizes(time.monotonic)
        self._watched: frozenset[str] = frozenset()
        self._dirty: set[str] = set()
        self._captured: dict[str, list[str]] = {}
        self._last: dict[str, list[str]] = {}
        self._arrived: Callable[[], None] = lambda: None
        self._closing = False
        self._gone = ""
        self._control: ControlClient | None = None
        self._thread: threading.Thread | None = None

    def watch(self, panes: frozenset[str], size: tuple[int, int] | None = None) -> None:
        with self._wake:
            self._sizes.want(panes, size)
            self._watched = panes
            self._dirty = set(panes)
            self._last = {}
            self._wake.notify()
            if self._thread is None and not self._closing and panes:
                self._thread = threading.Thread(target=self._run, name="panes", daemon=True)
                self._thread.start()

    def on_arrival(self, call: Callable[[], None]) -> None:
        """Have it called, on the capturing thread, when a pane changed."""
        self._arrived = call

    def changed(self) -> Mapping[str, list[str]]:
        with self._wake:
            captured, self._captured = self._captured, {}
        return captured

    def history(self, pane_id: str, lines: int) -> list[str]:
        control = self._control
        return [] if control is None else control.capture(pane_id, history=lines)

    def attach(self, pane_id: str) -> int:
        return attach(self._tmux, self._session, pane_id)

    def attach_far(self, address: str, swarm: str, agent_id: str) -> str | None:
        return attach_far(address, swarm, agent_id)

    def why_not(self) -> str | None:
        return f"tmux does not answer: {self._gone}" if self._gone else None

    def close(self) -> None:
        """End the thread and the control client."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(3.0)
        if self._control is not None:
            self._control.close()

    # The control client's thread.

    def _printed(self, pane_id: str) -> None:
        if pane_id in self._watched:
            with self._wake:
                self._dirty.add(pane_id)
                self._wake.notify()

    def _changed(self) -> None:
        with self._wake:
            self._sizes.heard()
            self._wake.notify()

    def _lost(self, reason: str) -> None:
        self._gone = reason

    # The capturing thread.

    def _run(self) -> None:
        self._control = ControlClient(
            self._tmux, self._session, on_output=self._printed, on_change=self._changed, on_gone=self._lost
        )
        self._control.wait_up(5.0)
        while True:
            with self._wake:
                if not self._closing and not self._dirty & self._watched:
                    self._wake.wait(self._patience())
                if self._closing:
                    break
                wanted = sorted(self._dirty & self._watched)
                self._dirty.clear()
            began = time.monotonic()
            with suppress(TmuxError):  # That tmux is gone is heard of by capturing.
                self._sizes.work(self._control)
            for pane_id in wanted:
                self._capture(self._control, pane_id)
            time.sleep(max(0.02, PAUSE - (time.monotonic() - began)))
        with suppress(TmuxError):
            self._sizes.give_back(self._control)

    def _patience(self) -> float | None:
        """Return for how long to wait for a pane to print: until sizes are to be seen to."""
        return None if (due := self._sizes.due) is None else max(0.0, due - time.monotonic())

    def _capture(self, control: ControlClient, pane_id: str) -> None:
        try:
            lines = control.capture(pane_id, timeout=2.0)
        except TmuxError as error:
            self._gone = "" if control.is_up else str(error)
            if not control.is_up:
                self._retry(pane_id)
            return
        self._gone = ""
        with self._wake:
            if self._last.get(pane_id) == lines:
                return
            self._last[pane_id] = self._captured[pane_id] = lines
        self._arrived()

    def _retry(self, pane_id: str) -> None:
        """Try the pane again when the client, which is not connected, is back, and wait for that here."""
        assert self._control is not None
        self._control.wait_up(1.0)
        with self._wake:
            self._dirty.add(pane_id)
