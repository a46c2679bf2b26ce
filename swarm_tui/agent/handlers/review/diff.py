"""Reads git's diffs: which files a change touches, and which lines of them are new."""

import ast
import re
from collections.abc import Iterator

from msgspec import Struct, field

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.files import readable

_HUNK = re.compile(r"@@ -\d+(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
#: git's modes of what is no plain file.
LINK, SUBMODULE = "120000", "160000"


class FileChange(Struct):
    """A file of a change. `added` maps the new lines' numbers, from 1, to their text.

    `path` is the old one where the file was deleted, `old_path` None where it is new. `mode` and `blob` are git's of
    the new side, `old_mode` and `old_blob` of the old; empty where there is none. `hidden`: git shows no lines of it.
    """

    path: str
    old_path: str | None = None
    added: dict[int, str] = field(default_factory=dict)
    removed: int = 0
    mode: str = ""
    blob: str = ""
    old_mode: str = ""
    old_blob: str = ""
    deleted: bool = False
    hidden: bool = False


def read(listing: str, patch: str) -> list[FileChange]:
    """Return the files of a change: `git diff --raw --numstat -z` lists them, `git diff -U0 -p` gives their lines.

    Raises HandlerError (`git`) where the two do not agree: then a line could be missed.
    """
    changes, counted = _listed(listing)
    by_name = {change.path: change for change in changes}
    for shown in parse(patch):
        if (change := by_name.get(shown.path)) is not None:
            change.added |= shown.added
            change.removed += shown.removed
    for change in changes:
        numbers = counted.get(change.path)
        change.hidden = numbers is None
        if numbers is not None and numbers != (len(change.added), change.removed):
            found = f"{len(change.added)} and {change.removed} lines of {numbers[0]} and {numbers[1]}"
            raise HandlerError(f"git's diff of {readable(change.path)} cannot be read: {found}", code="git")
    return changes


def parse(patch: str) -> list[FileChange]:
    """Return the lines of `git diff -U0`, file by file, under the new name, or the old one of a deleted file."""
    return list(_files(iter(patch.split("\n"))))


def whole(path: str, text: str, mode: str = "100644") -> FileChange:
    """Return a file that is new as a whole."""
    lines = text.removesuffix("\n").split("\n") if text else []
    return FileChange(path, added=dict(enumerate(lines, 1)), mode=mode)


def _listed(listing: str) -> tuple[list[FileChange], dict[str, tuple[int, int]]]:
    """Return the files, and the counts of added and removed lines of those that git shows lines of."""
    changes: dict[str, FileChange] = {}
    counted: dict[str, tuple[int, int]] = {}
    fields = iter(listing.split("\0"))
    for head in fields:
        if head.startswith(":") and head.count(" ") == 4:
            old_mode, mode, old_blob, blob, status = head[1:].split(" ")
            old = path = next(fields, "")
            if status[:1] in ("R", "C"):
                path = next(fields, "")
            known = changes.setdefault(path, FileChange(path, old_path=None if status[:1] == "A" else old))
            # A file in conflict is listed twice: as such, without modes, and as what stands there.
            if status[:1] != "U":
                known.mode, known.old_mode = mode.replace("000000", ""), old_mode.replace("000000", "")
                known.blob, known.old_blob = blob.strip("0") and blob, old_blob.strip("0") and old_blob
                known.deleted = status[:1] == "D"
        elif head.count("\t") >= 2:
            added, removed, path = head.split("\t", 2)
            if not path:
                next(fields, "")
                path = next(fields, "")
            if added.isdigit() and removed.isdigit():
                before = counted.get(path, (0, 0))
                counted[path] = (before[0] + int(added), before[1] + int(removed))
    return list(changes.values()), counted


def _files(lines: Iterator[str]) -> Iterator[FileChange]:
    current: FileChange | None = None
    old: str | None = None
    for line in lines:
        if line.startswith("--- "):
            old = _name(line[4:])
        elif line.startswith("+++ "):
            if current is not None:
                yield current
            new = _name(line[4:])
            current = FileChange(new if new is not None else old or "", old_path=old, deleted=new is None)
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
        elif line.startswith(" "):
            # A line of context, should git show one: it stands on both sides.
            minus -= 1
            change.removed -= 1
            number += 1


def _name(text: str) -> str | None:
    """Return a path of a head line, of which git quotes the odd ones; None for /dev/null."""
    text = text.removesuffix("\t")
    if text == "/dev/null":
        return None
    if text.startswith('"'):
        try:
            text = ast.literal_eval(f"b{text}").decode("utf-8", "surrogateescape")
        except (ValueError, SyntaxError):
            return text
    return text[2:] if text[:2] in ("a/", "b/") else text
