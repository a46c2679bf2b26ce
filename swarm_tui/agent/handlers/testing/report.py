"""Reads what pytest reports: progress from its lines, counts and failures from its JUnit XML."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from swarm_tui.agent.handlers.base import HandlerError

_PERCENT = re.compile(r"\[\s*(\d{1,3})%\]")
_TEST = re.compile(r"(\S+::\S+)")
_LARGEST = 64 * 1024 * 1024
_FAILURES = 100
_MESSAGE = 2_000


def progress_of(line: str) -> tuple[float, str] | None:
    """Percent and test of a line of `pytest -v`; None for any other line."""
    percent = _PERCENT.search(line)
    if percent is None:
        return None
    test = _TEST.search(line)
    return float(percent.group(1)), test.group(1)[:200] if test else ""


def read_junit(path: Path) -> dict[str, Any]:
    """`{verdict, passed, failed, skipped, errors, duration, failures}`; `duration` ms, at most 100 failures.

    Raises HandlerError when there is no report.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise HandlerError("pytest's report is too large to read", code="no-report")
        data = path.read_bytes()
        if b"<!ENTITY" in data or b"<!DOCTYPE" in data[:1000]:
            raise HandlerError("pytest's report holds entities, which it never does", code="no-report")
        root = ElementTree.fromstring(data)
    except (OSError, ElementTree.ParseError) as error:
        raise HandlerError(f"pytest left no report: {error}", code="no-report", retryable=True) from error
    counts = {"passed": 0, "failed": 0, "skipped": 0, "errors": 0}
    failures: list[dict[str, Any]] = []
    seconds = 0.0
    for case in root.iter("testcase"):
        kind, detail = _outcome(case)
        counts[kind] += 1
        seconds += _seconds(case.get("time"))
        if detail is not None:
            failures.append(_failure(case, detail))
    suites = [_seconds(suite.get("time")) for suite in root.iter("testsuite")]
    bad = counts["failed"] + counts["errors"]
    result: dict[str, Any] = {
        "verdict": "failed" if bad or not sum(counts.values()) else "passed",
        **counts,
        "duration": round(1000 * (sum(suites) or seconds), 1),
        "failures": failures[:_FAILURES],
    }
    if len(failures) > _FAILURES:
        result["more_failures"] = len(failures) - _FAILURES
    if not sum(counts.values()):
        result["message"] = "no tests were collected"
    return result


def _outcome(case: ElementTree.Element) -> tuple[str, ElementTree.Element | None]:
    for tag, kind in (("error", "errors"), ("failure", "failed")):
        if (detail := case.find(tag)) is not None:
            return kind, detail
    return ("skipped" if case.find("skipped") is not None else "passed"), None


def _failure(case: ElementTree.Element, detail: ElementTree.Element) -> dict[str, Any]:
    name = "::".join(part for part in (case.get("classname", "").replace(".", "/"), case.get("name", "")) if part)
    line = case.get("line", "")
    message = detail.get("message") or (detail.text or "").strip()
    return {
        "test": _test_id(case) or name,
        "file": case.get("file"),
        "line": int(line) + 1 if line.isdigit() else None,
        "message": message[:_MESSAGE],
    }


def _test_id(case: ElementTree.Element) -> str:
    """`file::Class::test`, as pytest takes it."""
    file, name = case.get("file"), case.get("name", "")
    if not file or not name:
        return ""
    module = file.removesuffix(".py").replace("/", ".")
    inner = case.get("classname", "").removeprefix(module).strip(".")
    return "::".join([file, *(inner.split(".") if inner else []), name])


def _seconds(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
