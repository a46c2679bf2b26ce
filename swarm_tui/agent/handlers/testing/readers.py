"""Calls and readers of test tools that are not pytest: npm's, go's, cargo's, tox and nox."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.testing.report import Failure, Tally, Tap, place_in, read_junit, relative, without_frames
from swarm_tui.protocol.text import as_read

#: Bytes of a file of a project's own that says how it is tested.
_SMALL = 1_000_000
#: Lines of output that are kept of one failing test, and characters of each.
_LINES, _LINE = 100, 1_000
#: What a `test` script of npm's calls, and the arguments that make it write a JUnit report, or jest its own.
_NPM_REPORTS = {
    "vitest": ("--reporter=default", "--reporter=junit", "--outputFile.junit={report}"),
    "jest": ("--json", "--outputFile={report}"),
    "mocha": ("--reporter", "xunit", "--reporter-option", "output={report}"),
    "ava": ("--tap",),
    "tap": (),
    "tape": (),
}


def npm_script(folder: Path) -> str | None:
    """Return the `test` script of a package.json; None where it has none, or npm's own placeholder."""
    path = folder / "package.json"
    try:
        if path.stat().st_size > _SMALL:
            return None
        script = json.loads(path.read_bytes()).get("scripts", {}).get("test")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return script if isinstance(script, str) and "no test specified" not in script else None


class Reader:
    """The way one tool is called, and what its lines and files say."""

    def __init__(self, context: Context, root: Path, target: Path, folder: Path) -> None:
        self.context, self.root, self.target, self.folder = context, root, target, folder
        self.workdir = context.workdir.resolve()
        self.tally = Tally()

    def call(self) -> tuple[list[str], dict[str, str]]:
        """Return its argv, and variables of its environment."""
        raise NotImplementedError

    def line(self, text: str) -> None:
        """Take a line of stdout."""

    def end(self, stderr: str) -> Tally:
        """Return the counts, once it has ended."""
        return self.tally

    def hint(self) -> str:
        """Return what may be amiss besides, when it failed and nothing could be counted."""
        return ""

    def place(self, text: str) -> tuple[str | None, int | None]:
        """Return the first file and line that a text names, relative to the workdir."""
        return place_in(text, self.workdir, self.root)


class _Npm(Reader):
    def call(self) -> tuple[list[str], dict[str, str]]:
        script = npm_script(self.root)
        if script is None:
            raise HandlerError(f"{self.root / 'package.json'} has no `test` script", code="no-tests")
        self._tap = Tap(self.workdir, self.root)
        self._report = self.folder / "report"
        words = _words(script)
        tool = next((word for word in reversed(words) if word in _NPM_REPORTS), None)
        argv = ["npm", "test"]
        self._kind = tool
        if tool is not None:
            extra = [part.format(report=self._report) for part in _NPM_REPORTS[tool]]
            return [*argv, *(["--", *extra] if extra else [])], {}
        if "--test" in words and not any(word.startswith("--test-reporter") for word in words):
            self._kind = "node"
            reports = (("spec", "stdout"), ("junit", str(self._report)))
            told = [f"--test-reporter={name} --test-reporter-destination={to}" for name, to in reports]
            return argv, {"NODE_OPTIONS": " ".join(told)}
        return argv, {}

    def line(self, text: str) -> None:
        self._tap.line(text)

    def hint(self) -> str:
        missing = not any((folder / "node_modules").is_dir() for folder in (self.root, *self.root.parents))
        return "node_modules is not there: run `npm ci` first; " if missing and self._needs() else ""

    def _needs(self) -> bool:
        text = (self.root / "package.json").read_text("utf-8", "replace")
        return '"dependencies"' in text or '"devDependencies"' in text

    def end(self, stderr: str) -> Tally:
        if self._report.exists():
            if self._kind == "jest":
                return self._jest()
            tally = read_junit(self._report, "npm test", self.workdir, self.root)
            if self._kind == "mocha":
                # Its one reporter wrote the report, and nothing for people.
                for failure in tally.failures:
                    place = f"{failure.file}:{failure.line}" if failure.line else failure.file
                    self.context.output(f"{failure.test} ({place}): {failure.message}\n")
            return tally
        return self._tap.end() if self._tap.seen else self.tally

    def _jest(self) -> Tally:
        try:
            answer = msgspec.json.decode(self._report.read_bytes(), type=_JestAnswer)
        except (OSError, msgspec.MsgspecError) as error:
            raise HandlerError(f"jest's report cannot be read: {error}", code="no-report") from error
        for suite in answer.testResults:
            if not suite.assertionResults and suite.status == "failed":
                file, line = self.place(suite.message)
                own = relative(suite.name, self.workdir)
                self.tally.count("errors", Failure(test=own, file=file or own, line=line, message=suite.message))
            for case in suite.assertionResults:
                message = "\n".join(case.failureMessages)
                if case.status == "failed":
                    file, line = self.place(message)
                    own = relative(suite.name, self.workdir)
                    failure = Failure(test=case.fullName, file=file or own, line=line, message=without_frames(message))
                    self.tally.count("failed", failure)
                else:
                    self.tally.count("passed" if case.status == "passed" else "skipped")
        return self.tally


