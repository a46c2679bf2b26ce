"""Runs pytest in the project's own Python, and reads what a plugin of ours writes there."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError, Result
from swarm_tui.agent.handlers.inputs import inside
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.testing import pytest_plugin
from swarm_tui.agent.handlers.testing.report import Failure, Tally, progress_of
from swarm_tui.config.home import at_home

#: Files beside which a project's own tests are run, and the folders of its own Python.
ROOT_MARKS = ("pytest.ini", "pyproject.toml", "setup.cfg", "setup.py", "tox.ini")
_VENVS = (".venv", "venv", "env")
#: Before each line of the traceback when pytest itself fails.
_TRACE = "INTERNALERROR>"
_LARGEST = 64 * 1024 * 1024
#: pytest's exit statuses.
_PASSED, _FAILED, _INTERRUPTED, _INTERNAL, _USAGE, _NOTHING = range(6)
_FLAGS = frozenset(
    {
        *("-x", "-q", "-v", "-vv", "-l", "--exitfirst", "--quiet", "--verbose", "--showlocals", "--runxfail"),
        *("--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first", "--strict-markers"),
        *("--strict-config", "--stepwise", "--sw", "--no-header", "--no-summary"),
    }
)
#: Options with a value, and what the value must look like.
_VALUED = {
    "-k": re.compile(r"[^\0]{1,1000}"),
    "-m": re.compile(r"[^\0]{1,1000}"),
    "-n": re.compile(r"auto|logical|\d{1,3}"),
    "--maxfail": re.compile(r"\d{1,6}"),
    "--tb": re.compile(r"auto|long|short|line|native|no"),
    "--durations": re.compile(r"\d{1,6}"),
    "--timeout": re.compile(r"\d{1,6}(\.\d{1,3})?"),
    "--deselect": re.compile(r"[^\0-][^\0]{0,1000}"),
}


class Options(Struct, kw_only=True, forbid_unknown_fields=True):
    """Options of the layout. `python` has pytest and the project; `pass_env` names variables that the tests get."""

    python: str | None = None
    pass_env: list[str] = []
    env: dict[str, str] = {}
    silent_after: float | None = None


class _Row(Struct):
    """A line of the plugin's."""

    kind: Literal["passed", "skipped", "failed", "error", "end"]
    test: str = ""
    file: str = ""
    line: int | None = None
    message: str = ""


def allowed(args: Sequence[str]) -> list[str]:
    """Return the arguments, each in a form that cannot be read as another.

    Those that choose and show tests pass; none that load code or write files. Raises HandlerError (`bad-payload`).
    """
    out: list[str] = []
    words = iter(args)
    for word in words:
        if word in _FLAGS:
            out.append(word)
            continue
        name, joined, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
        pattern = _VALUED.get(name)
        if pattern is None:
            known = " ".join(sorted(_FLAGS | _VALUED.keys()))
            raise HandlerError(f"args: {word[:80]!r} is not among those allowed: {known}", code="bad-payload")
        if not joined and not value:
            value = next(words, "")
        if pattern.fullmatch(value) is None:
            raise HandlerError(f"args: {value[:80]!r} is no value for {name}", code="bad-payload")
        out.append(f"{name}={value}" if name.startswith("--") else f"{name}{value}")
    return out


async def run_pytest(
    context: Context,
    path: str,
    args: Sequence[str],
    options: Options,
    folder: Path,
    extra: Sequence[str] = (),
    *,
    apart: bool = False,
) -> Result:
    """Run pytest on `path` and return `{verdict, passed, failed, skipped, errors, duration, failures[]}`.

    `extra` are arguments of our own, `folder` holds what it writes; `apart`: the Python is another tree's. Raises
    HandlerError, with what had come by then.
    """
    file, mark, test = path.partition("::")
    target = inside(context.workdir, file)
    chosen = allowed(args)
    root = root_of(context.workdir.resolve(), target, ROOT_MARKS)
    python = await interpreter(context, options.python, root=root)
    report = folder / "report.jsonl"
    plugin = folder / "plugin"
    plugin.mkdir()
    shutil.copyfile(pytest_plugin.__file__, plugin / "swarm_test_report.py")
    argv = [python, "-m", "pytest", "-v", "--color=no", "-o", "console_output_style=progress"]
    argv += ["-p", "swarm_test_report", *extra, *chosen, f"{target}{mark}{test}"]
    own = not apart and (options.python is not None or Path(python).is_relative_to(context.workdir.resolve()))
    sources = [str(plugin), *await _sources(context, python, root, own=own)]
    env = {"PYTHONUNBUFFERED": "1", "COLUMNS": "200", "NO_COLOR": "1", **options.env}
    env["PYTHONPATH"] = ":".join(filter(None, [*sources, env.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))]))
    env |= {"SWARM_TEST_REPORT": str(report), "SWARM_TEST_WORKDIR": str(context.workdir.resolve())}

    def line(text: str) -> None:
        heard = progress_of(text)
        if heard is not None:
            context.progress(*heard)

    try:
        done = await run_process(context, argv, cwd=root, env=env, passed=options.pass_env, on_line=line)
    except HandlerError as error:
        tally, _ = _read(report)
        error.result = {**(error.result or {}), **tally.broken_off("pytest")}
        raise
    tally, whole = await asyncio.to_thread(_read, report)
    if done.returncode not in (_PASSED, _FAILED, _INTERRUPTED, _NOTHING) or not whole:
        failure = _failure(done)
        failure.result = tally.broken_off("pytest") if tally.total else None
        raise failure
    result = {**tally.result("pytest"), "duration": round(1000 * done.duration, 1), "python": python}
    if done.returncode != _PASSED and result["verdict"] == "passed":
        # One that was broken off lists only the tests until then.
        why = f"no test failed, but pytest ended with {done.returncode}: {done.tail}"
        result |= {"verdict": "failed", "message": why[:2000]}
    return result


