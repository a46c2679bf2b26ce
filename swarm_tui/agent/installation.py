"""Notice that the package was installed anew under a running agent, whose modules are then of two releases."""

import os
import re
from pathlib import Path

import swarm_tui

_VERSION = re.compile(r'^__version__ = "([^"\n]{1,40})"', re.MULTILINE)


class Installation:
    """The package as it was when this process began."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or Path(swarm_tui.__file__)
        self._was = self._signature()

    def changed(self) -> str:
        """Return a sentence once the package on disk is another one, or gone; else empty."""
        now = self._signature()
        if now == self._was:
            return ""
        if now is None:
            return (
                f"swarm-tui {swarm_tui.__version__} runs here and is not installed any more: install it, then restart"
            )
        return f"swarm-tui {self._version()} is installed, and an older installation runs here: restart this agent"

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _version(self) -> str:
        try:
            found = _VERSION.search(self._path.read_text("utf-8", "replace"))
        except OSError:
            found = None
        return found[1] if found else "of another version"