def _words(script: str) -> list[str]:
    try:
        return [word.rpartition("/")[2] if not word.startswith("-") else word for word in shlex.split(script[:4000])]
    except ValueError:
        return script[:4000].split()


class _JestCase(Struct):
    fullName: str = ""
    status: str = ""
    failureMessages: list[str] = []


class _JestSuite(Struct):
    name: str = ""
    status: str = ""
    message: str = ""
    assertionResults: list[_JestCase] = []


class _JestAnswer(Struct):
    testResults: list[_JestSuite] = []


class _GoLine(Struct):
    Action: str
    Package: str = ""
    ImportPath: str = ""
    Test: str = ""
    Output: str = ""


class _Go(Reader):
    def call(self) -> tuple[list[str], dict[str, str]]:
        self._said: dict[tuple[str, str], list[str]] = {}
        self._bad: set[str] = set()
        self._unbuilt: list[str] = []
        folder = self.target if self.target.is_dir() else self.target.parent
        part = os.path.relpath(folder, self.root)
        which = f"./{part}" if self.target.is_file() else f"./{part}/..." if part != "." else "./..."
        return ["go", "test", "-json", which], {}

    def line(self, text: str) -> None:
        try:
            event = msgspec.json.decode(text, type=_GoLine)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            # Of a package that does not build, an older go tells so beside its JSON, and why on stderr.
            words = text[:_LINE].split()
            if words[:1] == ["FAIL"] and len(words) > 1:
                self._unbuilt.append(words[1])
            return
        key = (event.Package or event.ImportPath.partition(" ")[0], event.Test)
        if event.Action in ("output", "build-output"):
            lines = self._said.setdefault(key, [])
            if len(lines) < _LINES:
                lines.append(event.Output[:_LINE])
        elif event.Test and event.Action in ("pass", "skip"):
            self.tally.count("passed" if event.Action == "pass" else "skipped")
            self._said.pop(key, None)
            self.context.progress(0.0, f"{event.Package} {event.Test}"[:200])
        elif event.Test and event.Action == "fail":
            self._bad.add(event.Package)
            self._fail(*key, "failed", self._said.pop(key, []))
        elif event.Action == "fail" and event.Package not in self._bad:
            self._fail(*key, "errors", self._said.pop(key, []))

    def end(self, stderr: str) -> Tally:
        said: dict[str, list[str]] = {}
        lines: list[str] = []
        for text in stderr.splitlines():
            if text.startswith("# "):
                lines = said.setdefault(text[2:].split(" ", 1)[0], [])
            elif len(lines) < _LINES:
                lines.append(text[:_LINE])
        for package in self._unbuilt:
            if package not in self._bad:
                self._fail(package, "", "errors", said.get(package, []))
        return self.tally

    def _fail(self, package: str, test: str, kind: Literal["failed", "errors"], said: list[str]) -> None:
        self._bad.add(package)
        shown = [as_read(line).strip() for line in said]
        lines = [line for line in shown if line and not line.startswith(("=== ", "--- ", "FAIL", "# "))]
        file, number = self.place("\n".join(lines))
        if file is None:
            # A test names its file without the folder, which is the package's.
            folder = self._folder(package)
            file, number = self.place("\n".join(str(folder / line) for line in lines if ".go:" in line))
        message = "\n".join(lines)
        self.tally.count(kind, Failure(test=f"{package} {test}".strip(), file=file, line=number, message=message))

    def _folder(self, package: str) -> Path:
        try:
            text = (self.root / "go.mod").read_text("utf-8", "replace")[:_SMALL]
        except OSError:
            return self.root
        module = next((line.split()[1] for line in text.splitlines() if line.startswith("module ") and " " in line), "")
        return self.root / package.removeprefix(module).lstrip("/")


