"""Asks detect-secrets for secrets in a project's files, those that it would pass over in silence too."""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.handlers.files import decoded, encoding_of, is_test, readable
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.security.tools import ask, chunks, finding, is_example, plain

BASELINE = ".secrets.baseline"
#: Bytes of a file that is looked into; a larger one is named.
LARGEST = 10_000_000
#: Characters of a line: longer ones are cut into pieces that overlap, for the tool takes quadratic time for each.
_LONG, _OVERLAP = 2_000, 200
_LOCKS = ("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "Cargo.lock", "go.sum")
#: Suffixes at which the tool does not look, though what is in them may be text.
_PASSED_OVER = (
    "css",
    "svg",
    "eps",
    "iml",
    "ipr",
    "iws",
    "prefs",
    "bin",
    "mo",
    "pdf",
    "class",
    "ico",
    "png",
    "gif",
    "jpg",
)
#: Kinds that are only a guess, by a word beside them or by chance-like letters: they weigh less, and least in tests.
_GUESSES: dict[str, Severity] = {
    "Secret Keyword": "warning",
    "Basic Auth Credentials": "warning",
    "JSON Web Token": "warning",
    "Base64 High Entropy String": "info",
    "Hex High Entropy String": "info",
    "Public IP (ipv4)": "info",
}
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


class _Secret(Struct):
    type: str
    line_number: int = 0
    hashed_secret: str = ""


class _Secrets(Struct):
    results: dict[str, list[_Secret]] = {}


class _StandIn(Struct):
    """A copy of a file that the tool can read, and the line of the original for each of its lines."""

    name: str
    lines: list[int]


async def secrets(context: Context, folder: Path, files: list[str]) -> tuple[list[Finding], list[str]]:
    """Return the findings, one for each secret in a place, and a line for each file that could not be looked into.

    Those of the project's own `.secrets.baseline` are left out. Nothing is verified over a network.
    """
    wanted = [name for name in files if not name.endswith(_LOCKS) and name != BASELINE]
    known = _baseline(folder)
    found: list[tuple[str, _Secret]] = []
    with tempfile.TemporaryDirectory(prefix="swarm-secrets-") as name:
        scratch = Path(name)
        direct, copies, skipped = await asyncio.to_thread(_prepare, folder, wanted, scratch)
        for chunk in chunks(direct):
            for path, items in (await _scan(context, folder, chunk)).items():
                found += [(plain(path), item) for item in items]
        for chunk in chunks(copies):
            for path, items in (await _scan(context, scratch, chunk)).items():
                copy = copies[plain(path)]
                for item in items:
                    item.line_number = copy.lines[min(item.line_number, len(copy.lines)) - 1] if copy.lines else 0
                    found.append((copy.name, item))
    return _findings([(path, item) for path, item in found if (path, item.hashed_secret) not in known]), skipped


async def _scan(context: Context, folder: Path, names: list[str]) -> dict[str, list[_Secret]]:
    argv = ["detect-secrets", "-c", "1", "scan", "--no-verify", "--all-files", *(f"./{name}" for name in names)]
    return (await ask(context, folder, argv, _Secrets)).results


def _prepare(folder: Path, names: Iterable[str], scratch: Path) -> tuple[list[str], dict[str, _StandIn], list[str]]:
    """Return the files that the tool reads as they are, copies of those that it would not, and the rest in words."""
    direct: list[str] = []
    copies: dict[str, _StandIn] = {}
    skipped: list[str] = []
    for name in names:
        try:
            if (folder / name).stat().st_size > LARGEST:
                skipped.append(f"{readable(name)}: larger than {LARGEST // 1_000_000} MB")
                continue
            data = (folder / name).read_bytes()
        except OSError as error:
            skipped.append(f"{readable(name)}: {error.strerror or error}")
            continue
        encoding = encoding_of(name, data)
        if b"\0" in data and encoding != "utf-16":
            skipped.append(f"{readable(name)}: binary")
            continue
        odd = name.rpartition(".")[2].lower() in _PASSED_OVER
        text = decoded(name, data)
        if encoding in ("utf-8", "utf-8-sig") and not odd and max(map(len, text.split("\n"))) <= _LONG:
            direct.append(name)
            continue
        pieces, lines = _pieces(text)
        base = re.sub(r"[^\w.-]", "_", name.rpartition("/")[2], flags=re.ASCII)[-60:]
        copy = f"{len(copies)}/{base}{'.txt' if odd else ''}"
        (scratch / copy).parent.mkdir()
        (scratch / copy).write_text("\n".join(pieces), "utf-8", "replace")
        copies[copy] = _StandIn(name, lines)
    return direct, copies, skipped


def _pieces(text: str) -> tuple[list[str], list[int]]:
    """Return the lines, long ones in pieces, and the number of the line of which each is."""
    pieces: list[str] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        for start in range(0, max(1, len(line) - _OVERLAP), _LONG - _OVERLAP):
            pieces.append(line[start : start + _LONG])
            lines.append(number)
    return pieces, lines


def _findings(found: list[tuple[str, _Secret]]) -> list[Finding]:
    """Return one finding for each secret in a place: several plugins know one by its kind, its word, its letters."""
    places: dict[tuple[str, int], list[_Secret]] = {}
    for path, item in found:
        places.setdefault((path, item.line_number), []).append(item)
    out: list[Finding] = []
    for (path, line), items in places.items():
        sure = [item for item in items if item.type not in _GUESSES]
        if not sure and is_example(path):
            continue
        chosen = sure or sorted(items, key=lambda item: _ORDER[_GUESSES[item.type]])[:1]
        for kind in dict.fromkeys(item.type for item in chosen):
            severity = _GUESSES.get(kind, "error")
            if kind in _GUESSES and is_test(path):
                severity = "info"
            code = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
            words = kind if kind not in _GUESSES else f"{kind}: perhaps a secret"
            out.append(finding(path, line, severity, code, words, "detect-secrets"))
    return out


def _baseline(folder: Path) -> set[tuple[str, str]]:
    try:
        known = json.loads((folder / BASELINE).read_bytes())["results"]
        return {(name, item["hashed_secret"]) for name, items in known.items() for item in items}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()
