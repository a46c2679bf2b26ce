"""The terminal in which an agent runs, handed through to its CLI: raw while that has it, as it was else."""

import contextlib
import os
import select
import termios
import time
import tty
from typing import Any

from swarm_tui.agent.interactive.cli_process import Size, size_of
from swarm_tui.agent.interactive.prompts import writes

#: The size of a CLI's terminal where the agent itself has none.
SIZE: Size = (24, 80)
#: Undoes what a program may have left on a terminal: another screen, mouse and focus reports, pasting, keys, no cursor.
_RESET = (
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?2026l\x1b[<u\x1b[>4m"
    b"\x1b[?25h\x1b[0m\r\n"
)
_CHUNK = 4096
#: Seconds that the terminal may take to take what it is shown: then that is lost, and the CLI is not held up.
_SHOW_WAIT = 1.0


class Pane:
    """The agent's terminal; where it has none all is shown to nobody. Times are monotonic seconds."""

    def __init__(self, keys: int = 0, picture: int = 1) -> None:
        self.keys: int | None = keys if _is_terminal(keys) and _is_terminal(picture) else None
        self._picture = picture
        self._before: list[Any] | None = None
        self.draft = False
        """A person has written something that was not said yet, as far as is known."""
        self.typed_at = self.escaped_at = float("-inf")

    def size(self) -> Size:
        """Return its rows and columns."""
        return (size_of(self._picture) if self.keys is not None else None) or SIZE

    def hand_over(self) -> None:
        """Pass each key through as it is."""
        if self.keys is None or self._before is not None:
            return
        with contextlib.suppress(termios.error, OSError):
            before = termios.tcgetattr(self.keys)
            tty.setraw(self.keys, termios.TCSANOW)
            self._before = before

    def take_back(self) -> None:
        """Be a terminal as it was before; what the CLI left on it is undone."""
        if self.keys is None or self._before is None:
            return
        self.show(_RESET)
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self.keys, termios.TCSANOW, self._before)
        self._before = None

    def read(self) -> bytes:
        """Return what was typed; empty where the terminal is gone."""
        assert self.keys is not None
        try:
            typed = os.read(self.keys, _CHUNK)
        except OSError:
            return b""
        if writes(typed):
            self.draft, self.typed_at = True, time.monotonic()
        if typed == b"\x1b":
            self.escaped_at = time.monotonic()
        return typed

    def show(self, picture: bytes) -> None:
        """Show what the CLI draws."""
        if self.keys is None:
            return
        until = time.monotonic() + _SHOW_WAIT
        while picture and time.monotonic() < until:
            try:
                if select.select([], [self._picture], [], 0.1)[1]:
                    picture = picture[os.write(self._picture, picture[:_CHUNK]) :]
            except (OSError, ValueError):
                return


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False
