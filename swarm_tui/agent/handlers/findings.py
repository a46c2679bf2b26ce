"""Findings of checks, in the shape that every role's result uses."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.handlers.files import readable
from swarm_tui.protocol.text import as_read, clean

Severity = Literal["error", "warning", "info"]
_ORDER = {"error": 0, "warning": 1, "info": 2}
#: Findings in one result; the rest is counted, so that a result stays a message.
LIMIT = 500
#: Characters of one message.
MESSAGE = 2000


class Finding(Struct, frozen=True, kw_only=True):
    """Finding in a file, relative to the checked folder, on a line from 1 (0 where it is of the whole file)."""

    file: str
    line: int
    severity: Severity
    message: str
    code: str
    tool: str


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return them without repetitions, by file, line and severity."""
    return sorted(set(findings), key=lambda f: (f.file, f.line, _ORDER[f.severity], f.code, f.message))


def rows(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return them as objects for a result: at most LIMIT, the gravest kept, in order of file and line.

    Names and messages become text that every reader takes: tools colour theirs, and a file's name need be no UTF-8.
    """
    kept = findings
    if len(findings) > LIMIT:
        kept = ordered(sorted(findings, key=lambda f: _ORDER[f.severity])[:LIMIT])
    return [msgspec.to_builtins(finding) | _plain(finding) for finding in kept]


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many there are of each severity."""
    found = {"error": 0, "warning": 0, "info": 0}
    for finding in findings:
        found[finding.severity] += 1
    return found


def tell(context: Context, result: dict[str, Any], findings: Iterable[Finding]) -> None:
    """Write every finding into the task's output, a line each, and the result's summary into the agent's log."""
    for finding in ordered(findings):
        said = _plain(finding)
        context.output(f"{said['file']}:{finding.line}: {finding.severity}: {said['message']} [{finding.code}]\n")
    context.log(str(result["summary"]))


def _plain(finding: Finding) -> dict[str, str]:
    message = " ".join(as_read(line) for line in finding.message.splitlines())
    return {"file": readable(finding.file), "message": clean(message, MESSAGE), "tool": clean(finding.tool, 100)}
