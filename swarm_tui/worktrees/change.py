"""The change of a task in its worktree, by file, and where it meets what others have changed."""

import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from swarm_tui.protocol.text import clean
from swarm_tui.worktrees import records
from swarm_tui.worktrees.git import Git, GitError
from swarm_tui.worktrees.records import WorktreeRecord

#: Lines of a change that are read, and characters of each; the counts are always of all.
MOST_LINES, MOST_CHARACTERS = 20_000, 2000
#: Files that are listed, and other worktrees that are looked at for the same lines.
MOST_FILES, MOST_OTHERS = 5000, 50
_SUBMODULE, _LINK = "160000", "120000"
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? ")
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "-M")
State = Literal["open", "merged", "discarded", "gone"]


class FileDiff(Struct, kw_only=True, omit_defaults=True):
    """A file of a change. `added` and `removed` are lines; None for what has none."""

    path: str
    old_path: str = ""
    kind: str = "changed"
    """changed, added, deleted, renamed, copied, or `type` where it became a link, or a file."""
    added: int | None = None
    removed: int | None = None
    note: str = ""
    """binary, a submodule, a link, kept by LFS."""
    lines: list[str] = field(default_factory=list)
    """The patch from its first hunk on."""
    cut: int = 0
    """Lines of the patch that are not here."""


class Overlap(Struct, kw_only=True, frozen=True):
    """Lines that another open worktree changes too."""

    task_id: str
    branch: str
    where: list[str]
    """`path:line` of what they began from, or `path` where the whole file counts."""


class Change(Struct, kw_only=True, omit_defaults=True):
    """The work of one task, from where it began to how it is now."""

    task_id: str
    state: State = "open"
    repo: str = ""
    folder: str = ""
    branch: str = ""
    target: str = ""
    base: str = ""
    head: str = ""
    uncommitted: int = 0
    """Files that differ from the branch's last commit."""
    behind: int = 0
    """Commits that the target has gained since."""
    files: list[FileDiff] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    cut: str = ""
    """A sentence that says how much is not here."""
    overlaps: list[Overlap] = field(default_factory=list)
    note: str = ""


def read_change(root: Path, task_id: str, *, patch: bool = True, most: int = MOST_LINES) -> Change | None:
    """Return the change of a task whose worktree is on this machine; None where none was made here.

    `root` is the swarm's state folder. Raises GitError.
    """
    record = records.find(root, task_id)
    return None if record is None else _Reader(root, record).read(patch=patch, most=most)


