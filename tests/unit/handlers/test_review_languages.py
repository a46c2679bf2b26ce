"""code.review judges each file as the program that reads it does, and names what nothing here can read."""

import json
import shutil
import stat

import msgspec
import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.models.client import Answer
from swarm_tui.agent.handlers.review import languages
from swarm_tui.agent.handlers.review.model import parse
from swarm_tui.agent.handlers.review.review import Review
from swarm_tui.agent.handlers.review.syntax import syntax_error, without_comments
from swarm_tui.config.model import HandlerSpec

LLM = {"llm": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}}


@pytest.fixture
def project(bench):
    bench.write("app.py", '"""App."""\n')
    bench.commit()
    return bench


def comments(result):
    return {(c["file"], c["line"], c["code"], c["severity"]) for c in result["comments"]}


def review(project, **more):
    return project.run(Review(), "code.review", **more)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xef\xbb\xbfx = 1\n", None),
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", None),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '\x93'\n", None),
        (b"x = 1\ny = '\x93'\n", 2),
        (b"# coding: no-such\nx = 1\n", 1),
        (b"# coding: ascii\nx = '\xe9'\n", 1),
        ("x = 'é'\r\n".encode(), None),
        (b"x = (\n", 1),
    ],
)
def test_python_is_decoded_as_python_does(project, data, line):
    (project.workdir / "new.py").write_bytes(data)
    result = review(project)
    assert comments(result) == ({("new.py", line, "syntax", "error")} if line else set())
    assert result["approved"] is (line is None)


def test_ruff_reads_what_is_declared(project):
    (project.workdir / "new.py").write_bytes(b"# coding: latin-1\nx = '\xe9'\ny = missing\n")
    assert comments(review(project)) == {("new.py", 3, "F821", "error")}


def test_syntax_of_a_newer_python_is_no_error(project):
    project.write(
        "new.py", "def first[T](items: list[T]) -> T:\n    return items[0]\n\n\ntype Pair = tuple[int, int]\n"
    )
    assert comments(review(project)) == set()
    project.write("pyproject.toml", '[project]\nrequires-python = ">=3.11"\n')
    assert ("new.py", 1, "syntax", "error") in comments(review(project))


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("tsconfig.json", '{\n  // for tools\n  "a": "//no", /* b */ "c": [1, 2,],\n}\n', None),
        ("web/tsconfig.build.json", '{"a": 1,}', None),
        (".vscode/settings.json", "{\n  // x\n}", None),
        ("x.jsonc", '{"a": ",]" /* ', 1),
        ("tsconfig.json", '{\n  // x\n  "a": nope\n}\n', 3),
        ("package.json", '{\n  // no\n  "a": 1\n}\n', 2),
        ("big.json", '{"n": ' + "9" * 5000 + "}", None),
        ("nan.json", '{"n": NaN}', 1),
        ("bom.json", '\ufeff{"a": 1}', None),
        ("ci.yml", "on: push\njobs:\n  a:\n    if: ${{ github.event_name == 'x' }}\n    steps: [\n", 6),
        ("ok.yml", "a: ${{ matrix.os }}\nb: [x, y]\n", None),
        ("chart.yaml", "a: {{ .Values.x }}\n{{- if .b }}\nc: 1\n{{- end }}\n", None),
        ("tags.yml", "a: !Ref x\n--- \nb: !vault |\n  x\n", None),
        ("conf.toml", "a = 1\na = 2\n", 2),
    ],
)
def test_data_files(project, path, text, line):
    project.write(path, text)
    assert comments(review(project)) == ({(path, line, "syntax", "error")} if line else set())


def test_a_layout_names_json_with_comments(project):
    project.write("conf/app.json", "{ // x\n}\n")
    assert not review(project)["approved"]
    assert review(project, options={"json_comments": ["conf/*.json"]})["approved"]


def test_comments_keep_their_lines():
    text = '{\n/* a\n b */ "x": "a // b \\" , }", // c\n "y": [1 , ] , }'
    assert without_comments(text).count("\n") == text.count("\n")
    assert '"a // b \\" , }"' in without_comments(text)


@pytest.mark.parametrize(("text", "code"), [("select = [\n", None), ('[lint]\nselect = ["NOPE"]\n', "ruff-config")])
def test_a_broken_configuration_of_ruffs_is_a_finding(project, text, code):
    project.write("ruff.toml", text)
    project.write("new.py", "x = missing\n")
    found = comments(review(project))
    assert ("new.py", 1, "F821", "error") in found
    assert {(file, severity) for file, _, _, severity in found} == {("ruff.toml", "error"), ("new.py", "error")}
    assert code is None or code in {name for _, _, name, _ in found}
    project.commit()
    project.write("new.py", "x = absent\n")
    result = review(project)
    assert ("ruff.toml", "ruff-config", "warning") in {(f, c, s) for f, _, c, s in comments(result)}


