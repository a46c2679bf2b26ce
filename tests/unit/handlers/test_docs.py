"""documentation.generate: the page it writes, what is undocumented, which links are broken."""

import sys

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


HTML = """# A

<p align="center">
  <img alt="x > y"
       src="logo.png"> <!-- <img src="hidden.png"> -->
</p>

Text <img src='gone.png'/> and <a href="#here">here</a> and
<a href="#nowhere">there</a>, <picture><source srcset="a.png 1x, b.png 2x"></picture>

<h2 id="here">Here</h2>

## <span id="deep"></span>Deep

[to](#deep) [by words](#deep) <a name=plain></a> [p](#plain)

`<img src="code.png">`
"""


def test_html_in_a_page_counts(bench):
    bench.write("docs/more.md", HTML)
    bench.write("docs/a.png", "")
    bench.write("other.md", "[x](docs/more.md#here) [y](docs/more.md#HERE) [z](docs/more.md#gone)\n")
    result = bench.run(Generate(), "documentation.generate")
    links = {(f["file"], f["line"], f["message"]) for f in result["findings"] if f["code"] == "broken-link"}
    assert links == {
        ("docs/more.md", 4, "logo.png is not there"),
        ("docs/more.md", 8, "gone.png is not there"),
        ("docs/more.md", 9, "#nowhere: no heading of that name"),
        ("docs/more.md", 9, "b.png is not there"),
        ("other.md", 1, "docs/more.md#gone: no heading of that name"),
    }


def test_a_page_of_anothers_is_never_written_over(project):
    project.write("docs/api.md", "# By hand\n")
    with pytest.raises(HandlerError, match=r"docs/api\.md is there and was not written by") as caught:
        project.run(Generate(), "documentation.generate")
    assert caught.value.code == "not-ours"
    assert (project.workdir / "docs/api.md").read_text() == "# By hand\n"
    (project.workdir / "docs/api.md").unlink()
    for _ in range(2):
        assert project.run(Generate(), "documentation.generate")["output"] == "docs/api.md"
    assert project.run(Generate(), "documentation.generate", {"output": None})["output"] is None


def test_source_is_decoded_as_python_does(bench):
    bench.write("app.py", "")
    (bench.workdir / "app.py").write_bytes(b'# coding: latin-1\n"""Caf\xe9."""\n')
    (bench.workdir / "mark.py").write_bytes(b'\xef\xbb\xbf"""Mark."""\n')
    result = bench.run(Generate(), "documentation.generate")
    assert result["findings"] == []
    assert "Café." in (bench.workdir / "docs/api.md").read_text()


def test_nothing_to_document_is_no_pass(bench):
    bench.write("README.md", "# App\n")
    result = bench.run(Generate(), "documentation.generate")
    assert (result["verdict"], result["summary"]) == ("unknown", "no Python source to document, 0 broken links")


def test_a_model_that_is_down_costs_the_draft_only(project, monkeypatch):
    async def ask(*_):
        raise HandlerError("it did not answer", code="llm", retryable=True)

    monkeypatch.setattr("swarm_tui.agent.handlers.docs.generate.ask", ask)
    options = {"llm": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    result = project.run(Generate(), "documentation.generate", options=options)
    assert result["model"] == {"used": False, "reason": "it did not answer"}
    assert (project.workdir / "docs/api.md").exists()


def test_an_agents_cli_drafts_the_introduction_and_may_only_read(project):
    (project.workdir / "said.py").write_text(
        "import sys\nprompt = sys.stdin.read()\nassert 'The outline' in prompt\nprint('It adds numbers.')\n"
    )
    reader = {"argv": [sys.executable, "said.py"], "modes": {"read": []}}
    options = {"cli": "reader", "clis": {"reader": reader}}
    result = project.run(Generate(), "documentation.generate", options=options)
    assert (result["model"]["used"], result["model"]["model"]) == (True, "reader"), result["model"]
    page = (project.workdir / "docs/api.md").read_text()
    assert "It adds numbers.\n\n*Drafted by reader.*" in page


def test_an_agents_cli_that_is_missing_costs_the_draft_only(project):
    gone = {"argv": ["no-such-cli"], "modes": {"read": []}}
    options = {"cli": "gone", "clis": {"gone": gone}}
    result = project.run(Generate(), "documentation.generate", options=options)
    assert result["model"]["used"] is False
    assert "no-such-cli is not installed" in result["model"]["reason"]
    assert (project.workdir / "docs/api.md").exists()
