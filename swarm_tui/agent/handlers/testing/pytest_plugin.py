"""Writes what pytest finds, a JSON object a line, for `testing.run`.

It is copied into a folder of its own and loaded by the project's pytest, of whatever version, in the project's Python:
it needs nothing but the standard library, and the syntax of Python 3.6, whose annotations are plain names.
"""

import json
import os
from typing import IO, Any

#: Characters of one message.
MESSAGE = 2000


class Report:
    """The file that is written, and the folders by which names are told."""

    def __init__(self, file: IO[str], root: str, workdir: str) -> None:
        self.file, self.root, self.workdir = file, root, workdir

    def say(self, **row: Any) -> None:
        """Write one line."""
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()

    def fault(self, kind: str, report: Any) -> None:
        """Write a failure: the test, the innermost place of the project's own, the exception."""
        told = report.longrepr
        text = str(getattr(report, "longreprtext", None) or told or "")
        crash = getattr(told, "reprcrash", None)
        places = [place for place in self._places(told, crash) or self._places_in(text) if self._is_ours(place[0])]
        name, mark, test = report.nodeid.partition("::")
        own = self._absolute(name)
        self.say(
            kind=kind,
            test=self._relative(own) + mark + test,
            file=self._relative(places[-1][0] if places else own),
            line=places[-1][1] if places else None,
            message=(str(crash.message) if crash is not None else _cause(text))[:MESSAGE],
        )

    def _places(self, told: Any, crash: Any) -> Any:
        """Return the (file, line) of each entry of a traceback, the outermost first."""
        entries = getattr(getattr(told, "reprtraceback", None), "reprentries", None) or []
        found = [getattr(entry, "reprfileloc", None) for entry in entries]
        return [(self._absolute(place.path), place.lineno) for place in [*found, crash] if place is not None]

    def _places_in(self, text: str) -> Any:
        """Return the same of one that came as text: `tests/test_a.py:3: in <module>`, `E     File "…", line 3`."""
        found = []
        for line in text.splitlines():
            line = line[:1000]
            head, _, rest = line.partition(":")
            number = rest.partition(":")[0]
            if line.startswith("E") and 'File "' in line and '", line ' in line:
                head = line.split('File "', 1)[1].split('"', 1)[0]
                number = line.rsplit('", line ', 1)[1].partition(",")[0]
            if number.strip().isdigit() and os.path.exists(self._absolute(head)):
                found.append((self._absolute(head), int(number)))
        return found

    def _absolute(self, path: Any) -> str:
        return os.path.normpath(os.path.join(self.root, str(path)))

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self.workdir + os.sep) and "site-packages" not in path and os.path.exists(path)

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.workdir) if path.startswith(self.workdir + os.sep) else path


#: A Report, from pytest's beginning to its end.
_report: Any = None


def pytest_configure(config: Any) -> None:
    """Begin to write; the workers of xdist report to the process that started them, and only that one writes."""
    global _report
    path = os.environ.get("SWARM_TEST_REPORT")
    if path and not hasattr(config, "workerinput"):
        file = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - open until pytest ends
        root = str(getattr(config, "rootpath", None) or config.rootdir)
        _report = Report(file, root, os.environ["SWARM_TEST_WORKDIR"])


def pytest_runtest_logreport(report: Any) -> None:
    """Write how one phase of a test ended."""
    if _report is None:
        return
    if report.outcome == "failed":
        _report.fault("failed" if report.when == "call" else "error", report)
    elif report.outcome == "skipped":
        _report.say(kind="skipped")
    elif report.outcome == "passed" and report.when == "call":
        _report.say(kind="passed")


def pytest_collectreport(report: Any) -> None:
    """Write why a file of tests could not be read."""
    if _report is not None and report.outcome == "failed":
        _report.fault("error", report)


def pytest_unconfigure(config: Any) -> None:
    """Write that this was all."""
    global _report
    if _report is not None:
        _report.say(kind="end")
        _report.file.close()
        _report = None


def _cause(text: str) -> str:
    """Return the exception at the end of a traceback that came as text; without one, the text."""
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    said = [line for line in marked if line.strip("^ ")]
    return said[-1] if said else text.strip()
