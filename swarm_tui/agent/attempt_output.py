"""Gather what an attempt's programs and its handler print, without secrets, into the file of its output."""

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TextIO

from swarm_tui.agent.handlers.output import LineBlocks
from swarm_tui.journal.task_output import OutputFile

#: The output of the attempt whose handler runs in this context.
_current: "ContextVar[AttemptOutput | None]" = ContextVar("output", default=None)


class AttemptOutput:
    """Writes whole lines, so that a secret is seen whole. `redact` takes secrets out of text. Thread-safe."""

    def __init__(self, file: OutputFile, redact: Callable[[str], str]) -> None:
        self._file, self._redact = file, redact
        self._printed = LineBlocks(self.write)

    @property
    def failure(self) -> str:
        """Why the last write failed; empty when it did not."""
        return self._file.failure

    def write(self, text: str) -> None:
        """Write whole lines."""
        self._file.write(self._redact(text).encode("utf-8", "replace"))

    def print(self, text: str) -> None:
        """Write what the handler itself prints, once its line ends."""
        self._printed.add(text.encode("utf-8", "replace"))

    def make_current(self) -> None:
        """Take what is printed in this context from now on."""
        _current.set(self)

    def close(self) -> None:
        """Write what has no end of line, and mark the attempt as ended."""
        self._printed.end()
        self._file.close()


class _Printing:
    """A standard stream that also writes into the output of the attempt whose handler prints."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if (output := _current.get()) is not None:
            output.print(text)
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def keep_prints() -> None:
    """Have what handlers print kept with their tasks, in this process from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Printing):
            setattr(sys, name, _Printing(stream))
