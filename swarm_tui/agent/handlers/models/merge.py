"""The steps of a merge that change a repository: the work rebased, the target moved, or the work thrown away.

Each may be cut off and begun again: what it did is seen, and not done twice.
"""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.checkout import add, alone, remove, scratch
from swarm_tui.agent.handlers.git import branch_of, git, try_git
from swarm_tui.agent.handlers.inputs import read_payload
from swarm_tui.agent.handlers.models.worktree import IDENTITY, in_use
from swarm_tui.worktrees import records
from swarm_tui.worktrees.records import WorktreeRecord, folder_name

#: Where commits are kept that no branch holds (any more).
_KEPT = "refs/swarm"
#: Files in a work tree's git folder that say that somebody is in the middle of something.
_IN_THE_MIDDLE = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "rebase-merge", "rebase-apply")
_NAMED = 20


class Payload(Struct, kw_only=True):
    """Payload of `code.merge`, which the merge queue alone gives."""

    act: Annotated[Literal["rebase", "land", "discard"], Meta(description="the step")]
    task_id: Annotated[str, Meta(description="whose work it is")]
    into: Annotated[str, Meta(description="the branch to merge into")] = ""
    onto: Annotated[str, Meta(description="the commit that the branch must be at still")] = ""
    commit: Annotated[str, Meta(description="the commit to move it to")] = ""
    tip: Annotated[str, Meta(description="the commit that the work was at when that was made")] = ""


