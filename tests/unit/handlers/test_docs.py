"""documentation.generate: the page it writes, what is undocumented, which links are broken."""

import pytest

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.docs.generate import Generate
from swarm_tui.agent.handlers.docs.links import anchors

SOURCE = '''"""Sums."""


def add(a: int, *, b: int = 1) -> int:
    """Add [b] to a.

    More.
    """
    return a + b


class Till:
    async def count(self) -> None: ...

    def _private(self) -> None: ...
'''


@pytest.fixture
def project(bench):
    bench.write("src/till.py", SOURCE)
    bench.write("src/empty.py", "")
    bench.write("tests/test_till.py", "def test_it(): ...\n")
    bench.write("README.md", "# Till\n\nSee [the API](docs/api.md#srctillpy)\nand [usage](#usage).\n\n## Usage\n")
    bench.commit()
    return bench


def places(result):
    return {(f["file"], f["line"], f["code"]) for f in result["findings"]}


def test_the_page_and_what_lacks_documentation(project):
    result = project.run(Generate(), "documentation.generate", {"source": "src"})
    page = (project.workdir / result["output"]).read_text()
    assert "### `def add(a: int, *, b: int=1) -> int`\n\nAdd \\[b] to a." in page
    assert "#### `async def Till.count(self) -> None`\n\n*Undocumented.*" in page
    assert "_private" not in page
    assert places(result) == {("src/till.py", 12, "undocumented"), ("src/till.py", 13, "undocumented")}
    assert (result["coverage"], result["documented"], result["total"]) == (50.0, 2, 4)
    assert result["verdict"] == "passed"


def test_the_threshold_decides(project):
    assert project.run(Generate(), "documentation.generate", {"threshold": 51})["verdict"] == "failed"


def test_broken_links_on_their_lines(project):
    text = (
        "# A\n\n[ok](../README.md#usage) and\n![no](x.png)\n\n| a |\n|---|\n| [gone](gone.md) |\n\n[t]\n\n[t]: #none\n"
    )
    project.write(
        "docs/more.md", text + "\n```\n[in code](nowhere.md)\n```\n[out](../../x.md) [web](https://example.invalid/)\n"
    )
    result = project.run(Generate(), "documentation.generate")
    links = {(f["file"], f["line"]) for f in result["findings"] if f["code"] == "broken-link"}
    assert links == {("docs/more.md", n) for n in (4, 8, 10, 17)}
    assert result["verdict"] == "failed"


def test_a_clean_project_gives_nothing(bench):
    bench.write("app.py", '"""App."""\n\n\ndef run() -> None:\n    """Runs."""\n')
    bench.write("README.md", "# App\n\n[source](app.py) [page](docs/api.md)\n")
    result = bench.run(Generate(), "documentation.generate", {"threshold": 100})
    assert (result["findings"], result["coverage"], result["verdict"]) == ([], 100.0, "passed")


def test_a_file_that_does_not_parse_is_named(project):
    project.write("src/bad.py", "x = 1\ndef (\n")
    assert ("src/bad.py", 2, "syntax") in places(project.run(Generate(), "documentation.generate"))


def test_what_no_parser_can_take_is_a_finding(project):
    project.write("src/deep.py", "-" * 7000 + "1\n")
    project.write("src/default.py", '"""D."""\n\n\ndef f(a=' + "-" * 900 + '1):\n    """F."""\n')
    project.write("docs/odd.md", f"[nul](a%00b) [long]({'a' * 5000})\n")
    found = places(project.run(Generate(), "documentation.generate"))
    assert {("src/deep.py", 1, "syntax"), ("docs/odd.md", 1, "broken-link")} <= found
    assert "src/default.py" not in {file for file, _, _ in found}


def test_a_planted_link_does_not_lead_the_page_elsewhere(project, tmp_path):
    (tmp_path / "victim").write_text("mine")
    (project.workdir / "docs").mkdir(exist_ok=True)
    (project.workdir / "docs/.api.md.new").symlink_to(tmp_path / "victim")
    project.run(Generate(), "documentation.generate")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (project.workdir / "docs/api.md").stat().st_mode & 0o044


def test_it_writes_only_within_the_project(project, tmp_path):
    (project.workdir / "out").symlink_to(tmp_path)
    for output in ("../api.md", "/tmp/api.md", "out/api.md"):
        with pytest.raises(HandlerError) as caught:
            project.run(Generate(), "documentation.generate", {"output": output})
        assert caught.value.code == "outside"
    assert not (tmp_path / "api.md").exists()


def test_anchors_are_those_of_forges():
    assert anchors("# A `b` c!\n\n## A b c\n\n<a id='Here'></a>\n") == {"a-b-c", "a-b-c-1", "here"}
