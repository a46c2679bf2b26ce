"""The places of tasks' worktrees: small files, so that each is known whatever became of the task.

They lie where no program of a task writes: whoever could would have the swarm merge, show or discard what they please.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

#: Records that are kept, of worktrees that are gone: the newest.
KEPT = 2000


class WorktreeRecord(Struct, frozen=True, kw_only=True):
    """A task's worktree. Several tasks may have the same one: each that went on with another's work."""

    task_id: str
    repo: str
    """The repository's own folder."""
    asked: str = ""
    """The folder of it that the task was given."""
    folder: str
    branch: str
    base: str
    """The commit that it began from."""
    target: str = ""
    """The branch that it began from, where it was one: what it is merged into by default."""
    created_at: float = 0.0
    merged: str = ""
    """The commit by which it got into `target`."""
    onto: str = ""
    """The commit of `target` before that."""
    discarded: str = ""
    """The commit that held all of it when it was thrown away."""
    sandboxed: bool = False
    """Programs wrote to it in a sandbox: what they left there, such as settings of git's, is to run in none else."""

    @property
    def is_open(self) -> bool:
        """Return whether it was neither merged nor thrown away."""
        return not self.merged and not self.discarded


def worktrees_of(root: Path) -> Path:
    """Return the folder of a swarm's worktrees; `root` is its state folder."""
    return root / "worktrees"


def records_of(root: Path) -> Path:
    """Return the folder of these files; `root` is the swarm's state folder."""
    return root / "changes"


def folder_name(task_id: str) -> str:
    """Return the part of a folder's or a branch's name that stands for the task."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", task_id).strip("-")[:64] or "task"


def _path(root: Path, task_id: str) -> Path:
    name = folder_name(task_id)
    # Two ids may have one name.
    mark = "" if name == task_id else f"+{hashlib.sha256(task_id.encode()).hexdigest()[:12]}"
    return records_of(root) / f"{name}{mark}.json"


def keep(root: Path, record: WorktreeRecord) -> None:
    """Write the record down. Raises OSError."""
    path = _path(root, record.task_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def find(root: Path, task_id: str) -> WorktreeRecord | None:
    """Return where the task's worktree is; None where none was made here."""
    found = _read(_path(root, task_id))
    return found if found is not None and found.task_id == task_id else None


def _read(path: Path) -> WorktreeRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorktreeRecord)
    except (OSError, msgspec.DecodeError):
        return None


def everyone(root: Path) -> Iterator[WorktreeRecord]:
    """Yield all records that can be read, the oldest first."""
    paths = sorted(records_of(root).glob("*.json"), key=_age)
    yield from (record for path in paths if (record := _read(path)) is not None)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def change(root: Path, record: WorktreeRecord, **values: str) -> None:
    """Note what became of the work, for every task that worked on that branch. Raises OSError."""
    for other in list(everyone(root)):
        if (other.repo, other.branch) == (record.repo, record.branch):
            keep(root, msgspec.structs.replace(other, **values))


def forget(root: Path, task_id: str) -> None:
    """Let go of the record of a worktree in which nothing was done, and of its lock."""
    _remove(_path(root, task_id))


def _remove(path: Path) -> None:
    record = _read(path)
    path.unlink(missing_ok=True)
    if record is not None:
        lock_of(Path(record.folder)).unlink(missing_ok=True)


def tidy(root: Path) -> None:
    """Forget the oldest records of worktrees that are gone and whose work is merged or thrown away."""
    paths = sorted(records_of(root).glob("*.json"), key=_age)
    for path in paths[: max(0, len(paths) - KEPT)]:
        record = _read(path)
        if record is None or (not record.is_open and not Path(record.folder).exists()):
            _remove(path)


def lock_of(folder: Path) -> Path:
    """Return the file that whoever works in a worktree keeps locked."""
    return folder.with_name(f".{folder.name}.lock")


def made(
    task_id: str,
    repo: Path,
    folder: Path,
    branch: str,
    base: str,
    target: str,
    asked: Path | None = None,
    *,
    sandboxed: bool = False,
) -> WorktreeRecord:
    """Return the record of a worktree that begins now."""
    return WorktreeRecord(
        task_id=task_id,
        repo=str(repo),
        asked=str(asked or repo),
        folder=str(folder),
        branch=branch,
        base=base,
        target=target,
        created_at=round(time.time(), 3),
        sandboxed=sandboxed,
    )
