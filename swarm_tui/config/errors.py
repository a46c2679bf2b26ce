"""Mistakes in files that people write: where each is, and what is wrong."""

from collections.abc import Sequence

from msgspec import Struct

from swarm_tui.protocol.text import clean


class Problem(Struct, frozen=True):
    """A mistake; `line` and `column` count from 1, 0 where the file as a whole is meant."""

    file: str
    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return clean(f"{place}: {self.reason}")


class ConfigError(Exception):
    """A file cannot be used; the text is one line a mistake, `file:line:column: reason`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda p: (p.file, p.line, p.column, p.reason))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownLayoutError(ConfigError):
    """No layout of that name; the text lists those found."""


def whole_file(file: str, reason: str) -> ConfigError:
    """A ConfigError about the file itself."""
    return ConfigError([Problem(file, 0, 0, reason)])
