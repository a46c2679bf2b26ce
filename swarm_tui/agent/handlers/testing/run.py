"""testing.run: a project's tests, by the tool that the project uses, with a verdict in place of a failure."""

import tempfile
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.checkout import checked_out
from swarm_tui.agent.handlers.git import git
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.testing.runners import choose, run_other
from swarm_tui.agent.handlers.testing.with_pytest import Options, interpreter, run_pytest

Runner = Literal["auto", "pytest", "npm", "go", "cargo", "tox", "nox"]


class Payload(Struct, kw_only=True):
    """The tests to run."""

    path: Annotated[str, Meta(max_length=4096, description="folder, file or file::test, inside the workdir")] = "."
    args: Annotated[list[str], Meta(max_length=64, description="options of pytest, such as -k or --maxfail")] = []
    repo: Annotated[str, Meta(description="with `head`: the git repository, inside the workdir")] = "."
    head: Annotated[str | None, Meta(description="the commit or branch to test, in a checkout of its own")] = None
    runner: Annotated[Runner, Meta(description="the tool")] = "auto"


class Run:
    """Runs a project's tests: pytest, npm test, go test, cargo test, tox or nox."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Return `{verdict, runner, passed, failed, skipped, errors, duration, failures[]}`. Raises HandlerError."""
        payload = read_payload(context, Payload)
        options = read_options(context, Options)
        if payload.path.startswith("-"):
            raise HandlerError("path: it begins with `-`", code="bad-payload")
        if payload.head is None:
            return await _test(context, payload, options)
        repo = inside(context.workdir, payload.repo, what="repo")
        async with checked_out(context, repo, payload.head) as (folder, commit):
            top = Path((await git(context, repo, "rev-parse", "--show-toplevel")).strip())
            # The checkout has no Python of its own; the project's must not bring in the packages of the user's tree.
            python = await interpreter(context, options.python, root=repo)
            there = replace(context, workdir=folder / repo.relative_to(top.resolve()))
            result = await _test(there, payload, replace(options, python=python), apart=True)
            return {**result, "head": commit}


async def _test(context: Context, payload: Payload, options: Options, *, apart: bool = False) -> Result:
    """Run the tests of the context's workdir; `apart`: it is a checkout, and the Python may have another's packages."""
    target = inside(context.workdir, payload.path.partition("::")[0])
    runner, root = choose(context.workdir.resolve(), target, payload.runner)
    with tempfile.TemporaryDirectory(prefix="swarm-tests-") as name:
        if runner == "pytest":
            result = await run_pytest(context, payload.path, payload.args, options, Path(name), apart=apart)
        else:
            if payload.args:
                raise HandlerError(f"args: they are pytest's, and {runner} runs here", code="bad-payload")
            result = await run_other(context, runner, root, target, options, Path(name))
    counts = ", ".join(f"{result[key]} {key}" for key in ("passed", "failed", "errors", "skipped") if result[key])
    context.log(f"{runner}: {counts or result.get('message', 'no test was counted')}")
    return result
