"""Keeps what a project has accepted of earlier scans, so that only what is new is told."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.files import readable, write_whole
from swarm_tui.agent.handlers.findings import Finding

NAME = ".security-baseline.json"
_LARGEST = 20_000_000


def without_known(folder: Path, path: Path, findings: list[Finding]) -> tuple[list[Finding], int]:
    """Return the findings that the baseline does not hold, and how many it does; without such a file, all.

    Each is known by its file, code and the text of its line, wherever that has moved to, as often as it was accepted.
    Raises HandlerError (`baseline`) for a file that is none.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise HandlerError(f"baseline: {path} is too large to be one", code="baseline")
        entries = json.loads(path.read_bytes())["findings"]
        known = Counter(str(entry["mark"]) for entry in entries)
    except FileNotFoundError:
        return findings, 0
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise HandlerError(f"baseline: {path} cannot be read: {error!r}", code="baseline") from error
    marks = _marks(folder, findings)
    left = []
    for finding in findings:
        if known[marks[finding]] > 0:
            known[marks[finding]] -= 1
        else:
            left.append(finding)
    return left, len(findings) - len(left)


def accept(folder: Path, path: Path, findings: list[Finding]) -> None:
    """Write these findings as the baseline. Raises HandlerError (`not-written`)."""
    marks = _marks(folder, findings)
    rows: list[dict[str, Any]] = [
        {"file": readable(finding.file), "line": finding.line, "code": finding.code, "mark": marks[finding]}
        for finding in findings
    ]
    about = "Findings of security.scan that were accepted. A mark is a hash of file, code and line."
    write_whole(path, json.dumps({"about": about, "version": 1, "findings": rows}, indent=1) + "\n", what="baseline")


def _marks(folder: Path, findings: list[Finding]) -> dict[Finding, str]:
    texts: dict[str, list[bytes]] = {}
    marks: dict[Finding, str] = {}
    for finding in findings:
        if finding.line and finding.file not in texts:
            try:
                texts[finding.file] = (folder / finding.file).read_bytes().split(b"\n")
            except OSError:
                texts[finding.file] = []
        lines = texts.get(finding.file, [])
        text = lines[finding.line - 1].strip() if 0 < finding.line <= len(lines) else b""
        parts = (finding.file.encode("utf-8", "surrogateescape"), finding.code.encode(), text)
        marks[finding] = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    return marks
