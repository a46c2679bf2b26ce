"""Asks git under a configuration of ours: nothing that a user or a repository set changes its answers or runs."""

import hashlib
import os
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.process import Completed, run_process

INSTALL = "sudo apt-get install -y git"
#: Bytes of git's answer; more than that is no diff to review in one piece.
LIMIT = 20_000_000
#: Settings that change what git prints, or run a program, each set to what is read here.
_OURS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.quotePath": "false",
    "core.pager": "cat",
    # A small one makes git take every file for a binary.
    "core.bigFileThreshold": "512m",
    "color.ui": "false",
    "color.diff": "false",
    "color.status": "false",
    "submodule.recurse": "false",
    # Where the user hides new files, git takes a worktree that is full of them for a clean one, and removes it.
    "status.showUntrackedFiles": "normal",
    "commit.gpgSign": "false",
    "diff.algorithm": "default",
    "diff.autoRefreshIndex": "true",
    "diff.colorMoved": "no",
    "diff.context": "3",
    "diff.ignoreSubmodules": "none",
    "diff.indentHeuristic": "true",
    "diff.interHunkContext": "0",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.relative": "false",
    "diff.renameLimit": "1000",
    "diff.renames": "true",
    "diff.submodule": "short",
    "diff.suppressBlankEmpty": "false",
    "diff.wsErrorHighlight": "none",
}
_SET = [word for name, value in _OURS.items() for word in ("-c", f"{name}={value}")]
#: Settings of the user's that decide what a file is, who commits and whom git trusts: these stay.
_KEPT_SECTIONS = frozenset({"safe", "user", "author", "committer", "credential", "url", "http", "filter"})
_KEPT = frozenset({"core.autocrlf", "core.eol", "core.safecrlf", "core.excludesfile", "core.sshcommand"})
#: What `git lfs install --local` writes: the only filters that a repository's own configuration may name.
_LFS = frozenset({"git-lfs clean -- %f", "git-lfs smudge -- %f", "git-lfs filter-process"})
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
}
#: Options of git itself, before its command, that take a value.
_WITH_VALUE = frozenset({"-c", "-C"})


class _Entry(Struct, frozen=True):
    """A setting. `scope` is git's word: system, global, local, worktree; `value` None for a bare name."""

    scope: str
    name: str
    value: str | None

    @property
    def stays(self) -> bool:
        """Return whether it is kept, though it is the user's own."""
        return self.name in _KEPT or self.name.partition(".")[0] in _KEPT_SECTIONS

    @property
    def text(self) -> str:
        """Give it as a file of git's does."""
        section, _, rest = self.name.partition(".")
        middle, dot, key = rest.rpartition(".")
        head = f'[{section} "{_escaped(middle)}"]' if dot else f"[{section}]"
        return f"{head}\n\t{key}" + ("\n" if self.value is None else f' = "{_escaped(self.value)}"\n')


class _Known(Struct, frozen=True):
    """The user's settings that stay, as a file of git's, and what switches a repository's own filters off."""

    file: Path
    env: dict[str, str]


#: The last one read, with the attempt and the repository that it is of.
_last: tuple[tuple[str, str, Path], _Known] | None = None


async def try_git(
    context: Context, repo: Path, *argv: str, stdin: bytes | None = None, errors: str = "replace"
) -> Completed:
    """Run git in `repo`; its exit status is the caller's to judge. Raises MissingToolError.

    `errors="surrogateescape"` keeps every byte of the answer, for names and contents that are no UTF-8.
    """
    known = await _settings(context, repo)
    line = ["git", *_SET, *argv]
    env = {**_QUIET, **known.env, "GIT_CONFIG_GLOBAL": str(known.file)}
    return await run_process(
        context, line, cwd=repo, env=env, stdin=stdin, limit=LIMIT, install=INSTALL, errors=errors, kept=False
    )


async def git(context: Context, repo: Path, *argv: str, stdin: bytes | None = None, errors: str = "replace") -> str:
    """Return what git prints. Raises HandlerError (`git`, `too-large`) with git's own words when it fails."""
    done = await try_git(context, repo, *argv, stdin=stdin, errors=errors)
    if done.returncode != 0:
        raise HandlerError(f"git {_command(argv)} failed in {repo}: {done.tail}", code="git")
    if done.truncated:
        raise HandlerError(
            f"git {_command(argv)} answers more than {LIMIT // 1_000_000} MB in {repo}", code="too-large"
        )
    return done.stdout


