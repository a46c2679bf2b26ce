"""Counts of a test run and the failures in it, read from what test tools print and write: JUnit XML, TAP, their lines.

Every reader takes time in proportion to what it reads, whatever that is.
"""

import os
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import HandlerError, Result
from swarm_tui.agent.handlers.files import readable
from swarm_tui.protocol.text import as_read

_LARGEST = 64 * 1024 * 1024
_FAILURES = 100
_MESSAGE = 2_000
#: Characters of a line in which a test's name and a percentage are looked for.
_NAME, _END = 2_000, 200
Kind = Literal["passed", "failed", "skipped", "errors"]


class Failure(Struct, kw_only=True):
    """A test that failed: a name that can be run again, a file relative to the workdir, and its failing line."""

    test: str
    file: str | None = None
    line: int | None = None
    message: str = ""


class Tally:
    """Counts of a run's tests, and its failures, the first hundred of which are kept."""

    def __init__(self) -> None:
        self.counts: dict[Kind, int] = {"passed": 0, "failed": 0, "skipped": 0, "errors": 0}
        self.failures: list[Failure] = []
        self._more = 0

    def count(self, kind: Kind, failure: Failure | None = None) -> None:
        """Add one test, or one error outside of any."""
        self.counts[kind] += 1
        if failure is None:
            return
        if len(self.failures) < _FAILURES:
            self.failures.append(failure)
        else:
            self._more += 1

    @property
    def total(self) -> int:
        """Return how many were counted."""
        return sum(self.counts.values())

    def broken_off(self, runner: str) -> Result:
        """Return what had come of a run that was ended or fell: it failed if a test had, and else nobody knows."""
        bad = self.counts["failed"] + self.counts["errors"]
        ended = f"{self.total} of the tests had ended" if self.total else "before any test had ended"
        return {**self.result(runner), "verdict": "failed" if bad else "unknown", "message": f"broken off: {ended}"}

    def result(self, runner: str) -> Result:
        """Return `{verdict, runner, passed, failed, skipped, errors, failures[]}`; without any test it is no pass."""
        bad = self.counts["failed"] + self.counts["errors"]
        result: Result = {
            "verdict": "failed" if bad or not self.total else "passed",
            "runner": runner,
            **{str(kind): number for kind, number in self.counts.items()},
            "failures": [_row(failure) for failure in self.failures],
        }
        if self._more:
            result["more_failures"] = self._more
        if not self.total:
            result["message"] = "no tests were collected"
        return result


def _row(failure: Failure) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(failure)
    message = "\n".join(as_read(line) for line in failure.message[: 2 * _MESSAGE].splitlines())[:_MESSAGE]
    row["message"] = message.encode("utf-8", "backslashreplace").decode()
    row["test"] = readable(failure.test)
    row["file"] = readable(failure.file) if failure.file is not None else None
    return row


def progress_of(line: str) -> tuple[float, str] | None:
    """Return percent and test of a line of `pytest -v`; None for any other line."""
    end = line.rfind("%]", -_END)
    start = line.rfind("[", max(0, end - 6), end) if end > 0 else -1
    number = line[start + 1 : end].strip() if start >= 0 else ""
    if not (number.isascii() and number.isdigit()):
        return None
    head = line[:_NAME]
    at = head.find("::")
    if at < 0:
        return float(number), ""
    left = max(head.rfind(" ", 0, at), head.rfind("\t", 0, at)) + 1
    return float(number), head[left:].split(" ", 1)[0][:200]


def read_junit(path: Path, tool: str = "the test tool", workdir: Path | None = None, base: Path | None = None) -> Tally:
    """Return what a JUnit report holds; names in it are relative to `base`.

    Raises HandlerError (`no-report`) when there is none that can be read.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise HandlerError(f"the report of {tool} is too large to read", code="no-report")
        data = path.read_bytes()
        if b"<!ENTITY" in data or b"<!DOCTYPE" in data[:1000]:
            raise HandlerError(f"the report of {tool} holds entities, which no report does", code="no-report")
        root = ElementTree.fromstring(data)
    except (OSError, ElementTree.ParseError) as error:
        raise HandlerError(f"{tool} left no report: {error}", code="no-report") from error
    tally = Tally()
    for case in root.iter("testcase"):
        for tag, kind in _TAGS:
            if (detail := case.find(tag)) is not None:
                tally.count(kind, _failure(case, detail, workdir, base) if kind != "skipped" else None)
                break
        else:
            tally.count("passed")
    return tally


_TAGS: tuple[tuple[str, Kind], ...] = (("error", "errors"), ("failure", "failed"), ("skipped", "skipped"))


def _failure(
    case: ElementTree.Element, detail: ElementTree.Element, workdir: Path | None, base: Path | None
) -> Failure:
    text = (detail.text or "").strip()
    name = " > ".join(part for part in (case.get("classname", ""), case.get("name", "")) if part)
    file, line = place_in(text, workdir, base)
    own = case.get("file")
    if file is None and own:
        file = relative(own, workdir)
    return Failure(test=name, file=file, line=line, message=without_frames(detail.get("message") or text))


def without_frames(text: str) -> str:
    """Return an error's words without the frames that follow them in a trace of JavaScript's."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if number and line.lstrip().startswith("at ")), None)
    return "\n".join(lines[:first]).strip()


