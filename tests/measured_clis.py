"""Writes the table of docs/agents.md from a run with the real CLIs: `python -m tests.real_clis --write docs/agents.md`.

What stands between the two marks is this module's alone: the second mark has its checksum.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BEGIN = "<!-- measured: written by `python -m tests.real_clis --write docs/agents.md`, and by nobody's hand -->"
_END = re.compile(r"<!-- end of measured: ([0-9a-f]{12}) -->")
HEADS = {"claude": "Claude", "codex": "Codex", "gemini": "Gemini", "opencode": "opencode"}
#: Tokens in that the scripted server tells for a call of the model, as each CLI counts them.
CALL_IN = {"claude": 170, "codex": 100, "gemini": 100, "opencode": 100}
Cases = Mapping[str, Mapping[str, Any]]


def _took(case: str) -> Callable[[str, Cases], str]:
    return lambda name, cases: f"{cases[case]['seconds']} s, `{cases[case]['code'] or 'success'}`"


def _gone(case: str) -> Callable[[str, Cases], str]:
    return lambda name, cases: f"{cases[case]['gone after']} s, of {cases[case]['processes']}"


def _billed(case: str) -> Callable[[str, Cases], str]:
    return lambda name, cases: f"{cases[case]['calls']}, {cases[case]['usage']['tokens_in'] // CALL_IN[name]}"


def _tokens(name: str, cases: Cases) -> str:
    used = cases["write and run"]["usage"]
    cost = "no cost" if used["cost"] is None else f"${used['cost']:.4f}"
    return f"{used['tokens_in']} in, {used['tokens_out']} out, {cost}"


ROWS: dict[str, Callable[[str, Cases], str]] = {
    "a prompt that writes and runs": _took("write and run"),
    "calls of the model beside it, which it tells nowhere": lambda name, cases: str(cases["write and run"]["beside"]),
    "a no: its work is `refused`": _took("refused"),
    "`mode: read`, and it would write": _took("read only"),
    "ended in the middle of a command": _took("deadline"),
    "gone on in a new process, same session": _took("resume"),
    "a word in the middle of its turn, heeded": _took("a word in its turn"),
    "cancelled in its first second: its tree gone after": _gone("cancel at 1 s"),
    "cancelled in its tenth second: its tree gone after": _gone("cancel at 10 s"),
    "killed in its third call's command: calls billed, and known": _billed("killed in a command"),
    "gone on with after that by another: calls billed, and known": _billed("gone on with after that"),
    "a bad key": _took("401"),
    "429 all the time": _took("429"),
    "529 all the time": _took("529"),
    "nobody answers": _took("network down"),
    "memory of the whole tree": lambda name, cases: f"{max(case.get('mb', 0) for case in cases.values())} MB",
    "tokens of three model calls, 100 in and 10 out each": _tokens,
}


def table(measured: Mapping[str, Cases], versions: Mapping[str, str], day: str) -> str:
    """Return the block; what a CLI was not tried with is a dash."""
    heads = [f"{HEADS[name]}" for name in measured]
    lines = [f"| {day} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    lines.append(f"| version | {' | '.join(versions.get(name, '-') for name in measured)} |")
    for label, cell in ROWS.items():
        cells = []
        for name, cases in measured.items():
            try:
                cells.append(cell(name, cases))
            except (KeyError, ValueError):
                cells.append("-")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def written(page: str, block: str) -> str:
    """Return the page with the block between its marks. Raises ValueError for a page without them."""
    begin, end = page.find(BEGIN), _END.search(page)
    if begin < 0 or end is None:
        raise ValueError("the page has no marks for what was measured")
    return f"{page[:begin]}{BEGIN}\n\n{block}\n\n<!-- end of measured: {checksum(block)} -->{page[end.end() :]}"


def block_of(page: str) -> tuple[str, str]:
    """Return what the page has between the marks, and the checksum that it names."""
    _, _, rest = page.partition(BEGIN)
    end = _END.search(rest)
    return (rest[: end.start()].strip(), end[1]) if end is not None else ("", "")


def checksum(block: str) -> str:
    """Return 12 hex digits of a block."""
    return hashlib.sha256(block.encode()).hexdigest()[:12]


def version(program: str) -> str:
    """Return the name and version of the npm package that a program is of."""
    for folder in Path(os.path.realpath(program)).parents:
        if (file := folder / "package.json").is_file() and (known := json.loads(file.read_text())).get("version"):
            return f"{str(known['name']).rpartition('/')[2]} {known['version']}"
    return "-"


def today() -> str:
    """Return the day, UTC."""
    return datetime.now(UTC).date().isoformat()
