"""A change as rows that each fit a reply, and back."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from swarm_tui.worktrees.change import Change, FileDiff, read_change
from swarm_tui.worktrees.git import GitError

#: Characters of a patch that one row holds.
_ROOM = 20_000


def change_rows(change: Change) -> Iterator[dict[str, Any]]:
    """Yield the change: a row for all but its files, one for each file, and those of its patch."""
    yield {"change": msgspec.to_builtins(replace(change, files=[]))}
    for file in change.files:
        yield {"file": msgspec.to_builtins(replace(file, lines=[]))}
        lines = iter(file.lines)
        while part := _fitting(lines):
            yield {"patch": "\n".join(part)}


def _fitting(lines: Iterator[str]) -> list[str]:
    """Take so many lines as fit one row; at least one where there is one."""
    part = list(islice(lines, 1))
    size = sum(map(len, part))
    while part and size < _ROOM and (more := next(lines, None)) is not None:
        part.append(more)
        size += len(more)
    return part


def change_of(rows: list[Any]) -> Change | None:
    """Return the change that the rows are; None where they are none, or none that can be read."""
    change: Change | None = None
    for row in rows:
        try:
            if "change" in row:
                change = msgspec.convert(row["change"], Change)
            elif change is not None and "file" in row:
                change.files.append(msgspec.convert(row["file"], FileDiff))
            elif change is not None and change.files and isinstance(row["patch"], str):
                change.files[-1].lines += row["patch"].split("\n")
        except (msgspec.ValidationError, TypeError, KeyError):
            return None
    return change


def answer(root: Path, args: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that answer a query `diff`; none where the task's worktree was not made here."""
    task_id = args.get("task_id")
    if not isinstance(task_id, str):
        return []
    try:
        change = read_change(root, task_id, patch=args.get("patch") is not False)
    except (GitError, OSError) as error:
        return [{"change": msgspec.to_builtins(Change(task_id=task_id, state="gone", note=str(error)))}]
    return [] if change is None else list(change_rows(change))
