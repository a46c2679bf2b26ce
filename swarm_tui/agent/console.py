"""What an agent prints: lines that read well in a pane 60 columns wide, and never hold the agent up."""

import os
import sys
import threading
from queue import Full, Queue

from swarm_tui.protocol.text import clean

#: Lines that may wait for a terminal that does not take them (Ctrl-S, a stopped reader); beyond it they are dropped.
_WAITING = 1_000
_LONGEST = 400
_COLOURS = {"✅": "32", "❌": "31", "⚠": "33", "⏳": "33", "👋": "36", "🔌": "36"}


class Console:
    """Writes lines to stdout from a thread of its own: a terminal that blocks stops nothing but the lines."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._lines: Queue[str | None] = Queue(_WAITING)
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def say(self, text: str, mark: str = "") -> None:
        """One line, cleaned; `mark` goes before it and gives it its colour."""
        if self._silent:
            return
        line = clean(text, _LONGEST)
        if mark:
            line = f"{mark} {line}"
        code = _COLOURS.get(mark) if self._colour else None
        try:
            self._lines.put_nowait(f"\x1b[{code}m{line}\x1b[0m\n" if code else f"{line}\n")
        except Full:
            self._dropped += 1

    def close(self, wait: float = 1.0) -> None:
        """Write what waits, for at most `wait` seconds."""
        try:
            self._lines.put(None, timeout=wait)
        except Full:
            return
        self._thread.join(wait)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                sys.stdout.write(line)
                if self._lines.empty():
                    sys.stdout.flush()
            except UnicodeEncodeError:
                sys.stdout.write(line.encode("ascii", "replace").decode())
            except (OSError, ValueError):
                # Nobody reads any more: the agent works on in silence.
                continue
