"""What was typed before the screen was there was meant for the shell: here each letter would be an act."""

import sys
import termios
from contextlib import suppress
from typing import IO


def drop_typed_ahead(terminal: IO[str] | None = None) -> None:
    """Forget what waits to be read from `terminal` (stdin); nothing happens when it is none."""
    with suppress(termios.error, OSError, ValueError):
        termios.tcflush(terminal or sys.stdin, termios.TCIFLUSH)
