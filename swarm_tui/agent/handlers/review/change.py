"""Reads the change to review from git: its new lines, and its files before and after."""

from pathlib import Path

from msgspec import Struct, field

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.git import commit_of, git, try_git
from swarm_tui.agent.handlers.review import diff
from swarm_tui.agent.handlers.review.diff import FileChange
from swarm_tui.agent.handlers.review.ruff import CONFIG_NAMES

#: Files of one change, and bytes of one file, that are read.
MAX_FILES = 2000
MAX_BYTES = 1_000_000
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "-M", "-U0")


class Change(Struct, kw_only=True):
    """A change. `after` and `before` hold the text of its files; `configs` that of the linter's own."""

    base: str
    head: str
    """A commit's hash, or `working tree`."""
    files: list[FileChange]
    after: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


async def read_change(context: Context, repo: Path, base: str | None, head: str | None, pr: int | str | None) -> Change:
    """The change from where `head` left `base` to `head`; names are relative to `repo`.

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
    for file in change.files:
        await _read_file(context, repo, change, file)
    await _read_configs(context, repo, change)
    return change


async def _commits(context: Context, repo: Path, base: str | None, head: str) -> Change:
    last = await commit_of(context, repo, head)
    first = await _start(context, repo, base or f"{last}~1", last, given=base is not None)
    text = await git(context, repo, *_DIFF, "--relative", first, last, "--")
    return Change(base=first, head=last, files=diff.parse(text))


async def _start(context: Context, repo: Path, base: str, head: str, *, given: bool) -> str:
    """Where `head` left `base`; of a first commit, the empty tree."""
    if not given and (await try_git(context, repo, "rev-parse", "--verify", "--quiet", base)).returncode != 0:
        return _EMPTY_TREE
    start = await commit_of(context, repo, base)
    merged = await try_git(context, repo, "merge-base", start, head)
    return merged.stdout.strip() if merged.returncode == 0 else start


async def _working_tree(context: Context, repo: Path, base: str | None) -> Change:
    if base is not None:
        start = await commit_of(context, repo, base)
    else:
        known = await try_git(context, repo, "rev-parse", "--verify", "--quiet", "HEAD")
        start = known.stdout.strip() if known.returncode == 0 else _EMPTY_TREE
    text = await git(context, repo, *_DIFF, "--relative", start, "--")
    change = Change(base=start, head="working tree", files=diff.parse(text))
    new = await git(context, repo, "ls-files", "-z", "--others", "--exclude-standard")
    for path in filter(None, new.split("\0")):
        body = _text_of(repo / path)
        if body is None:
            change.skipped.append(f"{path}: not text, or too large")
        else:
            change.files.append(diff.whole(path, body))
    return change


async def _read_file(context: Context, repo: Path, change: Change, file: FileChange) -> None:
    after = _text_of(repo / file.path) if change.head == "working tree" else None
    if change.head != "working tree":
        after = await _show(context, repo, change.head, file.path)
    if after is None:
        change.skipped.append(f"{file.path}: not text, or too large")
        return
    change.after[file.path] = after
    if file.old_path is not None and (before := await _show(context, repo, change.base, file.old_path)) is not None:
        change.before[file.path] = before


async def _read_configs(context: Context, repo: Path, change: Change) -> None:
    if change.head == "working tree":
        listed = await git(context, repo, "ls-files", "-z")
    else:
        listed = await git(context, repo, "ls-tree", "-r", "-z", "--name-only", change.head)
    for path in listed.split("\0"):
        if path.rpartition("/")[2] in CONFIG_NAMES:
            text = _text_of(repo / path) if change.head == "working tree" else None
            if change.head != "working tree":
                text = await _show(context, repo, change.head, path)
            if text is not None:
                change.configs[path] = text


async def _show(context: Context, repo: Path, commit: str, path: str) -> str | None:
    done = await try_git(context, repo, "show", "--no-textconv", f"{commit}:./{path}")
    if done.returncode != 0 or len(done.stdout) > MAX_BYTES or "\0" in done.stdout:
        return None
    return done.stdout


def _text_of(path: Path) -> str | None:
    """A file's text; None for a link, a folder, a large or a binary one."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    return None if b"\0" in data else data.decode("utf-8", "replace")
