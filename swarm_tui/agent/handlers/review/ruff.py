"""Asks ruff about the Python files of a change, under the project's own rules where it has some."""

import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.files import decoded, readable
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.review.change import Change

INSTALL = "python -m pip install 'swarm-tui[tools]'"
#: Bytes of ruff's answer.
LIMIT = 20_000_000
#: Python files of the project that are named to ruff without their content: it looks which modules are its own.
_SKELETON = 5000
#: The code of a finding that no version of Python can parse the file.
INVALID = "invalid-syntax"
#: Rules whose finding is a bug, not a matter of taste.
_BUGS = ("E9", "F5", "F6", "F7", "F8", "B006", "B008", "B015", "B017", "B018", "B023", "S", "PLE", "T10")
_NOT_BUGS = ("F841", "F842", "F811")
#: What is asked for where the project configures nothing.
_DEFAULT = ("--isolated", "--select", "E4,E7,E9,F,B,T10", "--line-length", "120")
_NEWEST = "py313"
_ARGV = ("ruff", "check", "--output-format", "json", "--no-cache", "--no-fix", "--exit-zero", "--force-exclude")
_AT_LINE = re.compile(r"\bat line (\d{1,9})\b")


class _Location(msgspec.Struct):
    row: int = 1


class _Row(msgspec.Struct):
    filename: str
    message: str
    code: str | None = None
    location: _Location = msgspec.field(default_factory=_Location)


async def check(context: Context, change: Change) -> list[Finding]:
    """Return ruff's findings of the change's Python files, on whatever line.

    A configuration that ruff refuses is a finding of its own, and the files are then judged by our default rules.
    Raises MissingToolError, and HandlerError when ruff itself fails.
    """
    files = [f.path for f in change.files if f.path.endswith((".py", ".pyi")) and f.path in change.after]
    if not files:
        return []
    with tempfile.TemporaryDirectory(prefix="swarm-review-") as folder:
        root = Path(folder).resolve()
        _lay_out(root, change, files)
        if not _is_configured(change.configs):
            return await _findings(context, root, [*_DEFAULT, *_target(change.configs)], files)
        done = await _run(context, root, [], files)
        if done.returncode == 0 and not done.truncated:
            return _read(done, root, files)
        refused = _refused(change, done.tail.replace(f"{root}/", ""))
        return [refused, *await _findings(context, root, [*_DEFAULT, *_target(change.configs)], files)]


def _lay_out(root: Path, change: Change, files: list[str]) -> None:
    """Write what ruff reads: the files as UTF-8, the configurations, and the other modules by name only."""
    others = [path for path in change.tree if path.endswith("/__init__.py")]
    modules = [path for path in change.tree if path.endswith(".py")]
    for path in [*others, *(modules if len(modules) <= _SKELETON else [])]:
        _write(root / path, b"")
    for path in files:
        # ruff prints no name that is not UTF-8.
        _write(root / readable(path), decoded(path, change.after[path]).encode("utf-8", "surrogatepass"))
    for path, data in change.configs.items():
        _write(root / path, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def _findings(context: Context, root: Path, options: list[str], files: list[str]) -> list[Finding]:
    done = await _run(context, root, options, files)
    if done.returncode != 0 or done.truncated:
        raise HandlerError(f"ruff failed: {done.tail}", code="ruff")
    return _read(done, root, files)


async def _run(context: Context, root: Path, options: list[str], files: list[str]) -> Completed:
    argv = [*_ARGV, *options, "--", *(readable(path) for path in files)]
    return await run_process(context, argv, cwd=root, limit=LIMIT, install=INSTALL, kept=False)


def _read(done: Completed, root: Path, files: list[str]) -> list[Finding]:
    try:
        answer = msgspec.json.decode(done.stdout or "[]", type=list[_Row])
    except msgspec.MsgspecError as error:
        raise HandlerError(f"ruff's answer cannot be read: {error}", code="ruff") from error
    paths = {str(root / readable(path)): path for path in files}
    return [_finding(row, paths[row.filename]) for row in answer if row.filename in paths]


def _finding(row: _Row, path: str) -> Finding:
    code = row.code or INVALID
    return Finding(
        file=path,
        line=row.location.row,
        severity=_severity(code),
        message=row.message,
        code=code,
        tool="ruff",
    )


def _severity(code: str) -> Severity:
    if code == INVALID or (code.startswith(_BUGS) and code not in _NOT_BUGS):
        return "error"
    return "warning"


def _refused(change: Change, said: str) -> Finding:
    """Return the finding that ruff refuses a configuration: an error where the change touches it, else a warning."""
    named = [path for path in change.configs if path in said] or [*change.configs]
    path = max(named, key=len)
    touched = any(file.path in change.configs for file in change.files)
    line = int(where[1]) if (where := _AT_LINE.search(said)) else 0
    words = " ".join(part.strip() for part in said.splitlines() if part.strip())
    message = f"ruff refuses the configuration, so the files were judged by default rules: {words}"
    severity: Severity = "error" if touched else "warning"
    return Finding(file=path, line=line, severity=severity, message=message, code="ruff-config", tool="ruff")


def _is_configured(configs: dict[str, bytes]) -> bool:
    """Return whether the project says which rules ruff is to use; a file that is no TOML counts: ruff refuses it."""
    for path, data in configs.items():
        table = _table(data)
        if table is None or not path.endswith("pyproject.toml") or "ruff" in _dict(table.get("tool")):
            return True
    return False


def _target(configs: dict[str, bytes]) -> list[str]:
    """Return the option for the oldest Python that the project's root takes, or the newest that ruff knows."""
    wanted = _dict(_dict(_table(configs.get("pyproject.toml", b""))).get("project")).get("requires-python")
    found = re.search(r">=?\s*3\.(\d{1,2})", wanted) if isinstance(wanted, str) else None
    minor = int(found[1]) if found else 0
    return ["--target-version", f"py3{minor}" if 7 <= minor <= 13 else _NEWEST]


def _table(data: bytes) -> dict[str, Any] | None:
    try:
        return tomllib.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
