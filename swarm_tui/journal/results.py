"""Remove files that belong to tasks, results too large for a message and output, once those are forgotten."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from swarm_tui.config.paths import StateDir
from swarm_tui.journal.task_output import NAME

#: Days for which what has ended is kept.
KEEP_DAYS = 7.0
#: Seconds for which a file is left alone whatever the journal says: what names it may still be on its way.
LEAVE_ALONE = 3600.0
_NAME = re.compile(r"([A-Za-z0-9_.:-]{1,128})-[0-9]{1,20}\.json")
#: One that was being written when its agent died.
_UNFINISHED = re.compile(r"\.([A-Za-z0-9_.:-]{1,128})-[0-9]{1,20}\.json\.[A-Za-z0-9_]{1,20}")
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TaskFiles:
    """Sweeps a folder of files that are named by their tasks; the first group of `names` is a task's id.

    A sweep goes on where the last one ended, and from the beginning after the last file.
    """

    def __init__(self, folder: Path, *names: re.Pattern[str]) -> None:
        self._folder = folder
        self._patterns = names or (_NAME, _UNFINISHED)
        self._names: Iterator[str] = iter(())
        self.more = False
        """True when the last sweep ended before the last file."""

    def sweep(self, before: float, now: float, known: Callable[[str], bool], *, at_once: int) -> int:
        """Look at `at_once` files more, and remove those written before `before` whose task is not `known`.

        Times are seconds since the epoch. Nothing younger than an hour is removed, and neither is what is no file of
        its own: links are not followed. Returns how many were removed; what cannot be is left.
        """
        self.more = False
        try:
            folder = os.open(self._folder, _FLAGS)
        except OSError:
            return 0
        try:
            names = list(islice(self._names, at_once))
            if not names:
                self._names = iter(os.listdir(folder))
                names = list(islice(self._names, at_once))
            self.more = len(names) == at_once
            limit = min(before, now - LEAVE_ALONE)
            return sum(self._remove(folder, name, limit, known) for name in names)
        finally:
            os.close(folder)

    def _remove(self, folder: int, name: str, before: float, known: Callable[[str], bool]) -> bool:
        named = next(filter(None, (pattern.fullmatch(name) for pattern in self._patterns)), None)
        try:
            if named is None:
                return False
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            # Who knows the task is asked last: it may have to read for it.
            if not stat.S_ISREG(found.st_mode) or found.st_mtime >= before or known(named[1]):
                return False
            os.unlink(name, dir_fd=folder)
        except OSError:
            return False
        return True


def swept(state: StateDir) -> tuple[TaskFiles, TaskFiles]:
    """Return the folders that are swept with a swarm's tasks: of large results, and of output."""
    return TaskFiles(state.results()), TaskFiles(state.tasks(), NAME)
