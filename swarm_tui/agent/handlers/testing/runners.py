"""Runs the tests of projects that are not pytest's: which tool a project uses, how it is called and read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.testing.readers import READERS, npm_script
from swarm_tui.agent.handlers.testing.report import Tally, relative
from swarm_tui.agent.handlers.testing.with_pytest import ROOT_MARKS, Options, root_of
from swarm_tui.protocol.text import as_read

#: Folders that hold other people's projects.
_FOREIGN = frozenset({"node_modules", "target", "vendor", "site-packages", "dist", "build"})


class Runner(Struct, frozen=True, kw_only=True):
    """A test tool: the file that says that a project uses it, and the variables that it is passed."""

    name: str
    marks: tuple[str, ...]
    install: str
    passed: tuple[str, ...] = ()


RUNNERS = {
    runner.name: runner
    for runner in (
        Runner(
            name="npm",
            marks=("package.json",),
            install="sudo apt-get install -y nodejs npm",
            passed=("NVM_DIR", "NODE_PATH", "npm_config_cache", "npm_config_registry"),
        ),
        Runner(
            name="go",
            marks=("go.mod",),
            install="sudo apt-get install -y golang-go",
            passed=("GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOPRIVATE", "GOTOOLCHAIN", "GOROOT"),
        ),
        Runner(
            name="cargo",
            marks=("Cargo.toml",),
            install="sudo apt-get install -y cargo",
            passed=("CARGO_HOME", "RUSTUP_HOME", "RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN"),
        ),
        Runner(name="tox", marks=("tox.ini",), install="python -m pip install tox"),
        Runner(name="nox", marks=("noxfile.py",), install="python -m pip install nox"),
    )
}
#: By suffix, for a file that is to be tested itself.
_SUFFIXES = {".py": "pytest", ".go": "go", ".rs": "cargo", ".js": "npm", ".mjs": "npm", ".ts": "npm", ".tsx": "npm"}


def choose(workdir: Path, target: Path, wanted: str) -> tuple[str, Path]:
    """Return the tool that tests `target`, and the folder to call it in.

    Raises HandlerError (`no-tests`) where nothing there is known, naming the projects that lie below it.
    """
    if wanted != "auto":
        marks = RUNNERS[wanted].marks if wanted in RUNNERS else ROOT_MARKS
        return wanted, root_of(workdir, target, marks)
    by_suffix = _SUFFIXES.get(target.suffix) if target.is_file() else None
    if by_suffix is not None:
        return choose(workdir, target, by_suffix)
    first = target if target.is_dir() else target.parent
    for folder in (first, *first.parents):
        if not folder.is_relative_to(workdir):
            break
        if (found := _tool_of(folder)) is not None:
            return found, folder
    if target.is_dir() and (below := _below(target, workdir)):
        raise HandlerError(
            f"path: {relative(str(target), workdir)} holds no project of its own, but there are: {below}; name one",
            code="no-tests",
        )
    return "pytest", workdir


def _tool_of(folder: Path) -> str | None:
    """Return the tool that a folder's files name. Python's own comes first: others often lie beside it for a page."""
    if any(
        (folder / name).exists() for name in ("pytest.ini", "conftest.py", "pyproject.toml", "setup.py", "setup.cfg")
    ):
        return "pytest"
    if any(folder.glob("test_*.py")) or any((folder / "tests").glob("test_*.py")):
        return "pytest"
    if (folder / "go.mod").exists():
        return "go"
    if (folder / "Cargo.toml").exists():
        return "cargo"
    if (folder / "package.json").exists() and npm_script(folder) is not None:
        return "npm"
    return next((name for name in ("tox", "nox") if (folder / RUNNERS[name].marks[0]).exists()), None)


def _below(folder: Path, workdir: Path) -> str:
    """Return the projects in the folders below, two deep, in words; empty where there is a Python test among them."""
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _FOREIGN)
        if len(Path(root).relative_to(folder).parts) >= 3 or len(found) >= 10:
            folders.clear()
        if any(name.startswith("test_") and name.endswith(".py") for name in files):
            return ""
        if root != str(folder) and (tool := _tool_of(Path(root))) is not None:
            found.append(f"{os.path.relpath(root, workdir)} ({tool})")
    return ", ".join(found[:10])


async def run_other(context: Context, name: str, root: Path, target: Path, options: Options, folder: Path) -> Result:
    """Run a tool that is not pytest; `folder` holds what it writes. Raises HandlerError when it does not start."""
    runner = RUNNERS[name]
    reader = READERS[name](context, root, target, folder)
    argv, env = reader.call()
    env = {"CI": "1", "NO_COLOR": "1", "FORCE_COLOR": "0", **env, **options.env}
    passed = [*runner.passed, *options.pass_env]
    try:
        done = await run_process(
            context, argv, cwd=root, env=env, passed=passed, on_line=reader.line, install=runner.install
        )
    except HandlerError as error:
        if reader.tally.total:
            error.result = {**(error.result or {}), **reader.tally.broken_off(name)}
        raise
    tally = reader.end(done.stderr)
    result = {**tally.result(name), "duration": round(1000 * done.duration, 1)}
    return result | _verdict(name, tally, done, reader.hint)


def _verdict(name: str, tally: Tally, done: Completed, hint: Callable[[], str]) -> dict[str, Any]:
    """Return what the exit status adds: it decides where nothing could be counted, and no failing one is a pass."""
    bad = tally.counts["failed"] + tally.counts["errors"]
    if done.returncode == 0 and tally.total:
        return {}
    if done.returncode == 0:
        said = f"{name} ended well, and gave no report whose tests could be counted"
        return {"verdict": "passed", "counted": False, "message": said}
    if bad:
        return {"verdict": "failed"}
    said = f"{'' if tally.total else hint()}{name} ended with {done.how}: {as_read_lines(done.tail)}"
    return {"verdict": "failed", "counted": bool(tally.total), "message": said[:2000]}


def as_read_lines(text: str) -> str:
    """Return a program's lines without its colours."""
    return "\n".join(as_read(line) for line in text.splitlines())
