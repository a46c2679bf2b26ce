"""testing.coverage: a project's tests, and how much of its code they run."""

import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError, Result
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.testing.report import relative
from swarm_tui.agent.handlers.testing.with_pytest import (
    ROOT_MARKS,
    Options,
    has_module,
    interpreter,
    root_of,
    run_pytest,
)

_LEAST_COVERED = 20


class Payload(Struct, kw_only=True):
    """The tests to run, and how much they must cover."""

    path: Annotated[str, Meta(max_length=4096, description="folder, file or file::test, inside the workdir")] = "."
    args: Annotated[list[str], Meta(max_length=64, description="options of pytest, such as -k or --maxfail")] = []
    threshold: Annotated[float, Meta(ge=0, le=100, description="percent of lines that must run")] = 80.0
    source: Annotated[str, Meta(max_length=4096, description="folder whose code counts, inside the workdir")] = "."


class Coverage:
    """Runs pytest with pytest-cov in the workdir."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Return what testing.run gives, and `coverage` percent, `threshold`, `files[{file, coverage}]`, worst first.

        The verdict is `failed` when tests fail or the threshold is missed. Raises HandlerError.
        """
        payload = read_payload(context, Payload)
        options = read_options(context, Options)
        source = inside(context.workdir, payload.source, what="source")
        root = root_of(context.workdir.resolve(), inside(context.workdir, payload.path.partition("::")[0]), ROOT_MARKS)
        python = await interpreter(context, options.python, also="pytest_cov", root=root)
        if not await has_module(context, python, "pytest_cov"):
            raise MissingToolError("pytest-cov", f"{python} -m pip install pytest-cov")
        with tempfile.TemporaryDirectory(prefix="swarm-coverage-") as name:
            folder = Path(name)
            extra = [f"--cov={source}", f"--cov-report=json:{folder / 'coverage.json'}", "--cov-fail-under=0"]
            chosen = msgspec.structs.replace(
                options, python=python, env={"COVERAGE_FILE": f"{folder / 'data'}"} | options.env
            )
            result = await run_pytest(context, payload.path, payload.args, chosen, folder, extra)
            return _judged(result, folder / "coverage.json", payload.threshold, context.workdir.resolve(), root)


class _Summary(Struct, frozen=True, kw_only=True):
    percent_covered: float = 0.0


class _File(Struct, kw_only=True):
    summary: _Summary = _Summary()


class _Report(Struct, kw_only=True):
    totals: _Summary
    files: dict[str, _File] = {}


def _judged(result: Result, path: Path, threshold: float, workdir: Path, root: Path) -> Result:
    try:
        report = msgspec.json.decode(path.read_bytes(), type=_Report)
    except (OSError, msgspec.DecodeError) as error:
        raise HandlerError(f"pytest-cov left no report: {error}", code="no-report", result=result) from error
    covered = round(report.totals.percent_covered, 2)
    files = sorted((round(entry.summary.percent_covered, 2), name) for name, entry in report.files.items())
    return {
        **result,
        "verdict": "passed" if result["verdict"] == "passed" and covered >= threshold else "failed",
        "coverage": covered,
        "threshold": threshold,
        "files": [
            {"file": relative(str(root / name), workdir), "coverage": percent}
            for percent, name in files[:_LEAST_COVERED]
        ],
    }
