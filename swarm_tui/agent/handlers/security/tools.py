"""Asks bandit about Python files, and looks at permissions: each gives findings with file and line."""

import json
import posixpath
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.files import is_test
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.process import run_process
from swarm_tui.agent.handlers.review.syntax import matches

T = TypeVar("T")
INSTALL = "python -m pip install 'swarm-tui[tools]'"
#: Files in one command line, and bytes of one answer.
CHUNK = 400
LIMIT = 20_000_000
_GRAVE: dict[str, Severity] = {"HIGH": "error", "MEDIUM": "warning", "LOW": "info", "UNDEFINED": "info"}
_SECRET_NAME = re.compile(
    r"(?:^|/)(?:\.env(?:\.[^/]+)?|id_(?:rsa|dsa|ecdsa|ed25519)|[^/]+\.(?:pem|key|p12|pfx|keystore)|\.netrc|\.pgpass)$"
)


#: Files that show how others are to be filled: a guess in one is what it should hold.
_EXAMPLES = ("*.example", "*.sample", "*.template", "*.tmpl", "*.dist", "*.defaults", "*.example.*", "*.sample.*")


class _Issue(msgspec.Struct):
    filename: str
    line_number: int
    issue_severity: str
    issue_text: str
    test_id: str


class _Error(msgspec.Struct):
    filename: str = ""
    reason: str = ""


class _Bandit(msgspec.Struct):
    results: list[_Issue] = []
    errors: list[_Error] = []


async def bandit(context: Context, folder: Path, files: list[str]) -> list[Finding]:
    """Return bandit's findings of the Python files among `files`; one that it cannot read is a finding too."""
    found: list[Finding] = []
    own = ["-c", "pyproject.toml"] if _configures_bandit(folder) else []
    for chunk in chunks(name for name in files if name.endswith((".py", ".pyi"))):
        argv = ["bandit", *own, "-f", "json", "-q", "--exit-zero", *(f"./{name}" for name in chunk)]
        answer = await ask(context, folder, argv, _Bandit)
        for issue in answer.results:
            # An assert is what a test is made of.
            if not (issue.test_id == "B101" and is_test(plain(issue.filename))):
                found.append(_of_bandit(issue))
        for error in answer.errors:
            message = f"could not be checked: {error.reason}"
            found.append(finding(plain(error.filename), 0, "warning", "unreadable", message, "bandit"))
    return found


def _configures_bandit(folder: Path) -> bool:
    """Return whether the project says which tests bandit is to leave out."""
    try:
        return "bandit" in tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["tool"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _of_bandit(issue: _Issue) -> Finding:
    severity = _GRAVE.get(issue.issue_severity, "warning")
    if severity == "warning" and is_test(plain(issue.filename)):
        severity = "info"
    return finding(plain(issue.filename), issue.line_number, severity, issue.test_id, issue.issue_text, "bandit")


def permissions(folder: Path, files: Iterable[str]) -> Iterator[Finding]:
    """Give files that anyone may write, that run as their owner, and secrets that others may read."""
    for name in files:
        try:
            mode = (folder / name).lstat().st_mode
        except OSError:
            continue
        bits = f"{stat.S_IMODE(mode):04o}"
        if mode & (stat.S_ISUID | stat.S_ISGID):
            yield finding(name, 0, "error", "setuid", f"mode {bits}: it runs as its owner", "permissions")
        if mode & stat.S_IWOTH:
            yield finding(name, 0, "error", "world-writable", f"mode {bits}: anyone may change it", "permissions")
        elif (
            _SECRET_NAME.search(name)
            and not is_example(name)
            and mode & (stat.S_IRGRP | stat.S_IROTH)
            and _holds_secret(folder / name)
        ):
            message = f"mode {bits}: others may read this secret; chmod 600"
            yield finding(name, 0, "warning", "readable-secret", message, "permissions")


def is_example(name: str) -> bool:
    """Return whether a file shows how another is to be filled, by its name: `.env.example`."""
    return matches(name, _EXAMPLES)


def _holds_secret(path: Path) -> bool:
    """Return whether it holds what only its owner may read: a certificate may be read by all."""
    try:
        with path.open("rb") as file:
            head = file.read(65536)
    except OSError:
        return True
    return bool(head.strip()) and not (b"BEGIN" in head and b"PRIVATE KEY" not in head)


def finding(file: str, line: int, severity: Severity, code: str, message: str, tool: str) -> Finding:
    """Return a finding."""
    return Finding(file=file, line=line, severity=severity, code=code, message=message, tool=tool)


def plain(name: str) -> str:
    """Return a tool's name of a file as the project's: without `./`."""
    return posixpath.normpath(name)


def chunks(names: Iterable[str]) -> Iterator[list[str]]:
    """Give the names in groups that fit a command line."""
    rest = list(names)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]


async def ask(context: Context, folder: Path, argv: list[str], shape: type[T]) -> T:
    """Return a tool's JSON answer as `shape`. Raises MissingToolError, HandlerError when it fails."""
    tool = argv[0]
    done = await run_process(context, argv, cwd=folder, limit=LIMIT, install=INSTALL, kept=False)
    if done.returncode != 0:
        raise HandlerError(f"{tool} failed: {done.tail}", code=tool)
    try:
        # Not msgspec's own: a name that is no UTF-8 comes as half of a surrogate pair.
        return msgspec.convert(json.loads(done.stdout), shape)
    except (ValueError, RecursionError) as error:
        raise HandlerError(f"{tool}'s answer cannot be read: {error}", code=tool) from error
