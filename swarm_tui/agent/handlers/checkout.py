"""A commit checked out in a folder of its own, for as long as something looks at it; the user's tree is not touched."""

import asyncio
import fcntl
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.handlers.git import commit_of, git, require_repository, try_git
from swarm_tui.worktrees.records import worktrees_of


@asynccontextmanager
async def checked_out(context: Context, repo: Path, name: str) -> AsyncIterator[tuple[Path, str]]:
    """Give the folder and the full hash of the commit that `name` means; the folder is gone afterwards.

    Raises HandlerError (`no-repository`, `no-commit`, `git`).
    """
    await require_repository(context, repo)
    commit = await commit_of(context, repo, name)
    folder = scratch(context)
    await remove(context, repo, folder)
    await add(context, repo, "--detach", "--", str(folder), commit)
    try:
        yield folder, commit
    finally:
        await remove(context, repo, folder)


@asynccontextmanager
async def alone(context: Context) -> AsyncIterator[None]:
    """Keep the swarm's other agents on this host from making worktrees, or taking them away: git minds it badly."""
    home = worktrees_of(context.state_dir)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(home / ".lock", "w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(0.02)
            else:
                break
        yield


async def add(context: Context, repo: Path, *argv: str) -> None:
    """Make a worktree as `git worktree add` does with these arguments. Raises HandlerError (`git`)."""
    async with alone(context):
        await git(context, repo, "worktree", "add", "--quiet", *argv)


def scratch(context: Context) -> Path:
    """Return the folder for a checkout of this task's; one that an earlier attempt left is in it still."""
    home = worktrees_of(context.state_dir) / ".at"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home / re.sub(r"[^A-Za-z0-9_-]+", "-", f"{context.task_id}-{context.agent_id}")[:120]


async def remove(context: Context, repo: Path, folder: Path) -> None:
    """Take the checkout away, whatever it holds, and git's note of it. Raises MissingToolError."""
    async with alone(context):
        await _remove(context, repo, folder)


async def _remove(context: Context, repo: Path, folder: Path) -> None:
    if folder.exists():
        await try_git(context, repo, "worktree", "remove", "--force", "--force", "--", str(folder))
    if folder.exists():
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await try_git(context, repo, "worktree", "prune")
