"""A git worktree for one task, under the state folder: the user's tree is never touched, no work is thrown away."""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.checkout import add, alone
from swarm_tui.agent.handlers.git import commit_of, git, try_git
from swarm_tui.worktrees import records
from swarm_tui.worktrees.records import WorktreeRecord, folder_name, worktrees_of

#: Who commits where nobody is named, and what must not run then.
IDENTITY = ("-c", "user.name=swarm-tui", "-c", "user.email=swarm-tui@localhost", "-c", "commit.gpgsign=false")


#: Seconds for which a task waits for another to leave the worktree in which it goes on.
LEFT_WITHIN = 60.0


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[bool]:
    """Keep all others on this host out of a worktree for as long as this lasts; False: somebody else is in it.

    It ends with the process, whatever becomes of that.
    """
    path = records.lock_of(folder)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


#: What tests leave where nobody has it ignored: in a commit, it conflicts with everybody else's.
_CACHES = ":(glob)**/__pycache__/**"


class Worktree:
    """A branch `swarm/<task>` and the folder in which it is checked out."""

    def __init__(self, context: Context, repo: Path, base: str, folder: Path, branch: str) -> None:
        self._context, self._repo = context, repo
        self.base, self.folder, self.branch = base, folder, branch

    @classmethod
    async def add(
        cls, context: Context, repo: Path, base: str, *, keep: int, prefix: str = "swarm/", target: str = ""
    ) -> "Worktree":
        """Return a new one at `base`, to be merged into `target`; of older ones beyond `keep`, those without work go.

        Raises HandlerError.
        """
        home = worktrees_of(context.state_dir)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        await _tidy(context, repo, home, keep)
        prefix = await _free_prefix(context, repo, prefix)
        name = folder_name(context.task_id)
        for number in range(1, 1000):
            suffix = name if number == 1 else f"{name}-{number}"
            folder, branch = home / suffix, f"{prefix}{suffix}"
            # A branch below one of this name takes the name as well.
            known = await git(context, repo, "for-each-ref", "--count=1", f"refs/heads/{branch}")
            if folder.exists() or known.strip():
                continue
            await add(context, repo, "-b", branch, "--", str(folder), base)
            top = Path((await git(context, repo, "rev-parse", "--show-toplevel")).strip())
            boxed = context.sandbox is not None
            made = records.made(context.task_id, top, folder, branch, base, target, repo, sandboxed=boxed)
            records.keep(context.state_dir, made)
            return cls(context, repo, base, folder, branch)
        raise HandlerError(f"{home} holds too many worktrees of {name}", code="git")

    @classmethod
    async def reopen(cls, context: Context, repo: Path, task_id: str) -> "Worktree | None":
        """Return the one in which `task_id` worked, an earlier attempt or another task; None where it is gone."""
        record = records.find(context.state_dir, task_id)
        folder = Path(record.folder) if record is not None else Path()
        if record is None or not record.is_open or not folder.is_dir():
            return None
        found = await try_git(context, folder, "rev-parse", "--abbrev-ref", "HEAD")
        if found.returncode != 0 or found.stdout.strip() != record.branch:
            return None
        if task_id != context.task_id:
            records.keep(context.state_dir, _of_another(record, context))
        return cls(context, repo, record.base, folder, record.branch)

    @contextlib.asynccontextmanager
    async def mine(self) -> AsyncIterator[None]:
        """Keep others out of it: it is neither merged nor taken away while this lasts. Raises HandlerError (`busy`)."""
        end = asyncio.get_running_loop().time() + LEFT_WITHIN
        while True:
            with in_use(self.folder) as free:
                if free:
                    if not self.folder.is_dir():
                        raise HandlerError(
                            f"{self.folder} was merged or thrown away just now", code="gone", retryable=True
                        )
                    yield
                    return
            if asyncio.get_running_loop().time() > end:
                raise HandlerError(f"another task works in {self.folder}", code="busy", retryable=True)
            await asyncio.sleep(0.1)

    async def come_back(self) -> None:
        """Have the branch hold what was committed, where its writer went to another.

        Raises HandlerError (`elsewhere`) where that one does not hold the branch.
        """
        name = f"refs/heads/{self.branch}"
        at = (await try_git(self._context, self.folder, "symbolic-ref", "--quiet", "HEAD")).stdout.strip()
        if at == name:
            return
        head, tip = await self.head(), await commit_of(self._context, self.folder, name)
        told = at.removeprefix("refs/heads/") or f"no branch, at {head[:12]}"
        within = await try_git(self._context, self.folder, "merge-base", "--is-ancestor", tip, head)
        if within.returncode != 0:
            words = f"it left its branch {self.branch} for {told}, which does not hold that: both are as it left them"
            raise HandlerError(words, code="elsewhere")
        self._context.log(f"it worked on {told}: {self.branch} is moved there")
        await git(self._context, self.folder, "update-ref", name, head, tip)
        await git(self._context, self.folder, "symbolic-ref", "HEAD", name)

    async def head(self) -> str:
        """Return the commit that the branch is at."""
        return (await git(self._context, self.folder, "rev-parse", "HEAD")).strip()

    async def is_dirty(self) -> bool:
        """Return whether it holds what no commit holds."""
        return bool((await git(self._context, self.folder, "status", "--porcelain")).strip())

    async def tidy(self) -> None:
        """Take away what Python keeps of its own beside a source, where no commit holds that."""
        await git(self._context, self.folder, "clean", "--force", "-d", "--quiet", "--", _CACHES)

    async def commit(self, subject: str) -> None:
        """Commit all that was written, if the writer has not."""
        if not await self.is_dirty():
            return
        await git(self._context, self.folder, "add", "--all")
        message = f"{subject}\n\nTask: {self._context.task_id}"
        await git(self._context, self.folder, *IDENTITY, "commit", "--quiet", "--no-verify", "--message", message)

    async def describe(self) -> dict[str, Any]:
        """Return `branch`, `worktree` (`path` too), `commit`, `files` and `diffstat` against the base."""
        record = records.find(self._context.state_dir, self._context.task_id)
        base = await self._began(record.target if record is not None else "")
        stat = await git(self._context, self.folder, "diff", "--stat=100", "--no-ext-diff", f"{base}..HEAD")
        names = await git(self._context, self.folder, "diff", "--name-only", "-z", "--no-ext-diff", f"{base}..HEAD")
        return {
            "branch": self.branch,
            "worktree": str(self.folder),
            "path": str(self.folder),
            "base": self.base,
            "repo": record.repo if record is not None else str(self._repo),
            "commit": await self.head(),
            "files": [name for name in names.split("\0") if name][:500],
            "diffstat": stat[-10_000:],
        }

    async def _began(self, target: str) -> str:
        """Return where the work begins: where it left the target last, which it may have taken in since."""
        done = await try_git(self._context, self.folder, "merge-base", "HEAD", f"refs/heads/{target}")
        left = done.stdout.strip() if done.returncode == 0 else ""
        if not left or left == await self.head():
            return self.base
        newer = await try_git(self._context, self.folder, "merge-base", "--is-ancestor", self.base, left)
        return left if newer.returncode == 0 else self.base

    async def take_in(self, target: str) -> list[str]:
        """Merge the branch as it is now, and return the files in which both changed the same lines.

        These hold conflict marks, and the next commit ends the merge. Raises HandlerError (`no-commit`).
        """
        marked = ("diff", "--name-only", "--diff-filter=U", "-z")
        open_merge = await try_git(self._context, self.folder, "rev-parse", "--verify", "--quiet", "MERGE_HEAD")
        if open_merge.returncode != 0:
            commit = await commit_of(self._context, self.folder, f"refs/heads/{target}")
            argv = (*IDENTITY, "merge", "--quiet", "--no-edit", "--no-verify", commit)
            done = await try_git(self._context, self.folder, *argv)
            if done.returncode == 0:
                return []
        files = [name for name in (await git(self._context, self.folder, *marked)).split("\0") if name]
        if not files and open_merge.returncode != 0:
            raise HandlerError(f"{target} cannot be brought into {self.folder}: {done.tail}", code="git")
        return files

    async def still_marked(self, files: list[str]) -> list[str]:
        """Return those of the files that hold conflict marks."""
        if not files:
            return []
        pattern = r"^(<{7}|>{7}) "
        done = await try_git(self._context, self.folder, "grep", "--no-index", "-lzE", "-e", pattern, "--", *files)
        return [name for name in done.stdout.split("\0") if name]

    async def listing(self) -> str:
        """Return the names of its files, for a model to read."""
        return (await git(self._context, self.folder, "ls-files"))[:20_000]

    async def keep_or_remove(self) -> dict[str, Any]:
        """Remove it when nothing was done in it, its branch too; else leave it, and say where it is."""
        with contextlib.suppress(HandlerError):
            if not await self._undone():
                return self._where()
            async with alone(self._context):
                done = await try_git(self._context, self._repo, "worktree", "remove", "--", str(self.folder))
            if done.returncode == 0:
                await try_git(self._context, self._repo, "branch", "--quiet", "--delete", "--force", "--", self.branch)
                records.forget(self._context.state_dir, self._context.task_id)
                return {}
        return self._where()

    def _where(self) -> dict[str, Any]:
        return {"branch": self.branch, "worktree": str(self.folder), "path": str(self.folder)}

    async def _undone(self) -> bool:
        return not await self.is_dirty() and await self.head() == self.base


