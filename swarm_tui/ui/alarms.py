"""What reaches a person who does not look: the terminal's title, and, where asked for, the bell and a notification."""

import re
from collections.abc import Callable

from swarm_tui.ui.model import Model
from swarm_tui.ui.trouble import Trouble

_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Alarms:
    """Told of all troubles at each tick; rings once for each new one. `write` sends bytes of text to the terminal."""

    def __init__(self, model: Model, write: Callable[[str], None], *, bell: bool) -> None:
        self._model = model
        self._write = write
        self._bell = bell
        self._known: set[tuple[str, str]] | None = None
        self._title = ""

    def hear(self, found: list[Trouble]) -> None:
        """These are the troubles now."""
        current = {(trouble.where, trouble.id or trouble.text[:12]) for trouble in found}
        fresh = [t for t in found if self._known is not None and (t.where, t.id or t.text[:12]) not in self._known]
        self._known = current
        mark = f"({len(found)}!) " if found else ""
        title = f"{mark}{_UNSAFE.sub('', self._model.swarm)} - swarm-tui"
        if title != self._title:
            self._title = title
            self._write(f"\x1b]2;{title}\x07")
        if fresh and self._bell:
            text = _UNSAFE.sub("?", fresh[0].text)[:120].replace(";", ",")
            self._write(f"\x07\x1b]9;{self._model.swarm}: {text}\x07")
