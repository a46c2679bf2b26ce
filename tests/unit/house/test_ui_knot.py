"""The screen's modules form no knot: who wants to read one of them need not read them all."""

import ast
from pathlib import Path

import swarm_tui.ui
from tests.unit.house.pages import statements

ROOT = Path(swarm_tui.ui.__file__).parent
#: Modules that may lead to each other in a circle, those that are imported for types alone counted too.
MOST = 5


def imports() -> dict[str, set[str]]:
    """Each module of `ui/` with those of `ui/` that it names, anywhere in it."""
    names = {
        ".".join(("swarm_tui.ui", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        named: set[str] = set()
        for node in statements(path):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                named |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
            elif isinstance(node, ast.Import):
                named |= {each.name for each in node.names}
        found[name] = {each for each in named if each in names and each != name}
    return found


def knots(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules each of which leads to all others of its group, the largest first."""

    def reach(start: str) -> set[str]:
        seen, todo = {start}, [start]
        while todo:
            for after in graph[todo.pop()] - seen:
                seen.add(after)
                todo.append(after)
        return seen

    reached = {name: reach(name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted((set(group) for group in groups), key=len, reverse=True)


def test_the_largest_knot_is_small() -> None:
    largest = knots(imports())[0]
    assert len(largest) <= MOST, sorted(largest)


def test_a_circle_is_found() -> None:
    assert knots({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})[0] == {"a", "b", "c"}
