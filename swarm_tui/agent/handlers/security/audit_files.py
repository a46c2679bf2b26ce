"""Reads what a project declares as dependencies: its exact pins, and what is wrong with the rest, without a network."""

import configparser
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from swarm_tui.agent.handlers.files import readable
from swarm_tui.agent.handlers.findings import Finding, Severity

_REQUIREMENTS = re.compile(
    r"(^|/)([\w.-]*requirements[\w.-]*\.(txt|in)|constraints[\w.-]*\.txt|requirements/[\w.-]+\.txt)$"
)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*([\w.!+-]+)\s*(?:;.*|--hash.*|\\)?$")
_NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,200}[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[0-9vV][\w.!+-]{0,200}", re.ASCII)
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
        *("Pipfile", "setup.py", "environment.yml", "environment.yaml"),
        *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "Cargo.toml", "Cargo.lock"),
        *("go.mod", "go.sum", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock", "pom.xml", "build.gradle"),
    }
)
#: Lock files that name every package with its exact version, and the tables that they do it in.
_LOCKS = {"poetry.lock": "package", "uv.lock": "package", "pdm.lock": "package", "pylock.toml": "packages"}
#: Files whose ranges a lock beside them makes exact.
_LOCKED_BY = {"pyproject.toml": tuple(_LOCKS), "Pipfile": ("Pipfile.lock",), "setup.cfg": (), "package.json": ()}
_LARGEST = 20_000_000
_QUOTED = re.compile(r"""["']([^"'\n]{1,500})["']""")
#: Kinds of sources that are no index: a project's own folder, a repository.
_NO_INDEX = frozenset({"git", "directory", "file", "url", "editable", "virtual", "path", "vcs", "archive"})


class Pin(Struct, frozen=True, kw_only=True):
    """A dependency with an exact version, and where it stands."""

    name: str
    version: str
    file: str
    line: int

    def is_of(self, name: str, version: str) -> bool:
        """Return whether it is that package, of that version where one is given."""
        return plain_name(self.name) == plain_name(name) and version in ("", self.version)


class Declared(Struct, kw_only=True):
    """A project's dependencies. `unpinned`: files with dependencies of which no exact version is known here."""

    findings: list[Finding] = []
    pins: list[Pin] = []
    read: list[str] = []
    unpinned: list[str] = []


def read_declarations(folder: Path, files: Iterable[str]) -> Declared:
    """Read requirements files, pyproject.toml, setup.cfg, package.json and Python's lock files; name the others."""
    found = Declared()
    names = [*files]
    loose: dict[str, set[str]] = {}
    for name in names:
        base = name.rpartition("/")[2]
        if base in _OTHERS:
            loose[name] = {""}
        read = _reader_of(name)
        if read is None:
            continue
        try:
            if (folder / name).stat().st_size > _LARGEST:
                raise OSError(f"larger than {_LARGEST // 1_000_000} MB")
            text = (folder / name).read_text("utf-8-sig", "replace")
        except OSError:
            loose[name] = {""}
            continue
        found.read.append(readable(name))
        if left := read(name, text, found):
            loose[name] = left
    found.unpinned = [readable(name) for name in sorted(loose) if not _is_locked(name, loose[name], names, found)]
    return found


def _reader_of(name: str) -> "Callable[[str, str, Declared], set[str]] | None":
    """Return what reads a file: it adds findings and pins, and returns the packages left without an exact version."""
    base = name.rpartition("/")[2]
    if base in _LOCKS:
        return _lock
    readers = {
        "pyproject.toml": _pyproject,
        "setup.cfg": _setup_cfg,
        "package.json": _package_json,
        "Pipfile.lock": _pipfile_lock,
    }
    return readers.get(base) or (_requirements if _REQUIREMENTS.search(name) else None)


def _is_locked(name: str, left: set[str], names: list[str], found: Declared) -> bool:
    """Return whether a lock beside the file makes each of the packages exact that it leaves open."""
    folder, slash, base = name.rpartition("/")
    locks = {f"{folder}{slash}{lock}" for lock in _LOCKED_BY.get(base, ())}
    if base.endswith(".in"):
        locks = {name.removesuffix(".in") + ".txt"}
    known = {plain_name(pin.name) for pin in found.pins if pin.file in locks}
    if base == "Pipfile":
        return bool(locks & set(names))
    return bool(locks & set(names)) and left <= known | {""} and "" not in left


