"""testing.run: a project's tests by pytest, with progress as they finish, and a verdict in place of a failure."""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError, Result
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.testing.args import allowed
from swarm_tui.agent.handlers.testing.report import progress_of, read_junit

#: Before each line of the traceback when pytest itself fails.
_TRACE = "INTERNALERROR>"
#: pytest's exit statuses.
_PASSED, _FAILED, _INTERRUPTED, _INTERNAL, _USAGE, _NOTHING = range(6)


class Payload(Struct, kw_only=True):
    """The tests to run."""

    path: Annotated[str, Meta(max_length=4096, description="folder, file or file::test, inside the workdir")] = "."
    args: Annotated[list[str], Meta(max_length=64, description="options of pytest, such as -k or --maxfail")] = []


class Options(Struct, kw_only=True, forbid_unknown_fields=True):
    """The layout's `options`."""

    python: str | None = None
    """The interpreter that has pytest and the project."""
    pass_env: list[str] = []
    """Further variables of the agent's own that the tests get."""
    env: dict[str, str] = {}
    silent_after: float | None = None


class Run:
    """Runs pytest in the workdir."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """`{verdict, passed, failed, skipped, errors, duration, failures[]}`. Raises HandlerError."""
        payload = read_payload(context, Payload)
        options = read_options(context, Options)
        with tempfile.TemporaryDirectory(prefix="swarm-tests-") as folder:
            return await run_pytest(context, payload.path, payload.args, options, Path(folder))


async def run_pytest(
    context: Context, path: str, args: Sequence[str], options: Options, folder: Path, extra: Sequence[str] = ()
) -> Result:
    """Run pytest on `path` and read its report; `extra` are arguments of our own, `folder` holds what it writes."""
    target = _target(context, path)
    chosen = allowed(args)
    python = await interpreter(context, options.python)
    report = folder / "report.xml"
    argv = [python, "-m", "pytest", "-v", "--color=no", "-o", "console_output_style=progress"]
    argv += ["-o", "junit_family=xunit1", f"--junitxml={report}", *extra, *chosen, target]

    def line(text: str) -> None:
        heard = progress_of(text)
        if heard is not None:
            context.progress(*heard)

    env = {"PYTHONUNBUFFERED": "1", "COLUMNS": "200", **options.env}
    done = await run_process(context, argv, env=env, passed=options.pass_env, on_line=line)
    if done.returncode in (_PASSED, _FAILED, _INTERRUPTED, _NOTHING) and report.exists():
        result = _judged(read_junit(report), done)
        context.log(f"{result['passed']} passed, {result['failed']} failed, {result['errors']} errors")
        return result
    raise _failure(done)


def _judged(result: Result, done: Completed) -> Result:
    """The report is no pass unless pytest says so too: one that was broken off lists only the tests until then."""
    if done.returncode == _PASSED or result["verdict"] != "passed":
        return result
    why = f"no test failed, but pytest ended with {done.returncode}: {done.tail}"
    return {**result, "verdict": "failed", "message": why[:2000]}


async def interpreter(context: Context, wanted: str | None, *, also: str | None = None) -> str:
    """The first Python with pytest: the layout's, the workdir's `.venv`, PATH's, ours.

    `also` is a module it must have besides, where one of them does. Raises MissingToolError for the layout's own.
    """
    if wanted is not None:
        python = str(Path(wanted).expanduser()) if "/" in wanted else wanted
        if not await has_module(context, python, "pytest"):
            raise MissingToolError("pytest", f"{python} -m pip install pytest")
        return python
    own = context.workdir / ".venv" / "bin" / "python"
    first: str | None = None
    for candidate in (str(own) if own.exists() else None, shutil.which("python3"), shutil.which("python")):
        if candidate is not None and await has_module(context, candidate, "pytest"):
            first = first or candidate
            if also is None or await has_module(context, candidate, also):
                return candidate
    if first is None or (also is not None and await has_module(context, sys.executable, also)):
        return sys.executable
    return first


async def has_module(context: Context, python: str, name: str) -> bool:
    """Return whether that interpreter could import the module."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    try:
        done = await run_process(context, [python, "-c", code], timeout=30.0)
    except HandlerError as error:
        if error.code in ("cancelled", "timeout"):
            raise
        return False
    return done.returncode == 0


def _target(context: Context, path: str) -> str:
    """`path` as pytest is to get it: inside the workdir, symlinks too, and never an option."""
    file, mark, test = path.partition("::")
    if path.startswith("-"):
        raise HandlerError("path: it begins with `-`", code="bad-payload")
    return f"{inside(context.workdir, file)}{mark}{test}"


def _failure(done: Completed) -> HandlerError:
    text: dict[int, Any] = {
        _USAGE: ("pytest did not understand its arguments or found nothing there", "usage", False),
        _INTERNAL: ("pytest itself failed", "internal", False),
    }
    what, code, retryable = text.get(done.returncode, (f"pytest ended with {done.returncode}", "exit", True))
    return HandlerError(f"{what}: {_cause(done.tail)}", code=code, retryable=retryable)


def _cause(tail: str) -> str:
    """The exception at the end of pytest's own traceback, whose frames say nothing to whoever wrote the tests."""
    inside = [line.removeprefix(_TRACE).strip() for line in tail.splitlines() if line.startswith(_TRACE)]
    return next((line for line in reversed(inside) if line), tail)