async def blobs(context: Context, repo: Path, oids: list[str], most: int) -> dict[str, bytes]:
    """Return the contents of those objects that are blobs of at most `most` bytes, by their names (hashes)."""
    wanted = sorted(set(oids))
    sized = await git(context, repo, "cat-file", "--batch-check", stdin=_lines(wanted))
    found: dict[str, bytes] = {}
    batch: list[str] = []
    room = LIMIT // 2
    for line in [*sized.splitlines(), ""]:
        oid, kind, size = (*line.split(" "), "", "", "")[:3]
        here = int(size) if kind == "blob" and size.isdigit() and int(size) <= most else None
        if batch and (not line or (here is not None and here > room)):
            found |= await _contents(context, repo, batch)
            batch, room = [], LIMIT // 2
        if here is not None:
            batch.append(oid)
            room -= here + len(line) + 2
    return found


async def require_repository(context: Context, repo: Path) -> None:
    """Raise HandlerError unless `repo` lies in a git work tree: `no-repository`, or `git` where git itself fails."""
    if not repo.is_dir():
        raise HandlerError(f"repo: {repo} is not a folder", code="no-repository")
    done = await try_git(context, repo, "rev-parse", "--is-inside-work-tree")
    if done.returncode not in (0, 128):
        raise HandlerError(f"git does not run here ({done.how}): {done.tail}", code="git")
    if done.returncode != 0 or done.stdout.strip() != "true":
        raise HandlerError(f"repo: {repo} is not a git repository: {done.tail}", code="no-repository")


async def commit_of(context: Context, repo: Path, name: str) -> str:
    """Return the full hash of the commit that `name` means. Raises HandlerError (`no-commit`)."""
    done = await try_git(context, repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.returncode != 0:
        raise HandlerError(f"{name!r} names no commit of {repo}", code="no-commit")
    return done.stdout.strip()


async def _contents(context: Context, repo: Path, oids: list[str]) -> dict[str, bytes]:
    text = await git(context, repo, "cat-file", "--batch", stdin=_lines(oids), errors="surrogateescape")
    data = text.encode("utf-8", "surrogateescape")
    found: dict[str, bytes] = {}
    at = 0
    for oid in oids:
        head, _, _ = data[at : at + 200].partition(b"\n")
        size = int(head.rsplit(b" ", 1)[1])
        at += len(head) + 1
        found[oid] = data[at : at + size]
        at += size + 1
    return found


def _lines(words: list[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


async def _settings(context: Context, repo: Path) -> _Known:
    """Read once for each attempt and repository what of the user's own settings stays."""
    global _last
    key = (context.task_id, context.fence, repo)
    if _last is not None and _last[0] == key and _last[1].file.exists():
        return _last[1]
    argv = ["git", "config", "--list", "-z", "--includes", "--show-scope"]
    done = await run_process(
        context, argv, cwd=repo, limit=LIMIT, install=INSTALL, errors="surrogateescape", kept=False
    )
    fields = done.stdout.split("\0") if done.returncode == 0 and not done.truncated else []
    entries = [_Entry(scope, *_divided(item)) for scope, item in zip(fields[::2], fields[1::2], strict=False)]
    known = _Known(_written(context.state_dir, entries), _without_filters(entries))
    _last = (key, known)
    return known


def _divided(item: str) -> tuple[str, str | None]:
    name, newline, value = item.partition("\n")
    return name, value if newline else None


def _without_filters(entries: list[_Entry]) -> dict[str, str]:
    """Switch off each filter that the repository's own configuration names: git would run it to read a file."""
    drivers = sorted(
        {
            entry.name.rpartition(".")[0]
            for entry in entries
            if entry.scope in ("local", "worktree")
            and entry.name.startswith("filter.")
            and entry.name.endswith((".clean", ".smudge", ".process"))
            and entry.value not in _LFS
        }
    )
    off = [(f"{driver}.{end}", "") for driver in drivers for end in ("clean", "smudge", "process")]
    off += [(f"{driver}.required", "false") for driver in drivers]
    env = {"GIT_CONFIG_COUNT": str(len(off))}
    for number, (name, value) in enumerate(off):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def _written(state_dir: Path, entries: list[_Entry]) -> Path:
    """Write the kept ones of the user's and the system's settings to a file that git reads in their stead."""
    kept = [entry for entry in entries if entry.scope in ("system", "global") and entry.stays]
    data = "".join(entry.text for entry in kept).encode("utf-8", "surrogateescape")
    folder = state_dir / "git"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"config-{hashlib.sha256(data).hexdigest()[:16]}"
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(data)
        draft.replace(path)
    return path


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _command(argv: tuple[str, ...]) -> str:
    """Return git's command among its arguments, such as `diff`."""
    words = iter(argv)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""
