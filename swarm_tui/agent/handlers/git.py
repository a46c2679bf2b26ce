"""Asks git, in a way that a repository's own configuration cannot turn into running its programs."""

import os
from pathlib import Path

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.process import Completed, run_process

INSTALL = "sudo apt-get install -y git"
#: Bytes of git's answer; more than that is no diff to review in one piece.
LIMIT = 20_000_000
_SAFE = (
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.quotePath=false"),
    # Where the user hides new files, git takes a worktree that is full of them for a clean one, and removes it.
    *("-c", "status.showUntrackedFiles=normal"),
)
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "LC_ALL": "C.UTF-8"}


async def try_git(context: Context, repo: Path, *argv: str) -> Completed:
    """Run git in `repo`; its exit status is the caller's to judge. Raises MissingToolError."""
    return await run_process(context, ["git", *_SAFE, *argv], cwd=repo, env=_QUIET, limit=LIMIT, install=INSTALL)


async def git(context: Context, repo: Path, *argv: str) -> str:
    """What git prints. Raises HandlerError (`git`) with git's own words when it fails."""
    done = await try_git(context, repo, *argv)
    if done.returncode != 0:
        raise HandlerError(f"git {argv[0]} failed in {repo}: {done.tail}", code="git")
    if done.truncated:
        raise HandlerError(f"git {argv[0]} answers more than {LIMIT // 1_000_000} MB in {repo}", code="too-large")
    return done.stdout


async def require_repository(context: Context, repo: Path) -> None:
    """Raises HandlerError (`no-repository`) unless `repo` lies in a git work tree."""
    if not repo.is_dir():
        raise HandlerError(f"repo: {repo} is not a folder", code="no-repository")
    done = await try_git(context, repo, "rev-parse", "--is-inside-work-tree")
    if done.returncode != 0 or done.stdout.strip() != "true":
        raise HandlerError(f"repo: {repo} is not a git repository: {done.tail}", code="no-repository")


async def commit_of(context: Context, repo: Path, name: str) -> str:
    """The full hash of the commit that `name` means. Raises HandlerError (`no-commit`)."""
    done = await try_git(context, repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if done.returncode != 0:
        raise HandlerError(f"{name!r} names no commit of {repo}", code="no-commit")
    return done.stdout.strip()
