"""Reads the change to review from git: its new lines, and its files before and after."""

import asyncio
import os
import posixpath
import stat
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.files import decoded, readable
from swarm_tui.agent.handlers.findings import Finding
from swarm_tui.agent.handlers.git import blobs, commit_of, git, try_git
from swarm_tui.agent.handlers.review import diff
from swarm_tui.agent.handlers.review.diff import LINK, SUBMODULE, FileChange

#: Files of one change, and bytes of one file, that are read.
MAX_FILES = 2000
MAX_BYTES = 1_000_000
#: Files that say how ruff is to judge.
RUFF_CONFIGS = frozenset({"pyproject.toml", "ruff.toml", ".ruff.toml"})
WORKING_TREE = "working tree"
#: Suffixes of what people write as code.
CODE = frozenset(
    {
        *("c", "cc", "cpp", "go", "h", "java", "js", "jsx", "kt", "php", "py", "rb", "rs", "sh", "sql", "swift", "ts"),
        "tsx",
    }
)
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "-M"),
    *("--inter-hunk-context=0", "--ignore-submodules=dirty", f"-O{os.devnull}", "--relative"),
)


class Change(Struct, kw_only=True):
    """A change. `after` and `before` hold its files' bytes; `configs` those of the linter's own.

    `head` is a commit's hash, or `working tree`; `skipped` says of each file that was not read why.
    """

    base: str
    head: str
    files: list[FileChange]
    tree: dict[str, str] = field(default_factory=dict)
    """Each plain file of the new side to its blob, without those that are new in the working tree."""
    after: dict[str, bytes] = field(default_factory=dict)
    before: dict[str, bytes] = field(default_factory=dict)
    configs: dict[str, bytes] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


async def read_change(
    context: Context, repo: Path, base: str | None, head: str | None, pr: int | str | None = None
) -> Change:
    """Return the change from where `head` left `base` to `head`; names are relative to `repo`.

    Raises HandlerError (`no-commit`, `too-large`).
    """
    if pr is not None and head is None:
        head = f"refs/pull/{pr}/head"
    if head is None:
        change = await _working_tree(context, repo, base)
    else:
        change = await _commits(context, repo, base, head)
    if len(change.files) > MAX_FILES:
        raise HandlerError(f"{len(change.files)} files changed, over {MAX_FILES}: review a part", code="too-large")
    await _read_files(context, repo, change)
    await _read_configs(context, repo, change)
    return change


async def _commits(context: Context, repo: Path, base: str | None, head: str) -> Change:
    last = await commit_of(context, repo, head)
    first = await _start(context, repo, base or f"{last}~1", last, given=base is not None)
    listed = await git(context, repo, "ls-tree", "-r", "-z", last, errors="surrogateescape")
    tree = {}
    for line in filter(None, listed.split("\0")):
        kind, _, path = line.partition("\t")
        mode, _, blob = kind.split(" ")
        if mode not in (LINK, SUBMODULE):
            tree[path] = blob
    return Change(base=first, head=last, files=await _diff(context, repo, first, last), tree=tree)


async def _working_tree(context: Context, repo: Path, base: str | None) -> Change:
    if base is not None:
        start = await commit_of(context, repo, base)
    else:
        known = await try_git(context, repo, "rev-parse", "--verify", "--quiet", "HEAD")
        start = known.stdout.strip() if known.returncode == 0 else await _empty_tree(context, repo)
    listed = await git(context, repo, "ls-files", "-z", errors="surrogateescape")
    tree = dict.fromkeys(filter(None, listed.split("\0")), "")
    change = Change(base=start, head=WORKING_TREE, files=await _diff(context, repo, start), tree=tree)
    new = await git(context, repo, "ls-files", "-z", "--others", "--exclude-standard", errors="surrogateescape")
    for path in filter(None, new.split("\0")):
        if path.endswith("/"):
            change.skipped.append(f"{readable(path)}: a repository of its own")
        else:
            change.files.append(FileChange(path, mode=LINK if (repo / path).is_symlink() else "100644", hidden=True))
    return change


async def _diff(context: Context, repo: Path, *commits: str) -> list[FileChange]:
    listing = await git(
        context, repo, *_DIFF, "--raw", "--numstat", "-z", "--no-abbrev", *commits, "--", errors="surrogateescape"
    )
    # Quoted, each name keeps to its line; a name of one line less could not be told from a head.
    quoted = ("-c", "core.quotePath=true", *_DIFF, "--unified=0", *commits, "--")
    patch = await git(context, repo, *quoted, errors="surrogateescape")
    return await asyncio.to_thread(diff.read, listing, patch)


async def _start(context: Context, repo: Path, base: str, head: str, *, given: bool) -> str:
    """Return where `head` left `base`; of a first commit, the empty tree."""
    if not given and (await try_git(context, repo, "rev-parse", "--verify", "--quiet", base)).returncode != 0:
        return await _empty_tree(context, repo)
    start = await commit_of(context, repo, base)
    merged = await try_git(context, repo, "merge-base", start, head)
    return merged.stdout.strip() if merged.returncode == 0 else start