def place_in(text: str, workdir: Path | None, base: Path | None = None) -> tuple[str | None, int | None]:
    """Return the first `file:line` of a traceback that lies in the workdir, relative to it; (None, None) without.

    Names in it are relative to `base`, or to the workdir.
    """
    if workdir is None:
        return None, None
    for line in text.splitlines()[:200]:
        for word in line[:_NAME].replace("(", " ").replace(")", " ").split():
            name, mark, rest = word.removeprefix("file://").partition(":")
            number = rest.partition(":")[0].strip(",")
            if not (mark and number.isascii() and number.isdigit() and len(number) < 9):
                continue
            full = os.path.normpath(os.path.join(base or workdir, name))
            if full.startswith(f"{workdir}{os.sep}") and "node_modules" not in full and os.path.isfile(full):
                return os.path.relpath(full, workdir), int(number)
    return None, None


def relative(name: str, workdir: Path | None) -> str:
    """Return a file's name relative to the workdir, where it lies there."""
    if workdir is None or not name.startswith(f"{workdir}{os.sep}"):
        return name
    return os.path.relpath(name, workdir)


class Tap:
    """Reads TAP line by line, with subtests; a point that others of a deeper level precede is their sum, no test."""

    def __init__(self, workdir: Path, base: Path | None = None) -> None:
        self.tally = Tally()
        self.seen = False
        self._workdir, self._base = workdir, base
        self._depth = 0
        self._failing: tuple[str, list[str]] | None = None

    def line(self, text: str) -> None:
        """Take one line of stdout."""
        text = as_read(text[:_NAME])
        bare = text.lstrip(" ")
        depth = (len(text) - len(bare)) // 4
        if bare.startswith("TAP version "):
            self.seen = True
        ok = bare.startswith("ok ")
        if not ok and not bare.startswith("not ok "):
            if self._failing is not None and len(self._failing[1]) < 100:
                self._failing[1].append(bare)
            return
        self._flush()
        deeper, self._depth = self._depth > depth, depth
        words = bare.removeprefix("not ").removeprefix("ok ").lstrip("0123456789").lstrip(" -")
        name, _, directive = f" {words}".partition(" # ")
        if deeper:
            return
        if directive.upper().startswith(("SKIP", "TODO")):
            self.tally.count("skipped")
        elif ok:
            self.tally.count("passed")
        else:
            self._failing = (name.strip(), [])

    def end(self) -> Tally:
        """Return the counts, when the last line came."""
        self._flush()
        return self.tally

    def _flush(self) -> None:
        if self._failing is None:
            return
        name, lines = self._failing
        self._failing = None
        # Where the test begins says less than where it failed.
        ordered = sorted(lines, key=lambda text: text.startswith("location:"))
        file, line = place_in("\n".join(ordered).replace("'", " ").replace('"', " "), self._workdir, self._base)
        said = [text.partition(":")[2].strip(" '\"|-") for text in lines if text.startswith(("error:", "message:"))]
        message = next((text for text in said if text), "")
        if not message:
            # A block of lines follows, or the tool says it in words of its own.
            at = next((n for n, text in enumerate(lines) if text.startswith(("error:", "message:"))), None)
            shown = lines[at + 1 : at + 4] if at is not None else lines[:8]
            end = next((n for n, text in enumerate(shown) if text.startswith(("at:", "stack:"))), None)
            message = "\n".join(text for text in shown[:end] if text.strip() not in ("", "---", "..."))
        self.tally.count("failed", Failure(test=name, file=file, line=line, message=message))
