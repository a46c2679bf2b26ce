"""Checks of a changed file that run nothing: syntax, conflict marks, debt, size."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

from msgspec import Struct

from swarm_tui.agent.handlers.files import decoded
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.review.change import CODE
from swarm_tui.agent.handlers.review.diff import FileChange
from swarm_tui.agent.handlers.review.syntax import parse_python, syntax_error

_DEBT = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b[:( ]?(.*)")
_COMMENT = re.compile(r"(?:#|//|/\*|--|<!--|;)(.*)")
_CONFLICT = re.compile(r"^(<{7} |>{7} |\|{7} )")


class Limits(Struct, frozen=True, kw_only=True):
    """Lines from which a function, a file or a whole change is called too large."""

    function: int = 80
    file: int = 600
    change: int = 800


def check_file(
    change: FileChange, data: bytes, before: bytes | None, limits: Limits, with_comments: Iterable[str] = ()
) -> list[Finding]:
    """Return all that is wrong with the new lines of one file.

    `before` is its old bytes, None for a new file; `with_comments` further patterns of JSON that allows them.
    """
    text, old_text = decoded(change.path, data), decoded(change.path, before or b"")
    found = [*_syntax(change, data, before, with_comments), *_conflicts(change), *_debt(change, text)]
    if change.path.endswith(".py"):
        found += _functions(change, data, before, limits.function)
    lines, old = text.count("\n"), old_text.count("\n")
    if lines > limits.file and lines > old and change.path.rpartition(".")[2] in CODE:
        first = min(change.added, default=1)
        found.append(_finding(change, first, "warning", "long-file", f"the file has {lines} lines, over {limits.file}"))
    return found


def _finding(change: FileChange, line: int, severity: Severity, code: str, message: str) -> Finding:
    return Finding(file=change.path, line=line, severity=severity, code=code, message=message, tool="review")


def _syntax(change: FileChange, data: bytes, before: bytes | None, with_comments: Iterable[str]) -> Iterator[Finding]:
    error = syntax_error(change.path, data, with_comments)
    if error is None:
        return
    line, reason = error
    # A change may break the file on a line that it did not touch; what was broken before is not its doing.
    if line in change.added or before is None or syntax_error(change.path, before, with_comments) is None:
        yield _finding(change, line, "error", "syntax", f"syntax error: {reason}")


def _conflicts(change: FileChange) -> Iterator[Finding]:
    for number, line in change.added.items():
        if _CONFLICT.match(line):
            yield _finding(change, number, "error", "conflict", "a merge conflict mark was left in")


def _debt(change: FileChange, text: str) -> Iterator[Finding]:
    for number, comment in _comments(change, text):
        if match := _DEBT.search(comment):
            said = match[2].strip(" :)*/->")[:120]
            yield _finding(change, number, "info", "debt", f"{match[1]} added" + (f": {said}" if said else ""))


def _comments(change: FileChange, text: str) -> Iterator[tuple[int, str]]:
    """Give the comments on new lines; of Python by its own tokens, so that a string is none."""
    suffix = change.path.rpartition(".")[2]
    if suffix in ("py", "pyi"):
        try:
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.type == tokenize.COMMENT and token.start[0] in change.added:
                    yield token.start[0], token.string
        except (tokenize.TokenError, SyntaxError, RecursionError):
            return
    elif suffix in CODE or suffix in ("yml", "yaml", "toml", "html", "css"):
        for number, line in change.added.items():
            if match := _COMMENT.search(line):
                yield number, match[1]


def _functions(change: FileChange, data: bytes, before: bytes | None, limit: int) -> Iterator[Finding]:
    sizes = _function_sizes(data)
    old = {name: last - first + 1 for name, (first, last) in _function_sizes(before or b"").items()}
    for name, (first, last) in sizes.items():
        size = last - first + 1
        touched = [line for line in change.added if first <= line <= last]
        if size > limit and touched and size > old.get(name, 0):
            message = f"{name} has {size} lines, over {limit}: split it"
            yield _finding(
                change, first if first in change.added else min(touched), "warning", "long-function", message
            )


def _function_sizes(data: bytes) -> dict[str, tuple[int, int]]:
    """Map each function's dotted name to its first and last line; empty for a file that does not parse."""
    found: dict[str, tuple[int, int]] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}".lstrip(".")
                if not isinstance(child, ast.ClassDef):
                    found[name] = (child.lineno, child.end_lineno or child.lineno)
            walk(child, name)

    try:
        walk(parse_python(data), "")
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return found
