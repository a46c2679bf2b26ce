"""No module is too small to be a room: what is short, and used by one other of its room, belongs into that one."""

import ast
import tomllib
from collections import defaultdict
from functools import cache

from swarm_tui.cli.group import COMMANDS
from tests.unit.house.pages import ROOT, statements

PACKAGE = ROOT / "swarm_tui"
#: Lines from which a module may stand alone, whoever uses it.
LARGE = 60

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


@cache
def importers() -> dict[str, set[str]]:
    """Return each module with those of ours that name it in an import, wherever in them it stands."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, path in MODULES.items():
        for node in statements(path):
            if isinstance(node, ast.Import):
                named = {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                within = {f"{node.module}.{each.name}" for each in node.names}
                named = (within & MODULES.keys()) | ({node.module} if within - MODULES.keys() else set())
            else:
                continue
            for module in named & MODULES.keys():
                found[module].add(name)
    return found


def room(module: str) -> str:
    """Return the part of the package that import contracts are about: `swarm_tui.cli`, `swarm_tui.domain`."""
    return ".".join(module.split(".")[:2])


def doors() -> set[str]:
    """Return what is no part of another by what it is: commands, and what the package's scripts start."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].values()
    commands = {f"swarm_tui.cli.{name.replace('-', '_')}" for name in COMMANDS}
    return commands | {target.partition(":")[0] for target in scripts}


def small_rooms() -> set[str]:
    """Return the modules that belong into the only one that imports them.

    Where that one is of another room, the border between the two is why the module stands alone.
    """
    found = set()
    for module, users in importers().items():
        path = MODULES[module]
        alone = len(users) == 1 and room(*users) == room(module)
        if alone and path.name != "__init__.py" and path.read_text().count("\n") < LARGE:
            found.add(module)
    return found - doors()


def test_no_module_is_too_small_to_stand_alone() -> None:
    assert small_rooms() == set()


def test_importers_are_counted() -> None:
    found = importers()
    assert found["swarm_tui.domain.scaling"] == {"swarm_tui.supervisor.scaler"}
    assert "swarm_tui.cli.restart" in found["swarm_tui.cli.start"]
    assert len(found["swarm_tui.protocol.text"]) > 10