def root_of(workdir: Path, target: Path, marks: Sequence[str]) -> Path:
    """Return the nearest folder from `target` up to `workdir` that holds one of `marks`; without one, `workdir`."""
    for folder in _upwards(workdir, target):
        if any((folder / mark).exists() for mark in marks):
            return folder
    return workdir


def _upwards(workdir: Path, target: Path) -> list[Path]:
    first = target if target.is_dir() else target.parent
    return [folder for folder in (first, *first.parents) if folder.is_relative_to(workdir)]


async def interpreter(
    context: Context, wanted: str | None, *, also: str | None = None, root: Path | None = None
) -> str:
    """Return the first Python with pytest: the layout's, the project's own (`.venv` beside it or above), PATH's, ours.

    `also` is a module it must have besides, where one of them does. Raises MissingToolError for the layout's own.
    """
    if wanted is not None:
        python = str(context.workdir / at_home(wanted)) if "/" in wanted else wanted
        if not await has_module(context, python, "pytest"):
            raise MissingToolError("pytest", f"{python} -m pip install pytest")
        return python
    workdir = context.workdir.resolve()
    places = [folder / name for folder in _upwards(workdir, root or workdir) for name in _VENVS]
    own = [str(place / "bin" / "python") for place in places if (place / "bin" / "python").exists()]
    first: str | None = None
    for candidate in (*own, shutil.which("python3"), shutil.which("python")):
        if candidate is None:
            continue
        if await has_module(context, candidate, "pytest"):
            first = first or candidate
            if also is None or await has_module(context, candidate, also):
                return candidate
        elif candidate in own:
            context.log(f"{candidate} has no pytest: another Python runs the tests, perhaps without what they need")
    if first is None or (also is not None and await has_module(context, sys.executable, also)):
        return sys.executable
    return first


async def has_module(context: Context, python: str, name: str) -> bool:
    """Return whether that interpreter could import the module."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    try:
        # Not in the project: a folder `pytest` of its own is none.
        done = await run_process(context, [python, "-c", code], cwd=Path("/"), timeout=30.0, kept=False)
    except HandlerError as error:
        if error.code in ("cancelled", "timeout"):
            raise
        return False
    return done.returncode == 0


async def _sources(context: Context, python: str, root: Path, *, own: bool) -> list[str]:
    """Return `src`, where the project keeps its packages there and that Python would not test those.

    The project's own Python may have them installed, built; in any other, what is installed is another release.
    """
    source = root / "src"
    if not source.is_dir():
        return []
    names = [path.name for path in source.iterdir() if (path / "__init__.py").exists()]
    names += [path.stem for path in source.glob("*.py")]
    if own and names and all([await has_module(context, python, name) for name in names]):
        return []
    return [str(source)] if names else []


def _read(path: Path) -> tuple[Tally, bool]:
    """Return what the plugin wrote, and whether it wrote to the end."""
    tally = Tally()
    whole = False
    try:
        if path.stat().st_size > _LARGEST:
            raise HandlerError("pytest's report is too large to read", code="no-report")
        lines = path.read_bytes().splitlines()
    except OSError:
        return tally, False
    for line in lines:
        try:
            # A name that is no UTF-8 comes as half of a surrogate pair, which only this reader takes.
            row = msgspec.convert(json.loads(line), _Row)
        except (ValueError, RecursionError):
            continue
        if row.kind == "end":
            whole = True
        elif row.kind in ("passed", "skipped"):
            tally.count(row.kind)
        else:
            tally.count(
                "failed" if row.kind == "failed" else "errors",
                Failure(test=row.test, file=row.file, line=row.line, message=row.message),
            )
    return tally, whole


def _failure(done: Completed) -> HandlerError:
    text: dict[int, Any] = {
        _USAGE: ("pytest did not understand its arguments or found nothing there", "usage", False),
        _INTERNAL: ("pytest itself failed", "internal", False),
    }
    what, code, retryable = text.get(done.returncode, (f"pytest ended with {done.how}", "exit", True))
    return HandlerError(f"{what}: {_cause(done.tail)}", code=code, retryable=retryable)


def _cause(tail: str) -> str:
    """Return the exception at the end of pytest's own traceback: its frames say nothing to whoever wrote the tests."""
    inside_it = [line.removeprefix(_TRACE).strip() for line in tail.splitlines() if line.startswith(_TRACE)]
    return next((line for line in reversed(inside_it) if line), tail)