class _Reader:
    """Reads one worktree. The index is looked at in a copy, so that nothing of it changes."""

    def __init__(self, root: Path, record: WorktreeRecord) -> None:
        self.root, self.record = root, record
        self.change = Change(
            task_id=record.task_id,
            repo=record.repo,
            folder=record.folder,
            branch=record.branch,
            target=record.target,
            base=record.base,
        )

    def read(self, *, patch: bool, most: int) -> Change:
        change, record = self.change, self.record
        with tempfile.TemporaryDirectory(prefix="swarm-diff-") as scratch:
            span = self._span(Path(scratch))
            if span is not None:
                git, ends = span
                self._list(git, ends)
                if patch:
                    self._patch(git, ends, most)
                if record.is_open:
                    change.overlaps = overlaps(self.root, record)
        return change

    def _span(self, scratch: Path) -> tuple[Git, tuple[str, ...]] | None:
        """Return git, and between what the change lies; None where nothing of it is left."""
        change, record = self.change, self.record
        try:
            repo = Git(Path(record.repo), self.root, sandboxed=record.sandboxed)
        except GitError as error:
            change.state, change.note = "gone", f"its repository: {error}"
            return None
        if record.merged or record.discarded:
            change.state = "merged" if record.merged else "discarded"
            change.head = record.merged or record.discarded
            change.base = record.onto or record.base
            return (repo, (change.base, change.head)) if self._has(repo, change.head) else None
        change.head = repo.name("rev-parse", "--verify", "--quiet", f"refs/heads/{record.branch}^{{commit}}")
        if record.target and change.head:
            behind = repo.name("rev-list", "--count", f"{change.head}..refs/heads/{record.target}")
            change.behind = int(behind) if behind.isdigit() else 0
            change.base = self._began(repo)
        folder = Path(record.folder)
        if not folder.is_dir():
            if not change.head:
                change.state, change.note = "gone", f"{record.folder} is gone, and so is the branch {record.branch}"
                return None
            change.note = f"{record.folder} is gone: this is what the branch holds"
            return repo, (change.base, change.head)
        tree = self._with_new_files(folder, scratch)
        change.uncommitted = len([one for one in tree("status", "--porcelain", "-z").split("\0") if one])
        return tree, (change.base,)

    def _began(self, repo: Git) -> str:
        """Return where the change begins: where it left the target last, which it may have taken in since."""
        change, record = self.change, self.record
        left = repo.name("merge-base", change.head, f"refs/heads/{record.target}")
        if left == change.head != record.base:
            change.note = f"{record.target} has all of its commits"
            return record.base
        newer = left and not repo.ask("merge-base", "--is-ancestor", record.base, left).code
        return left if newer else record.base

    def _has(self, repo: Git, commit: str) -> bool:
        if repo.name("cat-file", "-t", commit) == "commit":
            return True
        self.change.note = f"its last commit, {commit[:12]}, is not in {self.record.repo} any more"
        return False

    def _with_new_files(self, folder: Path, scratch: Path) -> Git:
        """Return git for the folder, under an index of its own in which new files are known."""
        plain = Git(folder, self.root, sandboxed=self.record.sandboxed)
        index = Path(plain("rev-parse", "--git-path", "index").strip())
        copy = scratch / "index"
        if (folder / index).is_file():
            shutil.copyfile(folder / index, copy)
        git = Git(folder, self.root, sandboxed=self.record.sandboxed, GIT_INDEX_FILE=str(copy))
        git("add", "--intent-to-add", "--all", "--", ".")
        return git

    def _list(self, git: Git, ends: tuple[str, ...]) -> None:
        raw = git(*_DIFF, "--raw", "--numstat", "-z", "--no-abbrev", *ends, "--")
        files = list(_listed(raw))
        self.change.files = files[:MOST_FILES]
        self.change.added = sum(file.added or 0 for file in files)
        self.change.removed = sum(file.removed or 0 for file in files)
        if len(files) > MOST_FILES:
            self.change.cut = f"{len(files) - MOST_FILES:,} of {len(files):,} files are not listed"

    def _patch(self, git: Git, ends: tuple[str, ...], most: int) -> None:
        text = git.ask("-c", "core.quotePath=true", *_DIFF, *ends, "--", most=16_000_000)
        left, last = most, None
        files = iter(self.change.files)
        for part in _parts(text.text):
            # Of a change of type the patch is two parts: one away, one anew.
            file = last if last is not None and last.kind == "type" and part[0] else next(files, None)
            last = None if file is last else file
            if file is None:
                break
            _take(file, part[1], left)
            left = max(0, left - len(file.lines))
        cut = sum(file.cut for file in self.change.files)
        words = [f"{cut:,} lines of the patch are not here"] if cut else []
        words += ["the patch is larger than 16 MB and is not whole"] if text.cut else []
        if words:
            folder = self.change.folder if len(ends) == 1 else self.change.repo
            whole = f"`git -C {folder} diff {' '.join(end[:12] for end in ends)}` shows all"
            self.change.cut = "; ".join(filter(None, [self.change.cut, *words, whole]))


def _listed(raw: str) -> Iterable[FileDiff]:
    """Read `--raw --numstat -z`: first a row for each file, then the counts of each."""
    fields = iter(raw.split("\0"))
    found: dict[str, FileDiff] = {}
    for word in fields:
        if word.startswith(":"):
            old_mode, mode, _, blob, status = word[1:].split(" ")
            old = next(fields, "")
            path = next(fields, "") if status[0] in "RC" else old
            kinds = {"A": "added", "D": "deleted", "R": "renamed", "C": "copied", "T": "type"}
            note = "a submodule" if _SUBMODULE in (old_mode, mode) else "a link" if mode == _LINK else ""
            if note == "a submodule" and blob.strip("0"):
                note = f"a submodule, now at {blob[:12]}"
            found[path] = FileDiff(
                path=_name(path),
                old_path=_name(old) if old != path else "",
                kind=kinds.get(status[0], "changed"),
                note=note,
            )
        elif word.count("\t") >= 2:
            added, removed, path = word.split("\t", 2)
            if not path:
                next(fields, "")
                path = next(fields, "")
            file = found.get(path)
            if file is not None and added == "-":
                file.note = file.note or "binary"
            elif file is not None and added.isdigit() and removed.isdigit():
                file.added, file.removed = int(added), int(removed)
    return found.values()


