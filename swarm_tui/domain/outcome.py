"""A result's own verdict in few words: work can be done, and have come out badly."""

from typing import Any

from swarm_tui.domain.states import OPEN, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.text import clean

_COUNTS = ("failed", "errors", "passed", "skipped")


def verdict_failed(result: Any) -> bool:
    """Return whether a result says itself that the work came out badly."""
    return isinstance(result, dict) and result.get("verdict") == "failed"


def verdict_open(result: Any) -> bool:
    """Return whether a result says itself that nobody can say how the work came out."""
    return isinstance(result, dict) and result.get("verdict") == "unknown"


def came_badly(task: TaskView) -> bool:
    """Return whether the task ran to its end, and its own verdict is that it came out badly."""
    return task.state is TaskState.COMPLETE and verdict_failed(task.result)


def took(state: str, duration: float | None) -> float | None:
    """Return the seconds that a task's last attempt took, given milliseconds; None while it is open: they are of an
    earlier one."""
    return None if duration is None or state in OPEN else duration / 1000


def outcome(result: Any) -> str:
    """Return `failed: 1 failed, 2 passed`, or the result's own summary; cleaned, and empty when it says neither."""
    if not isinstance(result, dict):
        return ""
    verdict = result.get("verdict")
    told = ", ".join(f"{result[name]} {name}" for name in _COUNTS if _counts(result.get(name)))
    if not told:
        told = next((text for name in ("summary", "message") if isinstance(text := result.get(name), str)), "")
    return clean(": ".join(part for part in (verdict, told) if isinstance(part, str) and part))


def particulars(result: Any, most: int) -> list[str]:
    """Return what a result names as wrong, a line each, cleaned, at most so many: failing tests, findings, checks."""
    if not isinstance(result, dict):
        return []
    found = [line for name in ("failures", "findings", "checks") for line in _named(result.get(name))]
    if len(found) > most:
        found = [*found[: most - 1], f"and {len(found) - most + 1} more, in the result below"]
    return found


def _named(rows: Any) -> list[str]:
    return [line for row in rows if (line := _wrong(row))] if isinstance(rows, list) else []


def _wrong(row: Any) -> str:
    """Tell a row in a line: where, and what; empty for one that is well."""
    if not isinstance(row, dict) or row.get("ok") is True or row.get("severity") == "info":
        return ""
    where = next((text for name in ("test", "file", "target", "name") if isinstance(text := row.get(name), str)), "")
    line = row.get("line")
    if where and "::" not in where and isinstance(line, int) and line:
        where = f"{where}:{line}"
    why = next((text for name in ("message", "detail", "error") if isinstance(text := row.get(name), str)), "")
    return clean(": ".join(part for part in (where, why.strip().split("\n", 1)[0]) if part), 500)


def _counts(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0