def test_what_a_configuration_extends_comes_along(project):
    project.write("conf/base.toml", '[lint]\nselect = ["D100"]\n')
    project.write("ruff.toml", 'extend = "conf/base.toml"\n')
    project.commit()
    project.write("new.py", "x = 1\n")
    assert comments(review(project)) == {("new.py", 1, "D100", "warning")}


def test_rules_that_look_at_other_files_see_them(project):
    project.write("ruff.toml", 'lint.select = ["INP", "I"]\n')
    project.write("pkg/__init__.py", "")
    project.write("pkg/a.py", "import os\n\nimport pkg.b\n\nprint(os, pkg.b)\n")
    project.write("pkg/b.py", "")
    project.commit()
    assert review(project, payload={"head": "HEAD"})["comments"] == []


# -- other languages


def have(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not here")


BROKEN = [
    pytest.param("a.js", "const a = ;\n", 1, marks=have("node")),
    pytest.param("a.mjs", "export const a = 1;\nexport const b = ;\n", 2, marks=have("node")),
    pytest.param("esm.js", 'import x from "y";\n\nx(;\n', 3, marks=have("node")),
    pytest.param("a.sh", "#!/bin/sh\nif true; then\n  echo\n", 4, marks=have("shellcheck")),
    pytest.param("bin/run", "#!/usr/bin/env bash\nif true; then\n  echo\n", 4, marks=have("shellcheck")),
    pytest.param("a.go", "package main\n\nfunc main() { x := }\n", 3, marks=have("gofmt")),
    pytest.param("a.rs", "mod other;\nfn main() { let x = 1 let y = 2; }\n", 2, marks=have("rustfmt")),
]
WELL = [
    pytest.param("a.js", "#!/usr/bin/env node\nmodule.exports = 1;\n", marks=have("node")),
    pytest.param("esm.js", 'import x from "y";\nexport default x;\n', marks=have("node")),
    pytest.param("a.sh", ". ./other.sh\nrun\n", marks=have("shellcheck")),
    pytest.param("a.go", "package main\nfunc main() {   }\n", marks=have("gofmt")),
    pytest.param("a.rs", "mod other;\nfn main() {   }\n", marks=have("rustfmt")),
]


@pytest.mark.parametrize(("path", "text", "line"), BROKEN)
def test_what_the_tools_here_say(project, path, text, line):
    project.write(path, text)
    result = review(project)
    assert (path, line) in {(c["file"], c["line"]) for c in result["comments"] if c["severity"] == "error"}
    assert (result["approved"], result["unchecked"]) == (False, [])


@pytest.mark.parametrize(("path", "text"), WELL)
def test_what_the_tools_here_let_pass(project, path, text):
    project.write(path, text)
    result = review(project)
    assert (comments(result), result["approved"], result["unchecked"]) == (set(), True, [])


@have("node")
def test_what_was_broken_before_is_not_the_changes_doing(project):
    project.write("old.js", "const a = ;\n\nconst b = 1;\n")
    project.write("good.js", "f(\n  1);\n\nconst b = 1;\n")
    project.commit()
    project.write("old.js", "const a = ;\n\nconst b = 2;\n")
    assert comments(review(project)) == set()
    project.write("good.js", "f(\n  1);\n\nconst b = 1;\n})\n")
    assert comments(review(project)) == {("good.js", 5, "node", "error")}


@have("node")
def test_a_dialect_that_the_tool_does_not_know_is_unchecked(project):
    project.write("view.js", "export const view = <div/>;\n")
    result = review(project)
    assert (result["comments"], result["unchecked"]) == ([], ["view.js: it holds JSX, which node does not read"])


def test_files_that_nothing_checks_are_named(project, monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "gofmt" else which(name, **more))
    project.write("a.go", "package main\n")
    project.write("style.css", "a {")
    project.write("README.md", "# Read\n")
    project.write("new.py", "x = 1\n")
    result = review(project)
    assert result["unchecked"] == [
        "a.go: gofmt is not installed here: run `sudo apt-get install -y golang-go`",
        "style.css: nothing here checks files of its kind",
    ]
    assert (result["approved"], "2 without a check" in result["summary"]) == (True, True)


def test_a_change_of_which_nothing_was_checked_is_not_approved(project):
    project.write("style.css", "a {")
    result = review(project)
    assert (result["verdict"], result["approved"], result["comments"]) == ("unknown", False, [])
    assert "nothing in it could be checked" in result["summary"]


def tool(project, name, body):
    path = project.write(name, f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_layout_brings_its_own_check(project):
    tool(project, "lint", 'for f in "$@"; do echo "$f:2:1: never that"; done; exit 1')
    project.commit()
    project.write("a.cfg", "x\ny\n")
    check = {
        "name": "mine",
        "language": "cfg",
        "files": ["*.cfg"],
        "severity": "warning",
        "where": "project",
        "command": ["./lint", "{files}"],
        "finding": r"^(?P<file>.+?):(?P<line>\d+):\d+: (?P<message>.+)$",
    }
    result = review(project, options={"checks": [check]})
    assert comments(result) == {("a.cfg", 2, "mine", "warning")}
    assert result["unchecked"] == []
    project.commit()
    result = review(project, options={"checks": [check]}, payload={"head": "HEAD"})
    assert result["unchecked"] == ["a.cfg: mine reads the working tree only, not a commit"]


def test_a_tool_that_breaks_is_named(project):
    tool(project, "lint", "echo '\033[31mno licence\033[0m' >&2; exit 3")
    project.commit()
    project.write("a.cfg", "x\n")
    check = {"name": "mine", "language": "cfg", "files": ["*.cfg"], "command": [f"{project.workdir}/lint", "{file}"]}
    result = review(project, options={"checks": [{**check, "finding": "^(?P<line>)(?P<message>)$"}]})
    assert result["unchecked"] == ["a.cfg: mine did not answer: exit status 3: no licence"]


def test_each_row_of_the_table_can_be_used():
    for row in languages.CHECKS:
        assert row.stdin or {"{file}", "{files}"} & {*row.command}
        assert row.install


# -- the model


@pytest.mark.parametrize("error", [HandlerError("it did not answer", code="llm", retryable=True)])
def test_a_model_that_is_down_loses_and_approves_nothing(project, monkeypatch, error):
    async def ask(*_):
        raise error

    monkeypatch.setattr("swarm_tui.agent.handlers.review.model.ask", ask)
    project.write("new.py", "x = missing\n")
    result = review(project, options=LLM)
    assert comments(result) == {("new.py", 1, "F821", "error")}
    assert (result["verdict"], result["model"]) == ("failed", {"used": False, "reason": "it did not answer"})
    project.write("new.py", "x = 1\n")
    result = review(project, options=LLM)
    assert (result["verdict"], result["approved"]) == ("unknown", False)
    assert "the model gave no opinion: it did not answer" in result["summary"]


@pytest.mark.parametrize("text", ["Looks good to me!", "{}", '{"error": "overloaded"}', '{"approved": "perhaps"}'])
def test_an_answer_that_is_no_opinion_approves_nothing(project, monkeypatch, text):
    async def ask(*_):
        return Answer(text=text, model="m", tokens_in=1, tokens_out=1, cost=0.0)

    monkeypatch.setattr("swarm_tui.agent.handlers.review.model.ask", ask)
    project.write("new.py", "x = 1\n")
    result = review(project, options=LLM)
    assert (result["verdict"], result["approved"]) == ("unknown", False)
    assert any(text in said for said in result["suggestions"])


def test_a_model_without_a_key_approves_nothing(project, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    project.write("new.py", "x = 1\n")
    result = review(project, options={"llm": {"model": "m"}})
    assert (result["verdict"], result["approved"]) == ("unknown", False)


def test_an_opinion_among_prose():
    assert parse('I think {so}:\n```json\n{"approved": false, "comments": []}\n```\nAnd {more}') is not None
    assert parse("{" * 100_000) is None
    assert parse('{"a":' * 100_000) is None


def test_what_no_parser_can_take():
    assert syntax_error("x.json", b"[" * 200_000) is not None
    assert syntax_error("x.py", b"(" * 9000) is not None
    assert syntax_error("x.toml", b"a = " + b"[" * 9000) is not None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"finding": "("}, "`finding` is no pattern"),
        ({"command": ["lint"]}, "names neither {file} nor {files}"),
        ({"finding": "x"}, "names no group `line`"),
        ({"nonsense": 1}, "unknown field"),
    ],
)
def test_a_layouts_check_that_cannot_be_used_is_refused(row, words):
    check = {
        "name": "mine",
        "language": "cfg",
        "files": ["*.cfg"],
        "command": ["lint", "{file}"],
        "finding": r"(?P<line>\d+): (?P<message>.+)",
    }
    assert registry.check_options("code.review", HandlerSpec(options={"checks": [check]})) is None
    said = registry.check_options("code.review", HandlerSpec(options={"checks": [{**check, **row}]}))
    assert words in said


def test_no_answer_of_a_model_breaks_the_result(project, monkeypatch):
    comments = [
        {"file": "new.py", "line": 1, "message": "\ud800 \x1b[31mred\x1b[0m"},
        {"file": "\udfff", "line": 1, "message": "x"},
    ]
    text = json.dumps({"approved": True, "comments": comments, "suggestions": ["\ud800\x1b[1m"]})

    async def ask(*_):
        return Answer(text=text, model="m\x1b[31m", tokens_in=1, tokens_out=1, cost=0.0)

    monkeypatch.setattr("swarm_tui.agent.handlers.review.model.ask", ask)
    project.write("new.py", "x = 1\n")
    result = review(project, options=LLM)
    assert b"\\u001b" not in msgspec.json.encode(result)
    assert [c["message"] for c in result["comments"]] == ["\ufffd red"]
