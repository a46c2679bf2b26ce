"""Claims on paths: what a claim may name, and whether two of them may mean the same file."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

#: Paths of one claim, and of all claims of a task; characters of one.
MAX_PATHS, MAX_HELD, MAX_LENGTH = 50, 200, 300
#: Paths that all tasks together may hold.
MAX_ALL = 5000
ANY = "**"


class HeldPaths(Struct, kw_only=True, omit_defaults=True):
    """A claim that holds, as its task's record keeps it. `since` is wall time."""

    claim_id: str
    agent_id: str
    attempt: int
    paths: list[str]
    since: float = 0.0


def mistake(pattern: str) -> str:
    """Return why a path or glob cannot be claimed; empty when it can."""
    shown = repr(pattern[:80])
    if not pattern.strip() or len(pattern) > MAX_LENGTH:
        return f"{shown}: a path has 1 to {MAX_LENGTH} characters"
    if pattern.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", pattern):
        return f"{shown}: name it from the workdir on, as `src/app.py` or `docs/**`"
    if ".." in pattern.split("/"):
        return f"{shown}: what is outside of the workdir cannot be claimed"
    if re.search(r"[{}]", pattern):
        return f"{shown}: braces are not read: name each path"
    if any(unicodedata.category(c) == "Cc" for c in pattern):
        return f"{shown}: a path holds no control characters"
    return ""


def normal(pattern: str) -> str:
    """Return the path as it is kept: without `./`, double and trailing slashes; `.` is everything."""
    return "/".join(part for part in pattern.strip().split("/") if part not in ("", ".")) or ANY


def overlap(one: str, other: str) -> bool:
    """Return whether there may be a file that both mean. When in doubt they do.

    A path stands for itself and all below it. `*` and `?` match within a part, `**` any parts; `[…]` is taken for any
    character, and letters for both their cases, as some file systems do.
    """
    return _meet(_parts(one), _parts(other))


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFC", normal(pattern)).lower()
    # What is in brackets may hold what it likes, but a slash.
    parts = [re.sub(r"\[!?\]?[^\]/]*\]", "?", part) for part in folded.split("/")]
    return (*(ANY if set(part) == {"*"} and len(part) > 1 else part for part in parts), ANY)


def _meet(one: Sequence[str], other: Sequence[str], star: str = ANY) -> bool:
    """Return whether something fits both, where `star` stands for any run: of parts, or within one of characters."""
    reach, todo = {(0, 0)}, [(0, 0)]
    while todo:
        i, j = todo.pop()
        if i == len(one) and j == len(other):
            return True
        a, b = one[i] if i < len(one) else None, other[j] if j < len(other) else None
        steps = []
        if a == star:
            steps += [(i + 1, j), (i, j + (b is not None))]
        if b == star:
            steps += [(i, j + 1), (i + (a is not None), j)]
        if a is not None and b is not None and star not in (a, b) and (_same(a, b) if star == ANY else _like(a, b)):
            steps.append((i + 1, j + 1))
        fresh = [step for step in steps if step not in reach]
        reach.update(fresh)
        todo += fresh
    return False


@lru_cache(maxsize=4096)
def _same(one: str, other: str) -> bool:
    """Return whether some name fits both parts."""
    if not set("*?") & {*one, *other}:
        return one == other
    if not (one.isascii() and other.isascii()):
        # A letter may be written as two.
        one, other = one.replace("?", "*"), other.replace("?", "*")
    return _meet(one, other, "*")


def _like(one: str, other: str) -> bool:
    return one == other or "?" in (one, other)
