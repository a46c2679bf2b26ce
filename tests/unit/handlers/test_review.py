"""code.review finds what was planted, on the line where it was planted, and nothing in a clean change."""

import shutil
import sys

import pytest

from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.review import diff
from swarm_tui.agent.handlers.review.review import Review

CLEAN = '"""A module."""\n\n\ndef double(number: int) -> int:\n    """Twice the number."""\n    return number * 2\n'
BUGGY = (
    CLEAN
    + '\n\ndef broken(items=[]):\n    """Adds."""\n    items.append(undefined_name)\n'
    + "    # TODO: say why\n    return items\n"
)


@pytest.fixture
def project(bench):
    bench.write("app.py", CLEAN + "\n\nimport os  # an old sin, not of this change\n")
    bench.write("settings.json", '{"a": 1}\n')
    bench.commit("first")
    return bench


def comments(result):
    return {(c["file"], c["line"], c["code"], c["severity"]) for c in result["comments"]}


def test_planted_bugs_in_the_working_tree(project):
    project.write("new.py", BUGGY)
    project.write("settings.json", '{\n  "a": nope\n}\n')
    result = project.run(Review(), "code.review")
    assert comments(result) == {
        ("new.py", 9, "B006", "error"),
        ("new.py", 11, "F821", "error"),
        ("new.py", 12, "debt", "info"),
        ("settings.json", 2, "syntax", "error"),
    }
    assert not result["approved"]
    assert result["verdict"] == "failed"
    assert result["model"]["used"] is False
    assert "options: {llm" in result["model"]["reason"]


def test_only_changed_lines_are_judged(project):
    project.write("app.py", CLEAN + "\n\nimport os  # an old sin, not of this change\n\nVALUE = missing\n")
    head = project.commit("more")
    result = project.run(Review(), "code.review", {"base": "HEAD~1", "head": "HEAD"})
    assert comments(result) == {("app.py", 11, "F821", "error")}
    assert result["head"] == head


def test_a_clean_change_is_approved(project):
    project.write("more.py", CLEAN)
    project.commit("clean")
    result = project.run(Review(), "code.review", {"head": "main", "base": "main~1"})
    assert result["approved"]
    assert result["comments"] == []
    assert result["lines_added"] == 6


def test_syntax_error_on_a_line_that_was_not_touched(project):
    project.write("app.py", "x = (\n" + CLEAN)
    result = project.run(Review(), "code.review")
    assert [c["code"] for c in result["comments"]] == ["syntax"]
    assert not result["approved"]


def test_conflict_marks_long_functions_and_large_files(project):
    body = "".join(f"    x{n} = {n}\n" for n in range(90))
    project.write("long.py", f'"""Long."""\n\n\ndef long() -> None:\n{body}')
    project.write("notes.txt", "a\n<<<<<<< HEAD\nb\n")
    result = project.run(Review(), "code.review", options={"limits": {"file": 50, "change": 40}})
    found = {(c["file"], c["line"], c["code"]) for c in result["comments"] if c["tool"] == "review"}
    assert found == {
        ("long.py", 4, "long-function"),
        ("long.py", 1, "long-file"),
        ("notes.txt", 2, "conflict"),
    }
    assert len(result["suggestions"]) == 1


def test_the_projects_own_rules_count(project):
    project.write("ruff.toml", 'lint.select = ["D100"]\n')
    project.commit("rules")
    project.write("bare.py", "VALUE = missing\n")
    assert [c["code"] for c in project.run(Review(), "code.review")["comments"]] == ["D100"]


def test_odd_names_and_renames(project):
    project.git("mv", "app.py", "a b.py")
    project.write('quo"te.py', "VALUE = missing\n")
    project.commit("names")
    result = project.run(Review(), "code.review", {"head": "HEAD"})
    assert comments(result) == {('quo"te.py', 1, "F821", "error")}


def test_without_ruff_there_is_no_verdict(project, monkeypatch):
    project.write("new.py", BUGGY)
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "ruff" else found(name, **more))
    with pytest.raises(MissingToolError, match="pip install") as caught:
        project.run(Review(), "code.review")
    assert [c["code"] for c in caught.value.result["comments"]] == ["debt"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"repo": ".."}, "outside"),
        ({"repo": "nowhere"}, "not-found"),
        ({"base": "--output=/tmp/x", "head": "HEAD"}, "no-commit"),
        ({"head": "nothing"}, "no-commit"),
        ({"pr": 7}, "no-commit"),
        ({"repo": 7}, "bad-payload"),
    ],
)
def test_bad_payloads_say_what_is_wrong(project, payload, code):
    with pytest.raises(HandlerError) as caught:
        project.run(Review(), "code.review", payload)
    assert caught.value.code == code


def test_a_folder_without_git_is_refused(bench):
    bench.git("init", "-q")
    shutil.rmtree(bench.workdir / ".git")
    with pytest.raises(HandlerError) as caught:
        bench.run(Review(), "code.review")
    assert caught.value.code == "no-repository"


def test_a_repository_cannot_run_its_own_programs(project, tmp_path):
    mark = tmp_path / "ran"
    project.git("config", "diff.external", f"touch {mark}")
    project.git("config", "core.fsmonitor", f"touch {mark}")
    project.write("app.py", CLEAN)
    project.run(Review(), "code.review")
    assert not mark.exists()


def test_content_that_looks_like_a_head_is_content():
    text = (
        "--- a/x\n+++ b/x\n@@ -0,0 +1,3 @@\n+++ b/evil\n+@@ -1 +1 @@\n+end\n--- a/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-z\n"
    )
    change, gone = diff.parse(text)
    assert (change.path, gone.path, gone.removed, gone.deleted) == ("x", "y", 1, True)
    assert change.added == {1: "++ b/evil", 2: "@@ -1 +1 @@", 3: "end"}


def test_the_tasks_output_tells_the_findings_and_no_files(project):
    project.write("new.py", BUGGY)
    project.run(Review(), "code.review")
    output = "".join(project.heard.output)
    assert "new.py:11: error: Undefined name `undefined_name` [F821]\n" in output
    assert "1 file, 2 errors, 0 warnings\n" in output
    assert "def double" not in output


def test_an_agents_cli_reviews_the_files_of_the_change_and_may_only_read(bench):
    bench.write("a.py", "x = 1\n")
    bench.commit()
    bench.git("checkout", "-q", "-b", "work")
    bench.write("a.py", "x = 1\ny = undefined_name\n")
    bench.commit()
    bench.git("checkout", "-q", "-")
    code = (
        "import json,sys; sys.stdin.read(); seen=open('a.py').read(); "
        "print(json.dumps({'say': json.dumps({'approved': 'undefined' not in seen, 'comments': "
        "[{'file': 'a.py', 'line': 2, 'severity': 'error', 'message': 'no such name'}]})}))"
    )
    reader = {"argv": [sys.executable, "-c", code], "modes": {"read": []}, "events": [{"when": {}, "text": "say"}]}
    options = {"cli": "reader", "clis": {"reader": reader}}
    result = bench.run(Review(), "code.review", {"head": "work"}, options=options)
    assert (result["verdict"], result["model"]) == ("failed", {"used": True, "model": "reader"})
    assert ("a.py", 2, "no such name") in [(c["file"], c["line"], c["message"]) for c in result["comments"]]
    assert result["cli"] == "reader"
    assert not any((bench.state / "worktrees" / ".at").iterdir())
    gone = {**reader, "argv": ["no-such-program"]}
    result = bench.run(Review(), "code.review", {"head": "work"}, options={"cli": "r", "clis": {"r": gone}})
    assert result["model"]["used"] is False
    assert result["approved"] is False
