"""Alarms for a person who does not look: the terminal's title, and, where asked for, the bell and a notification."""

import re
from collections.abc import Callable

from swarm_tui.domain.problems import Problem
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.seen_problems import Key, key_of

_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Alarms:
    """Told of all problems at each tick; rings once for each new one. `write` sends bytes of text to the terminal.

    It rings for nothing that was so before the screen knew the swarm: the link was up, and the past is told.
    """

    def __init__(self, model: Model, write: Callable[[str], None], *, bell: bool) -> None:
        self._model = model
        self._write = write
        self._bell = bell
        self._known: set[Key] = set()
        self._armed = False
        self._title = ""

    def update(self, found: list[Problem]) -> None:
        """Ring for those of the problems of now that are new, and count all of them in the title."""
        current = {key_of(problem) for problem in found}
        fresh = [p for p in found if key_of(p) not in self._known] if self._armed else []
        self._known = current
        self._armed = self._armed or (self._model.fleet.was_linked and not self._model.pending)
        mark = f"({len(found)}!) " if found else ""
        title = f"{mark}{_UNSAFE.sub('', self._model.swarm)} - swarm-tui"
        if title != self._title:
            self._title = title
            self._write(f"\x1b]2;{title}\x07")
        if fresh and self._bell:
            text = _UNSAFE.sub("?", fresh[0].what)[:120].replace(";", ",")
            self._write(f"\x07\x1b]9;{self._model.swarm}: {text}\x07")