def plain_name(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(name: str, text: str, found: Declared) -> set[str]:
    loose = name.endswith(".in")
    return _judged(name, _requirement_lines(text), found, loose=loose)


def _judged(name: str, entries: Iterable[tuple[int, str]], found: Declared, *, loose: bool) -> set[str]:
    """Judge requirements; return the packages of those without an exact version."""
    left: set[str] = set()
    for line, entry in entries:
        before = len(found.pins)
        _requirement(name, line, entry, found.findings, found.pins, loose=loose)
        if len(found.pins) == before and not entry.startswith("-"):
            match = _NAME.match(entry)
            left.add(plain_name(match[1]) if match else "")
    return left


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
            pins += _pins(pin[1], pin[2], file, line)
    elif not loose and " @ " not in entry:
        say("warning", "unpinned", f"{match[1]} has no exact version: what is installed can change")


def _pyproject(name: str, text: str, found: Declared) -> set[str]:
    try:
        body = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {""}
    places = _places(text)
    entries = [(places.get(key, 1), entry) for key, entry in _declared_in(body)]
    return _judged(name, entries, found, loose=True)


def _declared_in(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the requirements of a pyproject.toml as (what stands there, requirement): its own, groups, tools'."""
    project, tool = _table(body, "project"), _table(body, "tool")
    groups = [_list(project, "dependencies"), *_lists(_table(project, "optional-dependencies"))]
    groups += _lists(_table(body, "dependency-groups"))
    groups += [_list(_table(tool, "uv"), "dev-dependencies"), *_lists(_table(_table(tool, "pdm"), "dev-dependencies"))]
    for environment in _table(_table(tool, "hatch"), "envs").values():
        groups += [_list(environment, "dependencies"), _list(environment, "extra-dependencies")]
    for entry in (entry for group in groups for entry in group if isinstance(entry, str)):
        yield entry, entry
    poetry = _table(tool, "poetry")
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    for table in tables:
        for package, wanted in table.items():
            if package.lower() != "python":
                for one in wanted if isinstance(wanted, list) else [wanted]:
                    yield from ((package, entry) for entry in _of_poetry(package, one))


def _of_poetry(package: str, wanted: Any) -> Iterator[str]:
    """Give a poetry dependency as a requirement: a bare version is an exact one, a path is the project's own."""
    if isinstance(wanted, dict):
        if "git" in wanted:
            yield f"{package} @ git+{wanted['git']}@{wanted.get('rev', '')}"
        elif "url" in wanted:
            yield f"{package} @ {wanted['url']}"
        elif "path" not in wanted:
            yield from _of_poetry(package, wanted.get("version", "*"))
        return
    version = str(wanted).strip()
    yield (
        f"{package}=={version.lstrip('= ')}"
        if re.fullmatch(r"={0,3}\s*\d[\w.!+-]*", version)
        else f"{package} {version}"
    )


def _setup_cfg(name: str, text: str, found: Declared) -> set[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        return {""}
    values = [parser.get("options", "install_requires", fallback="")]
    if parser.has_section("options.extras_require"):
        values += [value for _, value in parser.items("options.extras_require")]
    rows: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        rows.setdefault(line.strip(), number)
    lines = [line.strip() for value in values for line in value.split("\n")]
    entries = [(rows.get(line, 1), line) for line in lines if line and not line.startswith("#")]
    return _judged(name, entries, found, loose=True)


def _lock(name: str, text: str, found: Declared) -> set[str]:
    try:
        packages = tomllib.loads(text).get(_LOCKS[name.rpartition("/")[2]])
    except (tomllib.TOMLDecodeError, RecursionError):
        return {""}
    rows: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("name = "):
            rows.setdefault(line[7:].strip().strip("\"'"), number)
    left: set[str] = set()
    # One that says nothing of packages, not even that there are none, is no lock.
    for package in packages if isinstance(packages, list) else [None]:
        title, version = str(_get(package, "name") or ""), _get(package, "version")
        source = _get(package, "source")
        kinds: set[str] = {*source, str(source.get("type"))} if isinstance(source, dict) else set()
        kinds |= {key for key in ("vcs", "directory", "archive") if _get(package, key)}
        if kinds & {"editable", "virtual", "directory"} and not kinds & {"git", "vcs"}:
            continue
        pins = [] if kinds & _NO_INDEX else _pins(title, str(version), name, rows.get(title, 1))
        found.pins += pins
        if not pins:
            left.add(plain_name(title))
    return left


def _pipfile_lock(name: str, text: str, found: Declared) -> set[str]:
    try:
        body = json.loads(text)
        groups = [group for group in (body.get("default"), body.get("develop")) if isinstance(group, dict)]
    except (ValueError, AttributeError, RecursionError):
        return {""}
    places = _places(text)
    left: set[str] = set()
    for package, entry in (item for group in groups for item in group.items()):
        version = str(_get(entry, "version") or "")
        exact = version.startswith("==")
        pins = _pins(package, version.lstrip("="), name, places.get(package, 1)) if exact else []
        found.pins += pins
        if not pins:
            left.add(plain_name(package))
    return left


def _pins(name: str, version: str, file: str, line: int) -> list[Pin]:
    """Return one pin; none for a name or a version that is no such thing: the list of them is read as pip's options."""
    if _PACKAGE.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
        return []
    return [Pin(name=name, version=version, file=file, line=line)]


def _places(text: str) -> dict[str, int]:
    """Map each quoted string of a text, and each key before `=`, to the line on which it first stands."""
    places: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        for match in _QUOTED.finditer(line[:5000]):
            places.setdefault(match[1], number)
        places.setdefault(line[:500].partition("=")[0].strip(), number)
    return places


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _table(value: Any, key: str) -> dict[str, Any]:
    found = _get(value, key)
    return found if isinstance(found, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    found = _get(value, key)
    return found if isinstance(found, list) else []


def _lists(table: dict[str, Any]) -> list[list[Any]]:
    return [value for value in table.values() if isinstance(value, list)]


def _package_json(name: str, text: str, found: Declared) -> set[str]:
    """Judge what npm installs; its exact versions are not looked up here."""
    try:
        body = json.loads(text)
        groups = [_table(body, key) for key in ("dependencies", "devDependencies", "optionalDependencies")]
    except (ValueError, RecursionError):
        return {""}
    places: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = [match[1] for match in _QUOTED.finditer(line[:5000])]
        for pair in itertools.pairwise([*words, ""]):
            places.setdefault(pair, number)
    entries = [(package, str(version)) for group in groups for package, version in group.items()]
    found.findings += _of_npm(name, places, entries)
    return {"" for _ in entries}


def _of_npm(file: str, places: dict[tuple[str, str], int], entries: list[tuple[str, str]]) -> Iterator[Finding]:
    for name, version in entries:
        line = places.get((name, version), 1)
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
