"""Asks bandit and detect-secrets, and looks at permissions: each gives findings with file and line."""

import json
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.files import is_test
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.process import run_process

T = TypeVar("T")
INSTALL = "python -m pip install 'swarm-tui[tools]'"
#: Files in one command line, and bytes of one answer.
CHUNK = 400
LIMIT = 20_000_000
BASELINE = ".secrets.baseline"
_GRAVE: dict[str, Severity] = {"HIGH": "error", "MEDIUM": "warning", "LOW": "info", "UNDEFINED": "info"}
_LOCKS = ("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "Cargo.lock", "go.sum")
_SECRET_NAME = re.compile(
    r"(^|/)(\.env(\..+)?|id_(rsa|dsa|ecdsa|ed25519)|.+\.(pem|key|p12|pfx|keystore)|\.netrc|\.pgpass)$"
)


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


class _Secret(msgspec.Struct):
    type: str
    line_number: int = 0
    hashed_secret: str = ""


class _Secrets(msgspec.Struct):
    results: dict[str, list[_Secret]] = {}


async def bandit(context: Context, folder: Path, files: list[str]) -> list[Finding]:
    """bandit's findings of the Python files among `files`; one that it cannot read is a finding too."""
    found: list[Finding] = []
    for chunk in _chunks(name for name in files if name.endswith((".py", ".pyi"))):
        argv = ["bandit", "-f", "json", "-q", "--exit-zero", *(f"./{name}" for name in chunk)]
        done = await run_process(context, argv, cwd=folder, limit=LIMIT, install=INSTALL)
        if done.returncode != 0:
            raise HandlerError(f"bandit failed: {done.tail}", code="bandit")
        answer = _read(done.stdout, _Bandit, "bandit")
        for issue in answer.results:
            # An assert is what a test is made of.
            if not (issue.test_id == "B101" and is_test(_plain(issue.filename))):
                found.append(_of_bandit(issue))
        for error in answer.errors:
            message = f"could not be checked: {error.reason}"
            found.append(_finding(_plain(error.filename), 0, "warning", "unreadable", message, "bandit"))
    return found


def _of_bandit(issue: _Issue) -> Finding:
    severity = _GRAVE.get(issue.issue_severity, "warning")
    return _finding(_plain(issue.filename), issue.line_number, severity, issue.test_id, issue.issue_text, "bandit")


async def secrets(context: Context, folder: Path, files: list[str]) -> list[Finding]:
    """detect-secrets' findings, without those of the project's own baseline; nothing is verified over a network."""
    known = _baseline(folder)
    found: list[Finding] = []
    names = (name for name in files if not name.endswith(_LOCKS) and name != BASELINE)
    for chunk in _chunks(names):
        argv = ["detect-secrets", "-c", "1", "scan", "--no-verify", "--all-files", *(f"./{name}" for name in chunk)]
        done = await run_process(context, argv, cwd=folder, limit=LIMIT, install=INSTALL)
        if done.returncode != 0:
            raise HandlerError(f"detect-secrets failed: {done.tail}", code="detect-secrets")
        for name, items in _read(done.stdout, _Secrets, "detect-secrets").results.items():
            for item in items:
                if (_plain(name), item.hashed_secret) not in known:
                    code = re.sub(r"[^a-z0-9]+", "-", item.type.lower()).strip("-")
                    found.append(_finding(_plain(name), item.line_number, "error", code, item.type, "detect-secrets"))
    return found


def permissions(folder: Path, files: Iterable[str]) -> Iterator[Finding]:
    """Files that anyone may write, that run as their owner, and secrets that others may read."""
    for name in files:
        mode = (folder / name).lstat().st_mode
        bits = f"{stat.S_IMODE(mode):04o}"
        if mode & (stat.S_ISUID | stat.S_ISGID):
            yield _finding(name, 0, "error", "setuid", f"mode {bits}: it runs as its owner", "permissions")
        if mode & stat.S_IWOTH:
            yield _finding(name, 0, "error", "world-writable", f"mode {bits}: anyone may change it", "permissions")
        elif _SECRET_NAME.search(name) and mode & (stat.S_IRGRP | stat.S_IROTH) and _holds_secret(folder / name):
            message = f"mode {bits}: others may read this secret; chmod 600"
            yield _finding(name, 0, "warning", "readable-secret", message, "permissions")


def _holds_secret(path: Path) -> bool:
    """A certificate may be read by all; what else has a secret's name may not."""
    try:
        head = path.read_bytes()[:65536]
    except OSError:
        return True
    return bool(head.strip()) and not (b"BEGIN" in head and b"PRIVATE KEY" not in head)


def _finding(file: str, line: int, severity: Severity, code: str, message: str, tool: str) -> Finding:
    return Finding(file=file, line=line, severity=severity, code=code, message=message, tool=tool)


def _plain(name: str) -> str:
    return posixpath.normpath(name)


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    rest = list(names)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]


def _read(text: str, shape: type[T], tool: str) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.MsgspecError as error:
        raise HandlerError(f"{tool}'s answer cannot be read: {error}", code=tool) from error


def _baseline(folder: Path) -> set[tuple[str, str]]:
    try:
        known = json.loads((folder / BASELINE).read_text())["results"]
        return {(name, item["hashed_secret"]) for name, items in known.items() for item in items}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
