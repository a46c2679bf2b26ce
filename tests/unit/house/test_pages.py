"""The pages for people name files, symbols and links that are there."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from swarm_tui.config.load import load_layout
from tests.unit.house.pages import DOCS, ROOT, fences, section

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
_PATH = re.compile(r"(?:swarm_tui|tests|docs|layouts)(?:/[\w.-]+)*/[\w.-]+|(?:swarm_tui|tests)/\w+")
_DOTTED = re.compile(r"swarm_tui(?:\.\w+)+")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def defined(path: Path) -> set[str]:
    """Return the names that a module defines at its top, and `Class.member` for those of its classes."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        for name in _names(node):
            found.add(name)
            if isinstance(node, ast.ClassDef):
                found |= {f"{name}.{member}" for each in node.body for member in _names(each)}
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def wrong_path(word: str) -> str | None:
    """Why a path, or a `path.py:symbol`, is not there; None when it is, and for what is no path of ours."""
    path, _, symbol = word.partition(":")
    if not _PATH.fullmatch(path):
        return None
    if not (ROOT / path).exists():
        return f"{path} is not there"
    if symbol and symbol not in defined(ROOT / path):
        return f"{path} defines no {symbol}"
    return None


def wrong_name(word: str) -> str | None:
    """Why a dotted name cannot be imported; None when it can, and for what is none of ours."""
    if word == "swarm_tui.handlers" or not _DOTTED.fullmatch(word):
        return None  # An entry point's group is no module.
    module, rest = word, ""
    while module:
        try:
            found: object = import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest = f"{last}.{rest}".strip(".")
            continue
        for name in filter(None, rest.split(".")):
            if not hasattr(found, name):
                return f"{module} has no {rest}"
            found = getattr(found, name)
        return None
    return f"{word} cannot be imported"


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def wrong_link(page: Path, target: str) -> str | None:
    """Why a link leads nowhere; None when it leads somewhere, or away from here."""
    if re.match(r"[a-z]+:", target):
        return None
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists():
        return f"{target} is not there"
    if anchor and anchor not in anchors(there):
        return f"{there.name} has no heading for #{anchor}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    words = re.findall(r"`([^`\s]+)`", text)
    links = _LINK.findall(text)
    wrong = [*map(wrong_path, words), *map(wrong_name, words), *(wrong_link(page, link) for link in links)]
    assert [why for why in wrong if why] == []


def test_a_wrong_word_is_found() -> None:
    assert wrong_path("swarm_tui/domain/nowhere.py") == "swarm_tui/domain/nowhere.py is not there"
    assert wrong_path("swarm_tui/protocol/raw.py:NOTHING") == "swarm_tui/protocol/raw.py defines no NOTHING"
    assert wrong_path("swarm_tui/protocol/raw.py:MAX_BYTES") is None
    assert wrong_path("swarm_tui/protocol/writer.py:Writer.message") is None
    assert wrong_name("swarm_tui.protocol.raw.NOTHING") == "swarm_tui.protocol.raw has no NOTHING"
    assert wrong_name("swarm_tui.protocol.raw.MAX_BYTES") is None
    assert wrong_link(ROOT / "README.md", "docs/none.md") == "docs/none.md is not there"
    assert wrong_link(ROOT / "README.md", "#nothing-of-this") == "README.md has no heading for #nothing-of-this"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in _LINK.findall(page.read_text()))
        todo += [there for link in links if link.endswith(".md") and (there := (page.parent / link).resolve()).exists()]
    assert set(PAGES) - reached == set()


def test_a_section_ends_where_the_next_begins() -> None:
    text = "# a\n## b\nx\n```\n# no heading\n```\n### c\ny\n## d\nz"
    assert section(text, "## b") == "x\n```\n# no heading\n```\n### c\ny"


def test_the_layouts_of_the_readme_are_valid_and_of_two_swarms(tmp_path: Path) -> None:
    """Who copies both has two layouts; one that helps another swarm would not stand in its place."""
    swarms = []
    for _, text in fences((ROOT / "README.md").read_text(), "yaml"):
        path = tmp_path / "layout.yml"
        path.write_text(text)
        swarms.append(load_layout(path, {}, cwd=tmp_path).layout.swarm)
    assert swarms == ["mine", "farm"]