async def _empty_tree(context: Context, repo: Path) -> str:
    """Return the name of the tree without files: it is another one in a repository of SHA-256."""
    return (await git(context, repo, "hash-object", "-t", "tree", "--stdin", stdin=b"")).strip()


async def _read_files(context: Context, repo: Path, change: Change) -> None:
    """Read the changed files' bytes; what is no plain text file is named in `skipped`."""
    plain = [file for file in change.files if not file.deleted and file.mode not in (LINK, SUBMODULE)]
    wanted = [file.blob for file in plain if change.head != WORKING_TREE]
    wanted += [file.old_blob for file in plain if file.old_blob and file.old_mode not in (LINK, SUBMODULE)]
    wanted += [file.blob for file in change.files if file.mode == LINK and file.blob]
    found = await blobs(context, repo, wanted, MAX_BYTES)
    for file in change.files:
        if file.deleted:
            continue
        if file.mode == SUBMODULE:
            moved = f"{file.old_blob[:8] or 'new'} → {file.blob[:8]}"
            change.skipped.append(f"{readable(file.path)}: a submodule ({moved}): what changed in it was not read")
        elif file.mode == LINK:
            _read_link(repo, change, file, found.get(file.blob))
        else:
            data = _bytes_of(repo / file.path) if change.head == WORKING_TREE else found.get(file.blob)
            _take(change, file, data, found.get(file.old_blob))


def _take(change: Change, file: FileChange, after: bytes | None, before: bytes | None) -> None:
    new = change.head == WORKING_TREE and file.old_path is None and file.hidden
    if after is None:
        change.skipped.append(f"{readable(file.path)}: larger than {MAX_BYTES // 1_000_000} MB, or not readable")
    elif b"\0" in after:
        change.skipped.append(f"{readable(file.path)}: binary")
    elif file.hidden and not new:
        why = "an attribute of git's (`-diff`, `binary`) hides its lines"
        change.skipped.append(f"{readable(file.path)}: {why}")
        if file.path.rpartition(".")[2] in CODE:
            message = f"{why}: nothing and nobody reviewed them"
            change.findings.append(
                Finding(file=file.path, line=0, severity="warning", code="hidden", message=message, tool="review")
            )
    else:
        if new:
            file.added = diff.whole(file.path, decoded(file.path, after)).added
            file.hidden = False
        change.after[file.path] = after
        if before is not None and b"\0" not in before:
            change.before[file.path] = before


def _read_link(repo: Path, change: Change, file: FileChange, blob: bytes | None) -> None:
    """A link is no text of its own: say where it leads, and warn where that is outside."""
    file.added = {}
    if blob is not None:
        target = blob.decode("utf-8", "surrogateescape")
    else:
        try:
            target = str((repo / file.path).readlink())
        except OSError:
            target = "?"
    change.skipped.append(f"{readable(file.path)}: a symbolic link to {readable(target)}")
    led = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), target))
    if led.startswith(("/", "../")):
        message = f"a symbolic link that leads out of the repository, to {readable(target)}"
        change.findings.append(
            Finding(file=file.path, line=0, severity="warning", code="link-outside", message=message, tool="review")
        )


async def _read_configs(context: Context, repo: Path, change: Change) -> None:
    """Read each configuration of ruff's, and those that they extend."""
    names = {path for path in change.tree if path.rpartition("/")[2] in RUFF_CONFIGS}
    names |= {file.path for file in change.files if file.path.rpartition("/")[2] in RUFF_CONFIGS and not file.deleted}
    while names:
        found = await _read_now(context, repo, change, sorted(names))
        change.configs |= found
        extended = {_extended(path, data) for path, data in found.items()}
        names = {path for path in extended if path and (path in change.tree or path in change.after)}
        names -= change.configs.keys()


async def _read_now(context: Context, repo: Path, change: Change, names: list[str]) -> dict[str, bytes]:
    if change.head == WORKING_TREE:
        read = {path: _bytes_of(repo / path) for path in names}
    else:
        known = await blobs(context, repo, [change.tree[path] for path in names if path in change.tree], MAX_BYTES)
        read = {path: known.get(change.tree.get(path, "")) for path in names}
    return {path: data for path, data in read.items() if data is not None}


def _extended(path: str, data: bytes) -> str | None:
    """Return the file of the repository that a configuration of ruff's extends; None where it extends none."""
    try:
        table: Any = tomllib.loads(data.decode("utf-8", "replace"))
        table = table if not path.endswith("pyproject.toml") else table.get("tool", {}).get("ruff", {})
        target = table.get("extend")
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(target, str):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _bytes_of(path: Path) -> bytes | None:
    """Return a plain file's bytes; None for a link, a folder, and one that is large or cannot be read."""
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_BYTES:
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        return None
