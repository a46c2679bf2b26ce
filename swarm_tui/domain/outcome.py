"""What a result says of itself in few words: work can be done, and have come out badly."""

from typing import Any

from swarm_tui.protocol.text import clean

_COUNTS = ("failed", "errors", "passed", "skipped")


def verdict_failed(result: Any) -> bool:
    """Whether a result says itself that the work came out badly."""
    return isinstance(result, dict) and result.get("verdict") == "failed"


def outcome(result: Any) -> str:
    """`failed: 1 failed, 2 passed`, or the result's own summary; cleaned, and empty when it says neither."""
    if not isinstance(result, dict):
        return ""
    verdict = result.get("verdict")
    told = ", ".join(f"{result[name]} {name}" for name in _COUNTS if _counts(result.get(name)))
    if not told:
        told = next((text for name in ("summary", "message") if isinstance(text := result.get(name), str)), "")
    return clean(": ".join(part for part in (verdict, told) if isinstance(part, str) and part))


def _counts(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0
