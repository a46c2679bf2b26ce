"""Print an agent's lines, which read well in a pane 60 columns wide and never hold the agent up."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from swarm_tui.protocol.text import clean

#: Lines that may wait for a terminal that does not take them (Ctrl-S, a stopped reader); beyond it they are dropped.
_WAITING = 1_000
_LONGEST = 400
#: Seconds after a line in which the next ones are looked for, and between two looks: to be woken for each costs more.
_WARM, _LOOK = 0.2, 0.05
#: So many lines that others call out are shown within so many seconds.
MOST, WITHIN = 10, 10.0
_COLOURS = {"✅": "32", "❌": "31", "⚠": "33", "⏳": "33", "👋": "36", "🔌": "36"}


class Console:
    """Writes lines to stdout from a thread of its own: a terminal that blocks stops nothing but the lines."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._lines: deque[str] = deque()
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._dropped = 0
        self._wake = threading.Event()
        self._asleep = True
        self._closed = False
        self._elsewhere: str | None = None
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def say(self, text: str, mark: str = "") -> None:
        """Print one line, cleaned; `mark` goes before it and gives it its colour."""
        if self._silent:
            return
        if len(self._lines) >= _WAITING:
            self._dropped += 1
            return
        line = clean(text, _LONGEST)
        if mark:
            line = f"{mark} {line}"
        code = (_COLOURS.get(mark) or _of_diff(line)) if self._colour else None
        self._lines.append(f"\x1b[{code}m{line}\x1b[0m\n" if code else f"{line}\n")
        if self._asleep:
            self._wake.set()

    def divert(self, path: str | None) -> None:
        """Write to the end of that file instead while another program has the terminal; None: to the terminal again."""
        self._elsewhere = path

    def close(self, wait: float = 1.0) -> None:
        """Write what waits, for at most `wait` seconds."""
        self._closed = True
        self._wake.set()
        self._thread.join(wait)

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            self._asleep = False
            self._write_while_warm()
            self._asleep = True
            # A line that came between the last look and going to sleep woke nobody.
            if self._lines:
                self._wake.set()

    def _write_while_warm(self) -> None:
        until = 0.0
        while self._lines or time.monotonic() < until:
            if self._lines:
                self._write()
                until = time.monotonic() + _WARM
            if self._closed and not self._lines:
                return
            if not self._closed:
                time.sleep(_LOOK)

    def _write(self) -> None:
        text = "".join([self._lines.popleft() for _ in range(len(self._lines))])
        if (dropped := self._dropped) > 0:
            self._dropped -= dropped
            text += f"⚠ {dropped} lines were lost: the terminal took none\n"
        if (path := self._elsewhere) is not None:
            with suppress(OSError), open(path, "a", encoding="utf-8", errors="replace") as file:
                # What the terminal shows is in that file too, and seldom ends a line.
                file.write(f"\n{text}")
            return
        encoding = sys.stdout.encoding or "utf-8"
        with suppress(OSError, ValueError):
            # When nobody reads any more the agent works on in silence.
            sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()


def _of_diff(line: str) -> str | None:
    """Return the colour of a diff's line, as a conversation shows it; None for any other."""
    return {"┊+": "32", "┊-": "31", "┊@": "36"}.get(line.lstrip(" ")[:2])


class Broadcasts:
    """Shows lines by `note(line, mark)`; of any thread. Times are monotonic seconds."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._since = float("-inf")
        self._shown = 0
        self._skipped = 0

    def show(self, line: str, now: float) -> float | None:
        """Show the line, or count it; when `tick` must be called to tell how many were skipped."""
        with self._lock:
            self._tell(now)
            if now - self._since >= WITHIN:
                self._since, self._shown = now, 0
            if self._shown < MOST:
                self._shown += 1
                self._note(line, "📨")
                return None
            self._skipped += 1
            return self._since + WITHIN

    def tick(self, now: float) -> float | None:
        """Tell what was skipped once its time is over; when to look again."""
        with self._lock:
            self._tell(now)
            return self._since + WITHIN if self._skipped else None

    def _tell(self, now: float) -> None:
        if self._skipped and now >= self._since + WITHIN:
            self._note(f"{self._skipped} more like these were not shown: {MOST} in {WITHIN:g} s are the most", "📨")
            self._skipped = 0
