"""The configuration of ours under which git is asked: nothing that a user or a repository set changes its answers."""

import hashlib
import os
from pathlib import Path

from msgspec import Struct

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
SET = [word for name, value in _OURS.items() for word in ("-c", f"{name}={value}")]
#: Settings of the user's that decide what a file is, who commits and whom git trusts: these stay.
_KEPT_SECTIONS = frozenset({"safe", "user", "author", "committer", "credential", "url", "http", "filter"})
_KEPT = frozenset({"core.autocrlf", "core.eol", "core.safecrlf", "core.excludesfile", "core.sshcommand"})
#: What `git lfs install --local` writes: the only filters that a repository's own configuration may name.
_LFS = frozenset({"git-lfs clean -- %f", "git-lfs smudge -- %f", "git-lfs filter-process"})
QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
}
#: What lists the settings that hold in a repository.
LISTING = ("config", "--list", "-z", "--includes", "--show-scope")


class Entry(Struct, frozen=True):
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


class Known(Struct, frozen=True):
    """The user's settings that stay, as a file of git's, and what switches a repository's own filters off."""

    file: Path
    env: dict[str, str]


def read_settings(listing: str, state_dir: Path) -> Known:
    """Return what of the user's own settings stays, given what `LISTING` printed; empty where it printed nothing."""
    fields = listing.split("\0")
    entries = [Entry(scope, *_divided(item)) for scope, item in zip(fields[::2], fields[1::2], strict=False)]
    return Known(_written(state_dir, entries), _without_filters(entries))


def _divided(item: str) -> tuple[str, str | None]:
    name, newline, value = item.partition("\n")
    return name, value if newline else None


def _without_filters(entries: list[Entry]) -> dict[str, str]:
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


def _written(state_dir: Path, entries: list[Entry]) -> Path:
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
