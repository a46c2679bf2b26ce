"""Reads what a project declares as dependencies: its exact pins, and what is wrong with the rest, without a network."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.handlers.findings import Finding, Severity

_REQUIREMENTS = re.compile(
    r"(^|/)([\w.-]*requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|requirements/[\w.-]+\.txt)$"
)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*([\w.!+-]+)\s*(?:;.*|--hash.*|\\)?$")
_NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)")
_COMMIT = re.compile(r"@[0-9a-f]{40}\b")
#: Names under which malware was published, each a slip of the fingers away from a real package.
_IMPOSTORS = {
    "colourama": "colorama",
    "jeilyfish": "jellyfish",
    "python3-dateutil": "python-dateutil",
    "urlib3": "urllib3",
    "setup-tools": "setuptools",
    "acqusition": "acquisition",
    "python-mysql": "mysqlclient",
    "django-server": "django",
}


#: Files that declare dependencies too, in ways that are not read here.
_OTHERS = frozenset(
    {
        *("Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock", "setup.py", "setup.cfg", "environment.yml"),
        *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "Cargo.toml", "Cargo.lock"),
        *("go.mod", "go.sum", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock", "pom.xml", "build.gradle"),
    }
)


class Pin(Struct, frozen=True, kw_only=True):
    """A dependency with an exact version, and where it stands."""

    name: str
    version: str
    file: str
    line: int

    def is_of(self, name: str, version: str) -> bool:
        """Return whether it is that package, of that version where one is given."""
        plain = re.sub(r"[-_.]+", "-", self.name).lower()
        return plain == re.sub(r"[-_.]+", "-", name).lower() and version in ("", self.version)


class Declared(Struct, kw_only=True):
    """A project's dependencies. `unpinned`: files with dependencies of which no exact version is known here."""

    findings: list[Finding] = []
    pins: list[Pin] = []
    read: list[str] = []
    unpinned: list[str] = []


def read_declarations(folder: Path, files: Iterable[str]) -> Declared:
    """Reads requirements files, pyproject.toml and package.json; others are only named."""
    found = Declared()
    for name in files:
        base = name.rpartition("/")[2]
        if base in _OTHERS:
            found.unpinned.append(name)
        if not (_REQUIREMENTS.search(name) or base in ("pyproject.toml", "package.json")):
            continue
        text = (folder / name).read_text("utf-8", "replace")
        found.read.append(name)
        if base == "package.json":
            entries = _package_json_entries(text)
            found.findings += _package_json(name, text, entries)
            wanted = len(entries)
        else:
            python = list(_pyproject(text) if base == "pyproject.toml" else _requirement_lines(text))
            before = len(found.pins)
            loose = base == "pyproject.toml" or name.endswith(".in")
            for line, entry in python:
                _requirement(name, line, entry, found.findings, found.pins, loose=loose)
            wanted = sum(not entry.startswith("-") for _, entry in python) - (len(found.pins) - before)
        if wanted > 0:
            found.unpinned.append(name)
    return found


def _requirement_lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        if entry:
            yield number, entry


def _requirement(file: str, line: int, entry: str, findings: list[Finding], pins: list[Pin], *, loose: bool) -> None:
    """Judge one requirement; `loose`: a range is as it should be, for what others install beside their own."""

    def say(severity: Severity, code: str, message: str) -> None:
        findings.append(Finding(file=file, line=line, severity=severity, code=code, message=message, tool="audit"))

    if entry.startswith("--hash"):
        return
    if re.search(r"http://(?!localhost|127\.0\.0\.1)", entry):
        say("error", "no-tls", "fetched without TLS: anyone on the way can change it")
    if "--trusted-host" in entry:
        say("error", "trusted-host", "--trusted-host turns the check of certificates off")
    if entry.startswith("-"):
        if "--extra-index-url" in entry:
            say("warning", "extra-index", "--extra-index-url: another index can serve any name of yours")
        return
    if re.search(r"(git|hg|svn|bzr)\+", entry):
        if not _COMMIT.search(entry):
            say("warning", "unpinned", "from a repository, without the hash of a commit")
        return
    match = _NAME.match(entry)
    if match is None:
        return
    name = match[1].lower().replace("_", "-")
    if name in _IMPOSTORS:
        say("error", "impostor", f"{match[1]} was malware; {_IMPOSTORS[name]} is the real one")
    if pin := _PIN.match(entry):
        if "*" not in entry:
            pins.append(Pin(name=pin[1], version=pin[2], file=file, line=line))
    elif not loose and " @ " not in entry:
        say("warning", "unpinned", f"{match[1]} has no exact version: what is installed can change")


def _pyproject(text: str) -> Iterator[tuple[int, str]]:
    try:
        project = tomllib.loads(text).get("project", {})
        entries = list(project.get("dependencies", []))
        for extra in project.get("optional-dependencies", {}).values():
            entries += extra
    except (tomllib.TOMLDecodeError, AttributeError, TypeError):
        return
    lines = text.split("\n")
    for entry in filter(lambda value: isinstance(value, str), entries):
        yield next((number for number, line in enumerate(lines, 1) if entry in line), 1), entry


def _package_json_entries(text: str) -> list[tuple[str, str]]:
    try:
        body = json.loads(text)
        groups = [body.get(key) or {} for key in ("dependencies", "devDependencies", "optionalDependencies")]
        return [(name, str(version)) for group in groups for name, version in group.items()]
    except (ValueError, AttributeError, RecursionError):
        return []


def _package_json(file: str, text: str, entries: list[tuple[str, str]]) -> Iterator[Finding]:
    lines = text.split("\n")
    for name, version in entries:
        line = next((n for n, row in enumerate(lines, 1) if f'"{name}"' in row and version in row), 1)
        severity: Severity = "warning"
        if version in ("*", "", "latest", "x"):
            code, message = "unpinned", f"{name} takes any version"
        elif version.startswith("http://"):
            severity, code, message = "error", "no-tls", "fetched without TLS: anyone on the way can change it"
        elif re.match(r"(git|https?:|github:)", version) and not re.search(r"#[0-9a-f]{40}$", version):
            code, message = "unpinned", f"{name} comes from a repository, without the hash of a commit"
        else:
            continue
        yield Finding(file=file, line=line, severity=severity, code=code, message=message, tool="audit")
