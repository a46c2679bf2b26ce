"""Releases as folders: `<root>/releases/<version>`, and `<root>/current`, a symlink that is switched in one step.

At every moment `current` names a whole release: a release gets its name only when all of it is on the disk, and the
link is replaced by a rename.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from swarm_tui.agent.handlers.base import HandlerError

CURRENT = "current"
_HISTORY = "history.jsonl"


class Releases:
    """The releases of one service. Every method raises OSError; those that say so, HandlerError."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "releases"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the service for one deploy; the kernel frees it when we die. Raises HandlerError (`busy`)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"another deploy works on {self.root}"
                raise HandlerError(message, code="busy", retryable=True) from error
            self._tidy()
            yield

    def live(self) -> str | None:
        """Return the version that `current` names, if that release is there."""
        try:
            version = os.path.basename(os.readlink(self.root / CURRENT))
        except OSError:
            return None
        return version if self.has(version) else None

    def has(self, version: str) -> bool:
        return (self.folder / version).is_dir()

    def versions(self) -> list[str]:
        """Return what can be gone back to, the last released first."""
        known = [entry for entry in self.folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        return [entry.name for entry in sorted(known, key=lambda entry: entry.stat().st_mtime_ns, reverse=True)]

    def add(self, version: str, source: Path, files: list[str], stop: Callable[[], bool]) -> str:
        """Copy `files` of `source` into a new release, and give the SHA-256 of its content.

        The same content again is the same release. Raises HandlerError (`exists`) for other content, `cancelled`.
        """
        draft = self.folder / f".{version}.partial"
        for name in files:
            if stop():
                raise HandlerError("cancelled while it was copied", code="cancelled")
            _copy(source / name, draft / name)
        content = digest(draft, files)
        mark = self.folder / f".{version}.json"
        if self.has(version):
            shutil.rmtree(draft)
            if _recorded(mark) != content:
                message = f"release {version} is there with other content: deploy under another version"
                raise HandlerError(message, code="exists")
            return content
        _write(mark, json.dumps({"version": version, "sha256": content, "files": len(files)}))
        os.utime(draft)
        os.rename(draft, self.folder / version)
        _sync(self.folder)
        return content

    def switch(self, version: str | None) -> None:
        """Make `version` live, or nothing when None."""
        if version is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.root / CURRENT)
        else:
            link = self.root / f".{CURRENT}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)
            os.symlink(os.path.join("releases", version), link)
            os.replace(link, self.root / CURRENT)
        _sync(self.root)

    def record(self, version: str, at: float, task_id: str) -> None:
        """Note that a version went live and was found healthy."""
        with open(self.root / _HISTORY, "a") as file:
            file.write(json.dumps({"version": version, "at": at, "task_id": task_id}) + "\n")

    def before(self, version: str | None) -> str | None:
        """Return the version that was healthy before `version`, of those that are still there."""
        known: list[str] = []
        with contextlib.suppress(OSError):
            for line in (self.root / _HISTORY).read_text().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    known.append(str(json.loads(line)["version"]))
        for candidate in [*reversed(known), *self.versions()]:
            if candidate != version and self.has(candidate):
                return candidate
        return None

    def prune(self, keep: int, needed: set[str | None]) -> list[str]:
        """Delete all but the last `keep` releases and the needed ones; gives those that went."""
        gone = [version for version in self.versions()[max(1, keep) :] if version not in needed]
        for version in gone:
            shutil.rmtree(self.folder / version, ignore_errors=True)
            (self.folder / f".{version}.json").unlink(missing_ok=True)
        return gone

    def _tidy(self) -> None:
        """Delete what a deploy that was killed left half done."""
        for entry in self.folder.glob(".*.partial"):
            shutil.rmtree(entry, ignore_errors=True)


def digest(folder: Path, files: list[str]) -> str:
    """Return the SHA-256 of names, modes and content."""
    whole = hashlib.sha256()
    for name in sorted(files, key=os.fsencode):
        path = folder / name
        mode = path.lstat().st_mode & 0o111
        whole.update(os.fsencode(name) + f"\0{mode}\0{_content(path)}\n".encode())
    return whole.hexdigest()


def _content(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(path: Path) -> str:
    """Return a path as text for people: names on a disk need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        with open(target, "rb") as file:
            os.fsync(file.fileno())


def _recorded(mark: Path) -> str | None:
    try:
        return str(json.loads(mark.read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