def _of_another(record: WorktreeRecord, context: Context) -> WorktreeRecord:
    """Return the same worktree as that of a task which goes on in it."""
    return replace(record, task_id=context.task_id, sandboxed=record.sandboxed or context.sandbox is not None)


async def _free_prefix(context: Context, repo: Path, prefix: str) -> str:
    """Return the prefix, with `-` where its `/` cannot be: git has no branch `swarm/x` beside one named `swarm`."""
    parts = prefix.split("/")
    for count in range(1, len(parts)):
        taken = "/".join(parts[:count])
        known = await try_git(context, repo, "rev-parse", "--verify", "--quiet", f"refs/heads/{taken}")
        if known.returncode == 0:
            context.log(f"a branch is named {taken}: this one begins with {prefix.replace('/', '-')}")
            return prefix.replace("/", "-")
    return prefix


async def _tidy(context: Context, repo: Path, home: Path, keep: int) -> None:
    """Remove the oldest beyond `keep`; git itself refuses one with work in it, and branches stay."""
    folders = sorted(
        (path for path in home.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: path.stat().st_mtime,
    )
    records.tidy(context.state_dir)
    for folder in folders[: max(0, len(folders) - keep + 1)]:
        with in_use(folder) as free:
            if not free:
                continue
            async with alone(context):
                done = await try_git(context, repo, "worktree", "remove", "--", str(folder))
        if done.returncode != 0:
            context.log(f"{folder} is left: {done.tail}")
