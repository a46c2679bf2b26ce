"""How the code is written: docstrings that begin with the thing, rooms of a sensible size, one name for one thing.

What a linter checks is in pyproject.toml (`C901`, `PLR0912`); here is what none does.
"""

import ast
import gc
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.house.pages import ROOT, statements

FILES = sorted((ROOT / "swarm_tui").rglob("*.py"))
#: Words that ask instead of saying.
ASKING = frozenset({"What", "Who", "One", "Those", "How", "Whether", "That", "Which"})
MOST_LINES, MOST_BRANCHES, MOST_METHODS = 400, 20, 30
#: Every handler has its own of these, by that name.
OF_EACH_HANDLER = frozenset({"Payload", "Options"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Return every module, class and function of the package, with the file: read once, and only where a test asks."""
    wanted = ast.Module | ast.ClassDef | Function
    found = [(path, node) for path in FILES for node in statements(path) if isinstance(node, wanted)]
    gc.freeze()  # These trees stay, so that no collection need walk them again: pytest makes five at its end alone.
    return found


def over(counts: Iterable[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """Return those that are over the limit."""
    return [(name, count) for name, count in counts if count > most]


def place(path: Path, node: ast.AST | None = None) -> str:
    line = getattr(node, "lineno", None)
    return f"{path.relative_to(ROOT)}{f':{line}' if line else ''}"


def documented() -> Iterator[tuple[Path, ast.AST, str]]:
    """Each docstring of a module, class, function or field, with its place."""
    for path, node in nodes():
        if isinstance(node, ast.Module | ast.ClassDef | Function) and (text := ast.get_docstring(node, clean=False)):
            yield path, node, text
        if isinstance(node, ast.Module | ast.ClassDef):
            for field, below in pairwise(node.body):
                said = below.value if isinstance(below, ast.Expr) else None
                if isinstance(field, ast.AnnAssign | ast.Assign) and isinstance(said, ast.Constant):
                    yield path, said, str(said.value)


def branches(function: Function) -> int:
    """Return how many ways lead through a function; and, or, comprehensions and `x if y` count, functions in it not."""
    ways, todo = 1, list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        todo.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.If | ast.IfExp | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.Assert):
            ways += 1
        elif isinstance(node, ast.BoolOp):
            ways += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            ways += 1 + len(node.ifs)
        elif isinstance(node, ast.match_case) and not (
            isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None
        ):
            ways += 1
    return ways


def test_a_docstring_begins_with_the_thing() -> None:
    wrong = [
        f"{place(path, node)}: {text.strip().splitlines()[0][:80]}"
        for path, node, text in documented()
        if text.split() and text.split()[0].rstrip(":,.;") in ASKING
    ]
    assert wrong == [], "say what it does or is: Return …, Seconds between …"


def test_no_module_is_too_long() -> None:
    lines = [(place(path), path.read_text().count("\n")) for path in FILES]
    assert over(lines, MOST_LINES) == []


def test_no_function_branches_too_often() -> None:
    found = [(f"{place(path)} {node.name}", branches(node)) for path, node in nodes() if isinstance(node, Function)]
    assert over(found, MOST_BRANCHES) == []


def test_no_class_has_too_many_methods() -> None:
    found = [
        (f"{place(path)} {node.name}", sum(isinstance(each, Function) for each in node.body))
        for path, node in nodes()
        if isinstance(node, ast.ClassDef)
    ]
    assert over(found, MOST_METHODS) == []


def test_no_two_classes_of_a_package_share_a_name() -> None:
    named: dict[str, list[str]] = defaultdict(list)
    for path, node in nodes():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if "handlers" in path.parts and node.name in OF_EACH_HANDLER:
                continue
            named[f"{place(path.parent)}: {node.name}"].append(place(path, node))
    assert {name: places for name, places in named.items() if len(places) > 1} == {}


def test_the_quick_run_tries_every_property_less_often() -> None:
    fixed = [
        place(path)
        for folder in ("unit", "sim")
        for path in sorted((ROOT / "tests" / folder).rglob("*.py"))
        if re.search(r"max_examples=\d", path.read_text())
    ]
    assert fixed == [], "write max_examples=examples(100): `make quick` then tries fewer"


@pytest.mark.parametrize(
    ("code", "ways"),
    [
        ("pass", 1),
        ("if a and b or c:\n  pass", 4),
        ("x = [y for y in z if y if not y]", 4),
        ("x = 1 if y else 2", 2),
        ("match x:\n  case 1: pass\n  case _: pass", 2),
        ("try:\n  pass\nexcept E:\n  pass", 2),
        ("def g():\n  if a: pass", 1),
    ],
)
def test_branches_are_counted(code: str, ways: int) -> None:
    lines = code.replace("\n", "\n  ")
    (function,) = ast.parse(f"def f():\n  {lines}").body
    assert isinstance(function, Function)
    assert branches(function) == ways
