"""Asks ruff about files, and gives its findings."""

from pathlib import Path

import msgspec

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.process import run_process

INSTALL = "python -m pip install 'swarm-tui[tools]'"
#: Bytes of ruff's answer.
LIMIT = 20_000_000
CONFIG_NAMES = frozenset({"pyproject.toml", "ruff.toml", ".ruff.toml"})
#: Rules whose finding is a bug, not a matter of taste.
_BUGS = ("E9", "F5", "F6", "F7", "F8", "B006", "B008", "B015", "B017", "B018", "B023", "S", "PLE", "T10")
_NOT_BUGS = ("F841", "F842", "F811")
#: What is asked for where the project configures nothing.
_DEFAULT = "E4,E7,E9,F,B,T10"


class _Location(msgspec.Struct):
    row: int = 1


class _Row(msgspec.Struct):
    filename: str
    message: str
    code: str | None = None
    location: _Location = msgspec.field(default_factory=_Location)


async def check(context: Context, folder: Path, files: list[str], *, configured: bool) -> list[Finding]:
    """ruff's findings of `files`, relative to `folder`; `configured`: the project says which rules.

    Raises MissingToolError, and HandlerError when ruff itself fails.
    """
    if not files:
        return []
    argv = ["ruff", "check", "--output-format", "json", "--no-cache", "--no-fix", "--exit-zero", "--force-exclude"]
    if not configured:
        argv += ["--isolated", "--select", _DEFAULT, "--line-length", "120"]
    done = await run_process(context, [*argv, "--", *files], cwd=folder, limit=LIMIT, install=INSTALL)
    if done.returncode != 0 or done.truncated:
        raise HandlerError(f"ruff failed: {done.tail}", code="ruff")
    try:
        answer = msgspec.json.decode(done.stdout or "[]", type=list[_Row])
    except msgspec.MsgspecError as error:
        raise HandlerError(f"ruff's answer cannot be read: {error}", code="ruff") from error
    root = folder.resolve()
    return [_finding(row, root) for row in answer]


def _finding(row: _Row, root: Path) -> Finding:
    code = row.code or "invalid-syntax"
    return Finding(
        file=Path(row.filename).resolve().relative_to(root).as_posix(),
        line=row.location.row,
        severity=_severity(code),
        message=row.message,
        code=code,
        tool="ruff",
    )


def _severity(code: str) -> Severity:
    if code == "invalid-syntax" or (code.startswith(_BUGS) and code not in _NOT_BUGS):
        return "error"
    return "warning"
