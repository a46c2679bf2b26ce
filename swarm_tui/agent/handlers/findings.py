"""What a check found, in the shape that every role's result uses."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

Severity = Literal["error", "warning", "info"]
_ORDER = {"error": 0, "warning": 1, "info": 2}
#: Findings in one result; the rest is counted, so that a result stays a message.
LIMIT = 500


class Finding(Struct, frozen=True, kw_only=True):
    """One finding: a file relative to the checked folder, a line from 1 (0 where it is of the whole file)."""

    file: str
    line: int
    severity: Severity
    message: str
    code: str
    tool: str


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Without repetitions, by file, line and severity."""
    return sorted(set(findings), key=lambda f: (f.file, f.line, _ORDER[f.severity], f.code, f.message))


def rows(findings: list[Finding]) -> list[dict[str, Any]]:
    """As objects for a result: at most LIMIT, the gravest kept, in order of file and line."""
    kept = findings
    if len(findings) > LIMIT:
        kept = ordered(sorted(findings, key=lambda f: _ORDER[f.severity])[:LIMIT])
    return [msgspec.to_builtins(finding) for finding in kept]


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many there are of each severity."""
    found = {"error": 0, "warning": 0, "info": 0}
    for finding in findings:
        found[finding.severity] += 1
    return found