class Merge:
    """Does one step of a merge in the repository of a task's worktree."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> Result:
        """Raises HandlerError, whose result has `why` in a word: `conflict`, `merged`, `moved`, `dirty`, `gone` …"""
        payload = read_payload(context, Payload)
        record = records.find(context.state_dir, payload.task_id)
        if record is None:
            raise _no(f"no worktree of {payload.task_id} was made on this host", "not-here")
        step = _Step(context, record)
        if not Path(record.repo).is_dir():
            raise _no(f"its repository {record.repo} is gone", "gone")
        with in_use(Path(record.folder)) as free:
            if not free:
                raise _no(f"a task works in {record.folder} now: wait for its end", "busy")
            if payload.act == "rebase":
                return await step.rebase(payload.into)
            if payload.act == "land":
                return await step.land(payload.into, payload.onto, payload.commit, payload.tip)
            return await step.discard()


def _no(message: str, why: str, **more: object) -> HandlerError:
    return HandlerError(message, code=why, result={"why": why, **more})


class _Step:
    """A step in the repository of one worktree."""

    def __init__(self, context: Context, record: WorktreeRecord) -> None:
        self._context, self._record = context, record
        self._repo = Path(record.repo)
        self._name = folder_name(record.branch)

    async def _git(self, *argv: str, at: Path | None = None) -> str:
        return (await git(self._context, at or self._repo, *argv)).strip()

    async def _commit(self, ref: str) -> str:
        """Return the commit that a whole name of a ref means; empty where there is none."""
        done = await try_git(self._context, self._repo, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return done.stdout.strip() if done.returncode == 0 else ""

    async def _is_in(self, commit: str, other: str) -> bool:
        return (await try_git(self._context, self._repo, "merge-base", "--is-ancestor", commit, other)).returncode == 0

    # the first step

    async def rebase(self, into: str) -> Result:
        """Put the work on top of the target, in a folder of its own."""
        target = await self._target(into)
        onto, tip = await self._commit(f"refs/heads/{target}"), await self._tip()
        if await self._is_in(tip, onto):
            raise _no(f"{target} has all of its commits already", "merged", target=target, commit=tip)
        folder = scratch(self._context)
        await remove(self._context, self._repo, folder)
        await add(self._context, self._repo, "--detach", "--", str(folder), tip)
        try:
            commit, how = await self._put_on_top(folder, target, onto, tip)
            files = (await self._git("diff", "--name-only", "-z", f"{onto}..{commit}")).split("\0")
            stat = await self._git("diff", "--shortstat", f"{onto}..{commit}")
        finally:
            await remove(self._context, self._repo, folder)
        if commit == onto:
            raise _no(f"{target} holds the same changes already", "merged", target=target, commit=onto)
        # No branch holds it, and the checks have yet to look at it.
        await self._git("update-ref", f"{_KEPT}/merge/{self._name}", commit)
        return {
            "repo": self._record.asked or str(self._repo),
            "target": target,
            "onto": onto,
            "commit": commit,
            "tip": tip,
            "how": how,
            "files": [name for name in files if name][:500],
            "summary": f"{stat} on top of {target} at {onto[:12]}",
        }

    async def _target(self, into: str) -> str:
        target = into or self._record.target or await branch_of(self._context, self._repo, "HEAD")
        if not target:
            raise _no("it began from no branch, and none is checked out: say which, --into BRANCH", "no-target")
        if not await self._commit(f"refs/heads/{target}"):
            raise _no(f"{self._repo} has no branch {target}: say another, --into BRANCH", "no-target")
        if target == self._record.branch:
            raise _no(f"{target} is the branch of the work itself: say another, --into BRANCH", "no-target")
        return target

    async def _tip(self) -> str:
        """Return the commit that the work is at; all of it must be committed."""
        branch, folder = self._record.branch, Path(self._record.folder)
        tip = await self._commit(f"refs/heads/{branch}")
        if not tip:
            raise _no(f"its branch {branch} is gone", "gone")
        if folder.is_dir() and (left := await self._git("status", "--porcelain", at=folder)):
            names = ", ".join(line[3:] for line in left.splitlines()[:5])
            raise _no(f"{folder} holds what is not committed: {names}; commit it or take it back", "uncommitted")
        if folder.is_dir() and (elsewhere := await self._elsewhere(folder)):
            raise _no(f"{folder} is at {elsewhere}, not on {branch}: what is done there would be left out", "elsewhere")
        return tip

    async def _elsewhere(self, folder: Path) -> str:
        """Return what the folder is at, where that is not the branch of the work; empty where it is."""
        at = (await try_git(self._context, folder, "symbolic-ref", "--quiet", "HEAD")).stdout.strip()
        if at == f"refs/heads/{self._record.branch}":
            return ""
        return at.removeprefix("refs/heads/") or (await self._git("rev-parse", "HEAD", at=folder))[:12]

    async def _put_on_top(self, folder: Path, target: str, onto: str, tip: str) -> tuple[str, str]:
        """Return the new commit, and how it came about: by a rebase, or as one commit where merges stand in its way."""
        merges = await self._git("rev-list", "--merges", "--count", f"{onto}..{tip}")
        if merges == "0":
            argv = (*IDENTITY, "-c", "rebase.autoStash=false", "rebase", "--quiet", "--no-verify", onto)
            done = await try_git(self._context, folder, *argv)
            if done.returncode == 0:
                return await self._git("rev-parse", "HEAD", at=folder), "rebase"
            await try_git(self._context, folder, "rebase", "--abort")
        await self._git("checkout", "--quiet", "--detach", "--force", onto, at=folder)
        done = await try_git(self._context, folder, *IDENTITY, "merge", "--squash", "--quiet", tip)
        if done.returncode != 0:
            raise await self._conflict(folder, target, onto, tip, done.tail)
        if not await self._git("status", "--porcelain", "--untracked-files=no", at=folder):
            return onto, "squash"
        subjects = await self._git("log", "--no-merges", "--reverse", "--format=%s", f"{onto}..{tip}")
        subject, _, rest = subjects.partition("\n")
        message = f"{subject or self._record.branch}\n\n{rest}\n\nTask: {self._record.task_id}"
        await self._git(*IDENTITY, "commit", "--quiet", "--no-verify", "--message", message, at=folder)
        return await self._git("rev-parse", "HEAD", at=folder), "squash"

    async def _conflict(self, folder: Path, target: str, onto: str, tip: str, said: str) -> HandlerError:
        """Return the error that says in which files, and with which commits of the target."""
        listed = await self._git("diff", "--name-only", "--diff-filter=U", "-z", at=folder)
        files = [name for name in listed.split("\0") if name]
        if not files:
            return HandlerError(f"{self._record.branch} cannot be put on top of {target}: {said}", code="git")
        base = await self._git("merge-base", onto, tip)
        gained = await self._git(
            "log", "--no-merges", "--max-count=3", "--format=%h %s", f"{base}..{onto}", "--", *files
        )
        by = f" ({'; '.join(gained.splitlines())})" if gained else ""
        named = ", ".join(files[:_NAMED]) + (f" and {len(files) - _NAMED} more" if len(files) > _NAMED else "")
        return _no(f"conflicts with {target}{by} in {named}", "conflict", target=target, onto=onto, files=files[:500])

    # the last step

    async def land(self, target: str, onto: str, commit: str, tip: str) -> Result:
        """Move the target to the checked commit, if it is where it was when that was made; else say where it is."""
        now = await self._commit(f"refs/heads/{target}")
        checked_out = await self._checked_out(target)
        # An attempt before may have moved it, and others have gone on from there.
        landed = bool(now) and await self._is_in(commit, now)
        if not landed:
            if now != onto:
                raise _no(f"{target} moved to {now[:12] or 'nothing'} meanwhile", "moved")
            if await self._tip() != tip:
                raise _no(f"{self._record.branch} has moved from {tip[:12]} meanwhile: nobody looked at that", "moved")
            if checked_out is not None:
                await self._forward(checked_out, target, commit)
            else:
                # git itself refuses where somebody was quicker; where it then is, is looked at next.
                argv = ("update-ref", "-m", f"merge of {self._record.task_id}", f"refs/heads/{target}", commit, onto)
                await try_git(self._context, self._repo, *argv)
            if await self._commit(f"refs/heads/{target}") != commit:
                raise _no(f"{target} moved meanwhile", "moved")
        branch = await self._commit(f"refs/heads/{self._record.branch}")
        if branch not in ("", tip, commit):
            words = f"{target} has {commit[:12]}; {self._record.branch} has gained commits since, and stays as it is"
            return {"commit": commit, "into": target, "message": words}
        records.change(self._context.state_dir, self._record, merged=commit, onto=onto, target=target)
        await self._clear_up(commit)
        where = f", and so is {checked_out}" if checked_out is not None else ""
        return {"commit": commit, "into": target, "message": f"{target} is at {commit[:12]}{where}"}

    async def _checked_out(self, target: str) -> Path | None:
        """Return the folder in which the branch is checked out."""
        folder: Path | None = None
        for line in (await self._git("worktree", "list", "--porcelain")).splitlines():
            if line.startswith("worktree "):
                folder = Path(line.removeprefix("worktree "))
            elif line == f"branch refs/heads/{target}":
                return folder
        return None

    async def _forward(self, folder: Path, target: str, commit: str) -> None:
        """Move the branch together with the tree in which somebody has it, where that holds nothing of its own."""
        if not folder.is_dir():
            raise _no(f"{target} is checked out in {folder}, which is gone: `git worktree prune`", "dirty")
        for mark in _IN_THE_MIDDLE:
            path = Path(await self._git("rev-parse", "--git-path", mark, at=folder))
            if (folder / path).exists():
                raise _no(f"{folder}, which has {target}, is in the middle of something ({mark}): end that", "dirty")
        if left := await self._git("status", "--porcelain", "--untracked-files=no", at=folder):
            names = ", ".join(line[3:] for line in left.splitlines()[:5])
            words = f"{folder}, which has {target}, holds changes of its own: {names}; commit them or put them aside"
            raise _no(words, "dirty")
        # What the user has git ignore may lie where the work has a file: that is not ours to overwrite.
        argv = ("merge", "--ff-only", "--no-overwrite-ignore", "--quiet", commit)
        done = await try_git(self._context, folder, *argv)
        if done.returncode != 0:
            raise _no(
                f"{folder}, which has {target}, cannot follow, and nothing of it was touched: {done.tail}", "dirty"
            )

    async def _clear_up(self, commit: str) -> None:
        """Take the worktree away, and let the branch be at what was merged; where it was is kept beside."""
        record, folder = self._record, Path(self._record.folder)
        with suppress(HandlerError):
            await self._git("update-ref", "-d", f"{_KEPT}/merge/{self._name}")
            tip = await self._commit(f"refs/heads/{record.branch}")
            if folder.is_dir():
                async with alone(self._context):
                    await self._git("worktree", "remove", "--", str(folder))
            if tip and tip != commit:
                await self._git("update-ref", f"{_KEPT}/merged/{self._name}", tip)
                await self._git("update-ref", f"refs/heads/{record.branch}", commit, tip)

    # the way out

    async def discard(self) -> Result:
        """Take worktree and branch away; the last commit, with what was not committed, stays to be had back."""
        record, folder = self._record, Path(self._record.folder)
        tip = await self._commit(f"refs/heads/{record.branch}")
        if not tip:
            if record.discarded:
                return self._discarded(record.discarded)
            raise _no(f"its branch {record.branch} is gone", "gone")
        if folder.is_dir():
            if await self._git("status", "--porcelain", at=folder):
                await self._git("add", "--all", at=folder)
                message = f"Not committed when it was thrown away\n\nTask: {record.task_id}"
                await self._git(*IDENTITY, "commit", "--quiet", "--no-verify", "--message", message, at=folder)
                tip = await self._commit(f"refs/heads/{record.branch}")
            head = await self._git("rev-parse", "HEAD", at=folder)
            if not await self._is_in(head, tip):
                # The agent left its branch: what it did elsewhere is to be had back as well.
                await self._git("update-ref", f"{_KEPT}/discarded/{self._name}+head", head)
            await self._git("update-ref", f"{_KEPT}/discarded/{self._name}", tip)
            await remove(self._context, self._repo, folder)
        await self._git("update-ref", f"{_KEPT}/discarded/{self._name}", tip)
        records.change(self._context.state_dir, record, discarded=tip)
        await self._git("branch", "--quiet", "--delete", "--force", "--", record.branch)
        return self._discarded(tip)

    def _discarded(self, tip: str) -> Result:
        back = f"git -C {self._repo} branch {self._record.branch} {tip[:12]}"
        return {"commit": tip, "message": f"thrown away; `{back}` brings it back"}
