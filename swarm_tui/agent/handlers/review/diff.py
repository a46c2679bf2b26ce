"""Reads a unified diff without context: which lines of which file are new."""

import ast
import re
from collections.abc import Iterator

from msgspec import Struct, field

_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class FileChange(Struct):
    """One file of a diff. `added` maps the new lines' numbers, from 1, to their text."""

    path: str
    old_path: str | None = None
    """None for a new file."""
    added: dict[int, str] = field(default_factory=dict)
    removed: int = 0


def parse(diff: str) -> list[FileChange]:
    """The files that exist after the change, of the output of `git diff -U0`; deleted and binary ones are left out."""
    return [change for change in _files(iter(diff.split("\n"))) if change.path]


def whole(path: str, text: str) -> FileChange:
    """A file that is new as a whole."""
    return FileChange(path, added=dict(enumerate(text.removesuffix("\n").split("\n"), 1)) if text else {})


def _files(lines: Iterator[str]) -> Iterator[FileChange]:
    current: FileChange | None = None
    old: str | None = None
    for line in lines:
        if line.startswith("--- "):
            old = _name(line[4:])
        elif line.startswith("+++ "):
            if current is not None:
                yield current
            current = FileChange(_name(line[4:]) or "", old_path=old)
        elif current is not None and (match := _HUNK.match(line)):
            _hunk(lines, current, match)
    if current is not None:
        yield current


def _hunk(lines: Iterator[str], change: FileChange, match: re.Match[str]) -> None:
    """Take as many lines as the hunk's head counts, so that no content is taken for a head."""
    minus, start, plus = int(match[1] or 1), int(match[2]), int(match[3] or 1)
    change.removed += minus
    number = start
    while minus > 0 or number < start + plus:
        line = next(lines, None)
        if line is None:
            return
        if line.startswith("-"):
            minus -= 1
        elif line.startswith("+"):
            change.added[number] = line[1:]
            number += 1


def _name(text: str) -> str | None:
    """A path from a head line, of which git quotes the odd ones; None for /dev/null."""
    text = text.removesuffix("\t")
    if text == "/dev/null":
        return None
    if text.startswith('"'):
        try:
            text = ast.literal_eval(f"b{text}").decode("utf-8", "replace")
        except (ValueError, SyntaxError):
            return text
    return text[2:] if text[:2] in ("a/", "b/") else text
