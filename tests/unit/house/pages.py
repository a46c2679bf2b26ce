"""The pages under `docs/`, taken apart: sections, tables and fenced blocks; and the code that they are held against."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)


def read(name: str) -> str:
    """Return the text of a page of `docs/`."""
    return (DOCS / name).read_text()


def section(text: str, heading: str) -> str:
    """Return what stands under a heading (`## Topics`), to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    lines = text.split("\n")
    begin = lines.index(heading) + 1
    fenced = False
    for at, line in enumerate(lines[begin:], begin):
        fenced ^= line.startswith("```")
        if not fenced and re.match(rf"#{{1,{level}}} ", line):
            return "\n".join(lines[begin:at])
    return "\n".join(lines[begin:])


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row of the tables in `text`, without their heads."""
    found: list[list[str]] = []
    head = False
    for line in text.split("\n"):
        if not line.startswith("|"):
            head = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not head:
            head = True
        elif not set("".join(cells)) <= {"-", ":"}:
            found.append(cells)
    return found


def fences(text: str, *info: str) -> list[tuple[str, str]]:
    """Return the fenced blocks whose first word is one of `info`: the rest of the line, and what stands in it."""
    blocks = re.findall(r"^```(\S+)([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(more.strip(), body) for word, more, body in blocks if word in info]


def statements(path: Path) -> Iterator[ast.AST]:
    """Yield a file's module and all statements in it, and no expressions: those are most of it, and hold none."""
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, _STATEMENTS))