class _Cargo(Reader):
    def call(self) -> tuple[list[str], dict[str, str]]:
        self._failed: dict[str, list[str]] = {}
        self._now: str | None = None
        return ["cargo", "test", "--no-fail-fast", "--color", "never"], {"CARGO_TERM_COLOR": "never"}

    def line(self, text: str) -> None:
        text = as_read(text[:_LINE])
        if text.startswith("test ") and " ... " in text:
            name, _, ending = text[5:].rpartition(" ... ")
            if ending.startswith("ok"):
                self.tally.count("passed")
            elif ending.startswith("ignored"):
                self.tally.count("skipped")
            elif ending.startswith("FAILED"):
                self._failed.setdefault(name, [])
            self.context.progress(0.0, name[:200])
        elif text.startswith("---- ") and text.endswith(" stdout ----"):
            self._now = text[5:-12]
        elif text in ("failures:", "successes:") or text.startswith("test result:"):
            self._now = None
        elif self._now in self._failed and len(self._failed[self._now]) < _LINES:
            self._failed[self._now].append(text)

    def end(self, stderr: str) -> Tally:
        for name, lines in self._failed.items():
            text = "\n".join(lines)
            file, line = self.place(text.replace(", src/", " src/"))
            said = [part for part in lines if part.strip() and "RUST_BACKTRACE" not in part]
            at = next((number for number, part in enumerate(said) if "panicked at" in part), -1)
            message = "\n".join(said[at + 1 :] or said)
            self.tally.count("failed", Failure(test=name, file=file, line=line, message=message))
        self._failed = {}
        return self.tally


class _Environments(Reader):
    """tox and nox: each environment, or session, counts as one test."""

    tool = "tox"

    def call(self) -> tuple[list[str], dict[str, str]]:
        self._report = self.folder / "report.json"
        option = "--result-json" if self.tool == "tox" else "--report"
        return [self.tool, option, str(self._report)], {}

    def end(self, stderr: str) -> Tally:
        try:
            report = json.loads(self._report.read_bytes())
            rows = [*(self._of_tox(report) if self.tool == "tox" else self._of_nox(report))]
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            return self.tally
        for name, kind, message in rows:
            self.tally.count(kind, Failure(test=name, message=message) if kind == "failed" else None)
        return self.tally

    def _of_tox(self, report: Any) -> list[Any]:
        rows = []
        for name, entry in report["testenvs"].items():
            steps = [*entry.get("setup", []), *entry.get("test", [])]
            bad = next((step for step in steps if step.get("retcode")), None)
            if bad is None and not entry.get("test"):
                continue
            said = f"{bad.get('output') or ''}\n{bad.get('err') or ''}".strip()[-2000:] if bad else ""
            rows.append((name, "failed" if bad else "passed", said))
        return rows

    def _of_nox(self, report: Any) -> list[Any]:
        rows = []
        for entry in report["sessions"]:
            ended = str(entry["result"]).lower()
            kind = {"success": "passed", "skipped": "skipped"}.get(ended, "failed")
            rows.append((entry.get("signature") or entry["name"], kind, f"the session {ended}"))
        return rows


class _Nox(_Environments):
    tool = "nox"


READERS: dict[str, Callable[[Context, Path, Path, Path], Reader]] = {
    "npm": _Npm,
    "go": _Go,
    "cargo": _Cargo,
    "tox": _Environments,
    "nox": _Nox,
}
