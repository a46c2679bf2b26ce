"""A git worktree for one task, under the state folder: the user's tree is never touched, no work is thrown away."""

import contextlib
import re
from pathlib import Path
from typing import Any

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.git import git, try_git

_IDENTITY = ("-c", "user.name=swarm-tui", "-c", "user.email=swarm-tui@localhost", "-c", "commit.gpgsign=false")


class Worktree:
    """A branch `swarm/<task>` and the folder in which it is checked out."""

    def __init__(self, context: Context, repo: Path, base: str, folder: Path, branch: str) -> None:
        self._context, self._repo = context, repo
        self.base, self.folder, self.branch = base, folder, branch

    @classmethod
    async def add(cls, context: Context, repo: Path, base: str, *, keep: int, prefix: str = "swarm/") -> "Worktree":
        """Return a new one at `base`; of older ones beyond `keep`, those without work go. Raises HandlerError."""
        home = context.state_dir / "worktrees"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        await _tidy(context, repo, home, keep)
        name = _name_of(context.task_id)
        for number in range(1, 1000):
            suffix = name if number == 1 else f"{name}-{number}"
            folder, branch = home / suffix, f"{prefix}{suffix}"
            known = await try_git(context, repo, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
            if folder.exists() or known.returncode == 0:
                continue
            await git(context, repo, "worktree", "add", "--quiet", "-b", branch, "--", str(folder), base)
            return cls(context, repo, base, folder, branch)
        raise HandlerError(f"{home} holds too many worktrees of {name}", code="git")

    @classmethod
    async def reopen(cls, context: Context, repo: Path, task_id: str, *, prefix: str = "swarm/") -> "Worktree | None":
        """Return the one in which an earlier attempt at `task_id` worked; None where it is gone."""
        name = _name_of(task_id)
        folder, branch = context.state_dir / "worktrees" / name, f"{prefix}{name}"
        if not folder.is_dir():
            return None
        found = await try_git(context, folder, "rev-parse", "--abbrev-ref", "HEAD")
        if found.returncode != 0 or found.stdout.strip() != branch:
            return None
        # Where it began: the oldest entry in the branch's own log.
        begun = await try_git(context, folder, "log", "--walk-reflogs", "--format=%H", branch, "--")
        commits = begun.stdout.split() if begun.returncode == 0 else []
        return cls(context, repo, commits[-1], folder, branch) if commits else None

    async def head(self) -> str:
        """Return the commit that the branch is at."""
        return (await git(self._context, self.folder, "rev-parse", "HEAD")).strip()

    async def is_dirty(self) -> bool:
        """Return whether it holds what no commit holds."""
        return bool((await git(self._context, self.folder, "status", "--porcelain")).strip())

    async def commit(self, subject: str) -> None:
        """Commit all that was written, if the writer has not."""
        if not await self.is_dirty():
            return
        await git(self._context, self.folder, "add", "--all")
        message = f"{subject}\n\nTask: {self._context.task_id}"
        await git(self._context, self.folder, *_IDENTITY, "commit", "--quiet", "--no-verify", "--message", message)

    async def describe(self) -> dict[str, Any]:
        """Return `branch`, `worktree` (`path` too), `commit`, `files` and `diffstat` against the base."""
        stat = await git(self._context, self.folder, "diff", "--stat=100", "--no-ext-diff", f"{self.base}..HEAD")
        names = await git(
            self._context, self.folder, "diff", "--name-only", "-z", "--no-ext-diff", f"{self.base}..HEAD"
        )
        return {
            "branch": self.branch,
            "worktree": str(self.folder),
            "path": str(self.folder),
            "base": self.base,
            "commit": await self.head(),
            "files": [name for name in names.split("\0") if name][:500],
            "diffstat": stat[-10_000:],
        }

    async def listing(self) -> str:
        """Return the names of its files, for a model to read."""
        return (await git(self._context, self.folder, "ls-files"))[:20_000]

    async def keep_or_remove(self) -> dict[str, Any]:
        """Remove it when nothing was done in it, its branch too; else leave it, and say where it is."""
        with contextlib.suppress(HandlerError):
            if not await self._undone():
                return self._where()
            done = await try_git(self._context, self._repo, "worktree", "remove", "--", str(self.folder))
            if done.returncode == 0:
                await try_git(self._context, self._repo, "branch", "--quiet", "--delete", "--force", "--", self.branch)
                return {}
        return self._where()

    def _where(self) -> dict[str, Any]:
        return {"branch": self.branch, "worktree": str(self.folder), "path": str(self.folder)}

    async def _undone(self) -> bool:
        return not await self.is_dirty() and await self.head() == self.base


def _name_of(task_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", task_id).strip("-")[:64] or "task"


async def _tidy(context: Context, repo: Path, home: Path, keep: int) -> None:
    """Remove the oldest beyond `keep`; git itself refuses one with work in it, and branches stay."""
    folders = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for folder in folders[: max(0, len(folders) - keep + 1)]:
        done = await try_git(context, repo, "worktree", "remove", "--", str(folder))
        if done.returncode != 0:
            context.log(f"{folder} is left: {done.tail}")