def _name(path: str) -> str:
    return clean(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), 1000)


def _parts(text: str) -> Iterable[tuple[bool, list[str]]]:
    """Yield for each file of a patch whether it is a new one, and its lines from the first hunk on."""
    part: list[str] | None = None
    new = False
    body = False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            if part is not None:
                yield new, part
            part, new, body = [], False, False
        elif part is None:
            continue
        elif body or line.startswith("@@ "):
            body = True
            part.append(line)
        elif line.startswith("new file mode "):
            new = True
    if part is not None:
        if part and not part[-1]:
            part.pop()
        yield new, part


def _take(file: FileDiff, lines: list[str], left: int) -> None:
    shown = [clean(line.replace("\t", "    "), MOST_CHARACTERS) for line in lines[:left]]
    file.lines += shown
    file.cut += len(lines) - len(shown)
    if any(line.startswith("+version https://git-lfs") or line == " version https://git-lfs" for line in lines[:6]):
        file.note = file.note or "kept by LFS: these are its pointers"


# Meeting others.


def overlaps(root: Path, record: WorktreeRecord) -> list[Overlap]:
    """Return which other open worktrees change lines that this one changes. Raises GitError."""
    mine = _Lines(root, record)
    found = []
    seen = {(record.repo, record.branch)}
    others = [other for other in records.everyone(root) if other.is_open and other.repo == record.repo]
    for other in others[-MOST_OTHERS:]:
        if (other.repo, other.branch) in seen:
            continue
        seen.add((other.repo, other.branch))
        try:
            where = mine.meets(_Lines(root, other))
        except GitError:
            # One that is just being made, or taken away.
            continue
        if where:
            found.append(Overlap(task_id=other.task_id, branch=other.branch, where=where[:20]))
    return found


class _Lines:
    """The lines of what it began from that a worktree changes, also those that no commit holds yet."""

    def __init__(self, root: Path, record: WorktreeRecord) -> None:
        folder = Path(record.folder)
        self.there = folder.is_dir()
        self.git = Git(folder if self.there else Path(record.repo), root, sandboxed=record.sandboxed)
        self.tip = self.git.name("rev-parse", "--verify", "--quiet", f"refs/heads/{record.branch}^{{commit}}")
        self.base = record.base

    def meets(self, other: "_Lines") -> list[str]:
        if not self.tip or not other.tip:
            return []
        base = self.git.name("merge-base", self.tip, other.tip)
        if not base:
            return []
        mine, theirs = self.since(base), other.since(base)
        where = []
        for path in sorted(mine.keys() & theirs.keys()):
            line = _first_common(mine[path], theirs[path])
            if line is not None:
                where.append(f"{_name(path)}:{line}" if line else _name(path))
        return where

    def since(self, base: str) -> dict[str, list[tuple[int, int]]]:
        """Return for each path the spans that changed, as first and last line of `base`; 0 for the whole file."""
        ends = (base,) if self.there else (base, self.tip)
        text = self.git.ask("-c", "core.quotePath=false", *_DIFF[:-1], "--no-renames", "--unified=0", *ends, "--")
        found: dict[str, list[tuple[int, int]]] = {}
        path = ""
        head = True
        for line in text.text.split("\n"):
            if line.startswith("diff --git a/"):
                path, head = line[len("diff --git a/") :].partition(" b/")[0], True
                found[path] = []
            elif head and line.startswith(("Binary files ", "new file mode ", "deleted file mode ", "Subproject")):
                found[path].append((0, 0))
            elif match := _HUNK.match(line):
                head = False
                first, count = int(match[1]), int(match[2] or 1)
                # What is put in between two lines meets what touches either.
                found[path].append((first, first + max(1, count - 1) if not count else first + count - 1))
        return {path: spans for path, spans in found.items() if spans}


def _first_common(mine: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> int | None:
    """Return the first line that spans of both hold; 0 for a whole file, None where they share none."""
    if (0, 0) in mine or (0, 0) in theirs:
        return 0
    common = [max(a[0], b[0]) for a in mine for b in theirs if a[0] <= b[1] and b[0] <= a[1]]
    return min(common, default=None)
