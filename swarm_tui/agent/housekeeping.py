"""An agent's cleaning: large results, where no dispatcher's journal is that forgets them with their tasks."""

import random
import time
from collections.abc import Callable
from functools import cached_property

from swarm_tui.agent.worker_journal import read_entries
from swarm_tui.config.paths import StateDir
from swarm_tui.journal.results import KEEP_DAYS, swept

#: Seconds until the first look, between two, and between two parts of one; files of one part.
FIRST, EVERY, NEXT = 60.0, 3600.0, 1.0
AT_ONCE = 500


class Housekeeping:
    """Removes results that are as old as a dispatcher lets them become. A dispatcher on this machine does it itself.

    The folder is shared by all agents of the swarm here: what any of them has yet to report stays.
    """

    def __init__(self, state: StateDir, now: float, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._swept = swept(state)
        # Those that were started together do not all look at once.
        self._due = now + FIRST * (1 + random.random())

    def tick(self, now: float) -> float:
        """Look at one part of the folder when it is time; when to call again. Times are monotonic."""
        if now < self._due:
            return self._due
        more = not self._state.dispatch.exists() and self._sweep()
        self._due = now + (NEXT if more else EVERY * (0.75 + random.random() / 2))
        return self._due

    def _sweep(self) -> bool:
        """Return whether the folder has more."""
        wall = self._clock()
        owed = _Owed(self._state)
        for files in self._swept:
            files.sweep(wall - KEEP_DAYS * 86400, wall, owed.has, at_once=AT_ONCE)
        return any(files.more for files in self._swept)


class _Owed:
    """The tasks that an agent here works at, or has done and not yet reported. Read once, and only when asked."""

    def __init__(self, state: StateDir) -> None:
        self._state = state

    @cached_property
    def _tasks(self) -> frozenset[str] | None:
        try:
            journals = self._state.worker("*").parent.glob("*.journal")
            return frozenset(entry.task_id for path in list(journals) for entry in read_entries(path))
        except OSError:
            return None

    def has(self, task_id: str) -> bool:
        return self._tasks is None or task_id in self._tasks
