"""docs/handlers.md: its handler passes its tests, its layouts are valid, its entry point is found."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from swarm_tui.agent.handlers import registry
from swarm_tui.config.load import load_layout
from tests.unit.house.pages import ROOT, fences, read

PAGE = read("handlers.md")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project made of the page's files."""
    for name, body in fences(PAGE, "python"):
        (tmp_path / name).write_text(body)
    return tmp_path


def test_the_pages_tests_pass(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wordcount.py"],
        cwd=project, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"{len(re.findall('^def test_', (project / 'test_wordcount.py').read_text(), re.MULTILINE))} passed"
        in done.stdout
    )


def test_the_pages_layouts_are_valid(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project)
    (program, by_class) = (body for _, body in fences(PAGE, "yaml"))
    head = "swarm: mine\nbroker: {url: 'mqtt://127.0.0.1:1'}\n"
    (project / "program.yml").write_text(head + program)
    loaded = load_layout(project / "program.yml")
    assert loaded.layout.agents[0].handlers["site.build"].timeout == 600
    (project / "class.yml").write_text(f"{head}agents:\n  - role: general\n{by_class}")
    (handler,) = load_layout(project / "class.yml").layout.agents[0].handlers.items()
    assert handler[0] == "text.count"
    from wordcount import WordCount  # type: ignore[import-not-found]

    with registry.provided({"text.count": WordCount}):
        assert registry.check_options(*handler) is None
        assert registry.about("text.count") == "Counts the words of a file."


def test_the_entry_point_is_of_our_group_and_names_the_class(project: Path) -> None:
    ((_, text),) = fences(PAGE, "toml")
    points = tomllib.loads(text)["project"]["entry-points"][registry.ENTRY_POINTS]
    assert points == {"text.count": "wordcount:WordCount"}
    assert "class WordCount:" in (project / "wordcount.py").read_text()
    assert yaml.safe_load(fences(PAGE, "yaml")[1][1])["handlers"].keys() == points.keys()
