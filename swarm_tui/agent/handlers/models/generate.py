"""Writes code in a git worktree of its own, by an agent CLI or a model; the user's tree is never touched."""

import asyncio
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.git import branch_of, commit_of, require_repository
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.models.client import ModelOptions, ask, json_in, why_not
from swarm_tui.agent.handlers.models.talk import TalkOptions, TalkPayload, as_result, choose, gone_on_with, talk
from swarm_tui.agent.handlers.models.worktree import Worktree
from swarm_tui.worktrees import records
from swarm_tui.worktrees.change import overlaps
from swarm_tui.worktrees.git import GitError


class Payload(TalkPayload, kw_only=True):
    """Payload of `code.generate`."""

    base: Annotated[str, Meta(description="the commit or branch to start from")] = "HEAD"
    onto: Annotated[
        str | None, Meta(description="a branch to bring into its worktree first; what conflicts is its to resolve")
    ] = None


class Options(TalkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options: either `cli` or `llm` writes the code. `keep`: worktrees left for people to look at."""

    llm: ModelOptions | None = None
    branch_prefix: str = "swarm/"
    keep: int = 20


class Generate:
    """Gives the `branch`, the worktree's `path`, the `files` changed and a `diffstat`."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises HandlerError: `not-configured`, `nothing-written`, `no-repository`, `no-commit`, and what the CLI or
        the model raise; the work done so far stays in its worktree, which the error's result names.
        """
        payload, options = read_payload(context, Payload), read_options(context, Options)
        repo = inside(context.workdir, payload.repo, what="repo")
        name = payload.cli or gone_on_with(context) or options.cli
        if name is None and (reason := why_not(options.llm)):
            message = f"nobody is there to write code: give the layout's handler `options: {{cli: claude}}`; {reason}"
            raise HandlerError(message, code="not-configured")
        if name is not None:
            choose(name, options.clis)
        await require_repository(context, repo)
        tree = await _tree(context, options, payload, repo)
        context.progress(5, f"working on {tree.branch}")
        async with tree.mine():
            return await _write_in(context, options, payload, name, tree)


async def _write_in(context: Context, options: Options, payload: Payload, name: str | None, tree: Worktree) -> Result:
    """Write in the worktree, and commit; what is done of it stays when that fails. Raises HandlerError."""
    said: Result = {}
    begun, marked = tree.base, list[str]()
    try:
        if payload.onto is not None:
            marked = await tree.take_in(payload.onto)
            # An earlier attempt may have done all of it already.
            begun = await tree.head() if context.attempt == 1 else tree.base
            context.log(
                f"{payload.onto} is brought in" + (f", with conflicts in {', '.join(marked)}" if marked else "")
            )
        if name is not None:
            told = await talk(context, options, payload, name, "edit", tree.folder)
            said = as_result(name, told)
        else:
            assert options.llm is not None
            said = {"text": await _by_model(context, options.llm, payload.prompt, tree)}
        if left := await tree.still_marked(marked):
            raise HandlerError(f"conflict marks are left in {', '.join(left)}", code="conflict", result=said)
        await tree.come_back()
    except HandlerError as error:
        error.result = {**said, **(error.result or {}), **await tree.keep_or_remove()}
        raise
    return await _finish(context, tree, payload.prompt, said, begun)


async def _tree(context: Context, options: Options, payload: Payload, repo: Path) -> Worktree:
    """Return the worktree that is gone on in, of an attempt before or of the task that is named; else a new one."""
    point = context.resume if options.resume else None
    earlier = (point.task_id or context.task_id) if point is not None else payload.resume
    if earlier is not None:
        tree = await Worktree.reopen(context, repo, earlier)
        if tree is not None:
            context.log(f"goes on in {tree.folder}")
            return tree
    base = await commit_of(context, repo, payload.base)
    target = await branch_of(context, repo, payload.base)
    return await Worktree.add(context, repo, base, keep=options.keep, prefix=options.branch_prefix, target=target)


async def _finish(context: Context, tree: Worktree, prompt: str, said: Result, begun: str) -> Result:
    text = str(said.get("text", ""))
    await tree.tidy()
    if not await tree.is_dirty() and await tree.head() == begun:
        await tree.keep_or_remove()
        raise HandlerError(f"nothing was written: {text[:2000]}", code="nothing-written", result=said)
    await tree.commit(prompt.strip().split("\n")[0][:72] or "Generated code")
    context.progress(100, f"on branch {tree.branch}")
    return {**said, "text": text[:10_000], **await tree.describe(), "overlaps": await _overlaps(context)}


async def _overlaps(context: Context) -> list[str]:
    """Return which open worktrees change the same lines, each as a sentence; and warn of them."""
    record = records.find(context.state_dir, context.task_id)
    try:
        found = await asyncio.to_thread(overlaps, context.state_dir, record) if record is not None else []
    except GitError as error:
        context.log(f"other worktrees could not be looked at: {error}")
        return []
    said = [f"{one.task_id} changes the same lines: {', '.join(one.where[:5])}" for one in found[:20]]
    for line in said:
        context.log(line)
    return said


class _File(Struct):
    path: str
    content: str


class _Written(Struct):
    files: list[_File]
    summary: str = ""


async def _by_model(context: Context, options: ModelOptions, prompt: str, tree: Worktree) -> str:
    """Have a model write whole files. Raises HandlerError (`llm-refused`) for an answer of another shape."""
    listing = await tree.listing()
    system = (
        "You write code for the repository whose files are listed. Answer with one JSON object and nothing else: "
        '{"files": [{"path": str, "content": str}], "summary": str}. Each file is whole. Paths are relative.'
    )
    answer = await ask(context, options, f"{prompt}\n\nFiles:\n{listing}", system)
    try:
        written = msgspec.json.decode(json_in(answer.text), type=_Written)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise HandlerError(f"the model answered in another shape: {answer.text[:500]}", code="llm-refused") from error
    for file in written.files:
        _write(tree.folder, file)
    return written.summary


def _write(folder: Path, file: _File) -> None:
    path = inside(folder, file.path, what="a file of the model's", must_exist=False)
    if path == folder or ".git" in path.relative_to(folder.resolve()).parts:
        raise HandlerError(f"the model may not write {file.path}", code="outside")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.content)
