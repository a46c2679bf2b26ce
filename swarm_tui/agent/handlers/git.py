"""Asks git under a configuration of ours: nothing that a user or a repository set changes its answers or runs."""

from pathlib import Path

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.worktrees.git_settings import LISTING, QUIET, SET, Known, read_settings

INSTALL = "sudo apt-get install -y git"
#: Bytes of git's answer; more than that is no diff to review in one piece.
LIMIT = 20_000_000
#: Options of git itself, before its command, that take a value.
_WITH_VALUE = frozenset({"-c", "-C"})


#: The last one read, with the attempt and the repository that it is of.
_last: tuple[tuple[str, str, Path], Known] | None = None


async def try_git(
    context: Context, repo: Path, *argv: str, stdin: bytes | None = None, errors: str = "replace"
) -> Completed:
    """Run git in `repo`; its exit status is the caller's to judge. Raises MissingToolError.

    `errors="surrogateescape"` keeps every byte of the answer, for names and contents that are no UTF-8.
    """
    known = await _settings(context, repo)
    line = ["git", *SET, *argv]
    env = {**QUIET, **known.env, "GIT_CONFIG_GLOBAL": str(known.file)}
    return await run_process(
        context,
        line,
        cwd=repo,
        env=env,
        stdin=stdin,
        limit=LIMIT,
        install=INSTALL,
        errors=errors,
        kept=False,
        trees=True,
    )


async def git(context: Context, repo: Path, *argv: str, stdin: bytes | None = None, errors: str = "replace") -> str:
    """Return what git prints. Raises HandlerError (`git`, `too-large`) with git's own words when it fails."""
    done = await try_git(context, repo, *argv, stdin=stdin, errors=errors)
    if done.returncode != 0:
        raise HandlerError(f"git {_command(argv)} failed in {repo}: {done.tail or done.how}", code="git")
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
    if done.returncode == 0:
        return done.stdout.strip()
    known = await try_git(context, repo, "rev-list", "--all", "--max-count=1")
    if known.returncode == 0 and not known.stdout.strip():
        raise HandlerError(f"{repo} has no commit yet: make the first one, and publish this again", code="no-commit")
    raise HandlerError(f"{name!r} names no commit of {repo}", code="no-commit")


async def branch_of(context: Context, repo: Path, name: str) -> str:
    """Return the branch that `name` is, or that is checked out where it is HEAD; empty where it is none."""
    done = await try_git(context, repo, "rev-parse", "--symbolic-full-name", "--end-of-options", name)
    lines = done.stdout.split("\n")[-2:-1] if done.returncode == 0 else []
    return lines[0].removeprefix("refs/heads/") if lines and lines[0].startswith("refs/heads/") else ""


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


async def _settings(context: Context, repo: Path) -> Known:
    """Read once for each attempt and repository what of the user's own settings stays."""
    global _last
    key = (context.task_id, context.fence, repo)
    if _last is not None and _last[0] == key and _last[1].file.exists():
        return _last[1]
    done = await run_process(
        context, ["git", *LISTING], cwd=repo, limit=LIMIT, install=INSTALL, errors="surrogateescape", kept=False
    )
    listing = done.stdout if done.returncode == 0 and not done.truncated else ""
    known = read_settings(listing, context.state_dir)
    _last = (key, known)
    return known


def _command(argv: tuple[str, ...]) -> str:
    """Return git's command among its arguments, such as `diff`."""
    words = iter(argv)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""
