"""testing.run: names that can be run again, failing lines, causes, the project's own Python, other projects' tools."""

import ast
import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.testing import pytest_plugin
from swarm_tui.agent.handlers.testing.coverage import Coverage
from swarm_tui.agent.handlers.testing.report import Tap, place_in, progress_of, read_junit
from swarm_tui.agent.handlers.testing.run import Run


def run(bench, payload=None, **more):
    """The result of a run in our own Python without plugins, unless `options` say else: to look for them takes time."""
    bare = {} if "-n" in (payload or {}).get("args", ()) else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = {"python": sys.executable, "env": bare}
    return bench.run(Run(), "testing.run", payload or {}, **{"options": options, **more})


def only(result):
    (failure,) = result["failures"]
    return failure


NESTED = """
import pytest

from helpers import check


class TestIt:
    @pytest.mark.parametrize("text", ["a/b", "x::y", "p q", "é"])
    def test_many(self, text):
        total = 1

        check(text)
"""


def test_names_are_relative_to_the_workdir_and_can_be_run_again(bench):
    bench.write("services/shop/pyproject.toml", "[tool.pytest.ini_options]\n")
    bench.write("services/shop/tests/helpers.py", "\n\ndef check(text):\n    assert text == 'a/b'\n")
    bench.write("services/shop/tests/test_many.py", NESTED)
    result = run(bench, {"path": "services/shop"})
    assert (result["passed"], result["failed"], result["runner"]) == (1, 3, "pytest")
    first = result["failures"][0]
    assert first["test"] == "services/shop/tests/test_many.py::TestIt::test_many[x::y]"
    assert (first["file"], first["line"]) == ("services/shop/tests/helpers.py", 4)
    for failure in result["failures"]:
        again = run(bench, {"path": failure["test"]})
        assert (again["passed"], again["failed"], again["failures"][0]["test"]) == (0, 1, failure["test"])


def test_a_failure_in_a_library_is_told_where_the_project_called_it(bench):
    bench.write("test_json.py", "import json\n\n\ndef test_it():\n    x = 1\n    json.loads('{')\n")
    failure = only(run(bench))
    assert (failure["file"], failure["line"]) == ("test_json.py", 6)
    assert "JSONDecodeError" in failure["message"]


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("import os\n\nimport nowhere_to_be_found\n", 3, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = 1\ndef (\n", 2, "SyntaxError: invalid syntax"),
        ("def test_it(): ...\n\nraise ValueError('not here')\n", 3, "ValueError: not here"),
        ("import pytest\n\n@pytest.fixture\ndef test_a(nothing): ...\n\nx = [][1]\n", 6, "IndexError"),
    ],
)
def test_a_file_that_cannot_be_collected_says_why_and_where(bench, text, line, cause):
    bench.write("tests/test_bad.py", text)
    bench.write("tests/test_good.py", "def test_good(): ...\n")
    result = run(bench)
    failure = only(result)
    assert result["errors"] == 1
    assert (failure["test"], failure["file"], failure["line"]) == ("tests/test_bad.py", "tests/test_bad.py", line)
    assert cause in failure["message"]


def test_a_broken_conftest_says_why(bench):
    bench.write("conftest.py", "import nowhere_to_be_found\n")
    bench.write("test_it.py", "def test_it(): ...\n")
    with pytest.raises(HandlerError, match="nowhere_to_be_found"):
        run(bench)


def test_fixtures_and_teardowns(bench):
    bench.write(
        "test_it.py",
        "import pytest\n\n\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError('gone')\n\n\n"
        "def test_it(broken): ...\n\n\n@pytest.mark.xfail(strict=True)\ndef test_surprise(): ...\n",
    )
    result = run(bench)
    assert (result["passed"], result["errors"], result["failed"]) == (1, 1, 1)
    assert {(f["test"], f["line"]) for f in result["failures"]} == {
        ("test_it.py::test_it", 7),
        ("test_it.py::test_surprise", None),
    }


@pytest.mark.parametrize("args", [["-q", "-q"], ["--no-header", "--tb=no"], ["--tb=line"], ["-n", "2"]])
def test_whatever_is_shown_the_result_is_the_same(bench, args):
    if "-n" in args:
        pytest.importorskip("xdist")
    bench.write("test_it.py", "def test_a(): ...\n\n\ndef test_b():\n    assert 1 == 2\n")
    result = run(bench, {"args": args})
    failure = only(result)
    assert (result["passed"], failure["test"], failure["line"]) == (1, "test_it.py::test_b", 5)


def test_a_run_that_is_ended_keeps_what_had_come(bench):
    bench.write("test_it.py", "import time\n\n\ndef test_a():\n    assert 0\n\n\ndef test_b():\n    time.sleep(60)\n")
    with pytest.raises(HandlerError) as caught:
        bench.cancel_when(Run(), "testing.run", lambda: bench.heard.progress and bench.heard.progress[-1][0] >= 50)
    assert (caught.value.code, caught.value.result["failed"]) == ("cancelled", 1)


def test_a_run_that_is_ended_before_its_first_test_does_not_say_that_there_are_none(bench):
    bench.write(
        "test_it.py", "import time, pathlib\n\n\ndef test_a():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
    )
    with pytest.raises(HandlerError) as caught:
        bench.cancel_when(Run(), "testing.run", (bench.workdir / "begun").exists)
    result = caught.value.result
    assert (result["verdict"], result["message"]) == ("unknown", "broken off: before any test had ended")


def test_the_projects_own_python_beside_its_files(bench):
    bench.write("services/shop/pyproject.toml", "")
    bench.write(
        "services/shop/tests/test_it.py", "import os\n\n\ndef test_it():\n    assert os.environ['OWN'] == '1'\n"
    )
    own = bench.write("services/shop/.venv/bin/python", f'#!/bin/sh\nOWN=1 exec {sys.executable} "$@"\n')
    own.chmod(0o755)
    result = run(bench, {"path": "services/shop/tests"}, options={})
    assert (result["verdict"], result["python"]) == ("passed", str(own))
    own.write_text("#!/bin/sh\nexit 1\n")
    assert run(bench, {"path": "services/shop"}, options={})["verdict"] == "failed"
    assert any("has no pytest" in line for line in bench.heard.log)


def test_a_source_folder_of_packages(bench):
    bench.write("pyproject.toml", "")
    bench.write("src/shop_of_this_test/__init__.py", "PRICE = 3\n")
    bench.write(
        "tests/test_it.py", "import shop_of_this_test\n\n\ndef test_it():\n    assert shop_of_this_test.PRICE == 3\n"
    )
    assert run(bench)["verdict"] == "passed"


def test_another_release_that_is_installed_is_not_tested(bench):
    """PATH's Python has `click`; the project's own `src/click` is what its tests are of."""
    bench.write("pyproject.toml", "")
    bench.write("src/click/__init__.py", "MINE = 3\n")
    bench.write("tests/test_it.py", "import click\n\n\ndef test_it():\n    assert click.MINE == 3\n")
    assert run(bench, options={})["verdict"] == "passed"


def test_a_file_named_as_pytest_is_no_pytest(bench):
    bench.write("nothing.txt", "")
    bench.write("sub/xdist.py", "raise SystemExit(3)\n")
    bench.write("sub/test_it.py", "def test_it(): ...\n")
    assert run(bench, {"path": "sub"})["verdict"] == "passed"


def test_colours_never_reach_the_result(bench):
    bench.write("test_it.py", "def test_it():\n    raise ValueError('\\033[31mred\\033[0m')\n")
    assert only(run(bench))["message"] == "ValueError: red"


def test_a_long_line_takes_its_time_only_once():
    for line in ("x" * 5_000_000, "a::" * 1_500_000, "::" * 2_000_000 + " [ 33%]", "[" * 5_000_000, "%]" * 2_500_000):
        began = time.process_time()
        progress_of(line)
        Tap(Path("/nowhere")).line(line)
        place_in(line, Path("/nowhere"))
        assert time.process_time() - began < 1.0
    assert progress_of("::" * 2_000_000 + " [ 33%]")[0] == 33.0


def test_a_project_that_prints_a_long_line(bench):
    bench.write("test_it.py", "def test_it():\n    print('a::b' * 1_300_000)\n    assert 0\n")
    began = time.monotonic()
    assert run(bench, {"args": ["-x"]})["failed"] == 1
    assert time.monotonic() - began < 30


def test_a_report_of_junit(tmp_path):
    (tmp_path / "a.js").write_text("\n\nx\n")
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testcase name="a" time="nan"/><testsuite><testcase name="b" classname="s" time="1e400">'
        "<failure>Error: no\n    at x (node:internal/x:9:1)\n    at y (a.js:3:1)</failure></testcase>"
        '<testcase name="c"><skipped/></testcase></testsuite></testsuites>'
    )
    result = read_junit(report, "x", tmp_path.parent, tmp_path).result("npm")
    assert (result["passed"], result["failed"], result["skipped"]) == (1, 1, 1)
    assert only(result) == {"test": "s > b", "file": f"{tmp_path.name}/a.js", "line": 3, "message": "Error: no"}


def test_tap_and_its_subtests(tmp_path):
    (tmp_path / "a.js").write_text("\n\nx\n")
    tap = Tap(tmp_path)
    for line in (
        f"TAP version 13\n    ok 1 - in\n    not ok 2 - inner\n      ---\n      location: '{tmp_path}/a.js:1:1'\n"
        f"      error: 'boom'\n      stack: |-\n        f ({tmp_path}/a.js:3:9)\n      ...\n    1..2\n"
        "not ok 1 - outer\nok 2 - good # time=1ms\nok 3 - later # SKIP no\nnot ok 4 # TODO\n1..4\n"
    ).splitlines():
        tap.line(line)
    result = tap.end().result("npm")
    assert (result["passed"], result["failed"], result["skipped"]) == (2, 1, 2)
    assert only(result) == {"test": "inner", "file": "a.js", "line": 3, "message": "boom"}


def test_the_whole_traceback_is_in_the_tasks_output(bench):
    bench.write("test_it.py", "def test_it():\n    total = 1 + 1\n    assert total == 3\n")
    run(bench)
    output = "".join(bench.heard.output)
    assert ">       assert total == 3" in output
    assert "find_spec" not in output


def test_the_plugin_is_of_every_python():
    """Its annotations too, which are looked at when it is loaded."""
    tree = ast.parse(Path(pytest_plugin.__file__).read_text(), feature_version=(3, 6))
    annotations = [node.annotation for node in ast.walk(tree) if isinstance(node, ast.arg | ast.AnnAssign)]
    annotations += [node.returns for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for annotation in filter(None, annotations):
        assert isinstance(annotation, ast.Name | ast.Constant) or ast.unparse(annotation) == "IO[str]"


# -- other projects


def have(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not here")


@have("node", "npm")
def test_npm_with_nodes_own_tests(bench):
    bench.write("web/package.json", '{"scripts": {"test": "node --test"}}')
    bench.write(
        "web/a.test.js",
        "const test = require('node:test');\nconst assert = require('node:assert');\ntest('good', () => {});\n"
        "test('bad', () => {\n  assert.strictEqual(1, 2);\n});\ntest.skip('later', () => {});\n",
    )
    result = run(bench, {"path": "web"})
    assert (result["runner"], result["verdict"]) == ("npm", "failed")
    assert (result["passed"], result["failed"], result["skipped"]) == (1, 1, 1)
    failure = only(result)
    assert (failure["file"], failure["line"]) == ("web/a.test.js", 5)
    assert "strictly equal" in failure["message"]


@have("node", "npm")
@pytest.mark.parametrize(("script", "verdict"), [("true", "passed"), ("echo '\033[31mno\033[0m'; exit 3", "failed")])
def test_npm_without_a_report_goes_by_its_exit(bench, script, verdict):
    bench.write("package.json", json.dumps({"scripts": {"test": script}}))
    result = run(bench)
    assert (result["verdict"], result["counted"], result["failures"]) == (verdict, False, [])
    assert "\033" not in result["message"]


@have("go")
def test_go(bench):
    bench.write("svc/go.mod", "module example.invalid/svc\n\ngo 1.19\n")
    bench.write("svc/a/a.go", "package a\n\nfunc Two() int { return 2 }\n")
    bench.write(
        "svc/a/a_test.go",
        'package a\n\nimport "testing"\n\nfunc TestGood(t *testing.T) {}\n\nfunc TestBad(t *testing.T) {\n'
        '\tif Two() != 3 {\n\t\tt.Fatal("two is not three")\n\t}\n}\n\nfunc TestLater(t *testing.T) { t.Skip() }\n',
    )
    bench.write("svc/b/b.go", "package b\n\nvar x int = nothing\n")
    bench.write("svc/b/b_test.go", 'package b\n\nimport "testing"\n\nfunc TestIt(t *testing.T) {}\n')
    result = run(bench, {"path": "svc"}, timeout=300)
    assert (result["passed"], result["failed"], result["skipped"], result["errors"]) == (1, 1, 1, 1)
    found = {(f["test"], f["file"], f["line"]) for f in result["failures"]}
    assert ("example.invalid/svc/a TestBad", "svc/a/a_test.go", 9) in found
    assert ("svc/b/b.go", 3) in {(file, line) for _, file, line in found}


@have("cargo")
def test_cargo(bench):
    bench.write("crate/Cargo.toml", '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n')
    bench.write(
        "crate/src/lib.rs",
        "#[cfg(test)]\nmod tests {\n    #[test]\n    fn good() {}\n    #[test]\n    fn bad() {\n"
        '        assert_eq!(1, 2, "one is not two");\n    }\n    #[test]\n    #[ignore]\n    fn later() {}\n}\n',
    )
    result = run(bench, {"path": "crate"}, timeout=300)
    assert (result["runner"], result["passed"], result["failed"], result["skipped"]) == ("cargo", 1, 1, 1)
    failure = only(result)
    assert (failure["test"], failure["file"], failure["line"]) == ("tests::bad", "crate/src/lib.rs", 7)
    assert "one is not two" in failure["message"]
    bench.write("crate/src/lib.rs", "fn broken( {\n")
    result = run(bench, {"path": "crate"}, timeout=300)
    assert (result["verdict"], result["counted"]) == ("failed", False)
    assert "error" in result["message"]


def test_what_lies_below_is_named(bench):
    bench.write("a/go.mod", "module a\n")
    bench.write("b/c/package.json", '{"scripts": {"test": "x"}}')
    with pytest.raises(HandlerError, match=r"there are: a \(go\), b/c \(npm\)"):
        run(bench)


def test_another_tools_arguments_and_missing_tools(bench, monkeypatch):
    bench.write("go.mod", "module a\n")
    with pytest.raises(HandlerError, match="they are pytest's, and go runs here"):
        run(bench, {"args": ["-x"]})
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "go" else which(name, **more))
    with pytest.raises(HandlerError, match="go is not installed here"):
        run(bench)
    bench.write("package.json", "{}")
    with pytest.raises(HandlerError, match="has no `test` script"):
        run(bench, {"runner": "npm"})


def test_a_run_that_crashes_keeps_what_had_come(bench):
    bench.write("test_it.py", "import os\n\n\ndef test_a():\n    assert 0\n\n\ndef test_b():\n    os.abort()\n")
    with pytest.raises(HandlerError) as caught:
        run(bench)
    assert (caught.value.result["verdict"], caught.value.result["failed"]) == ("failed", 1)


@have("npm")
def test_what_was_not_installed_is_said(bench):
    bench.write("package.json", '{"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "*"}}')
    result = run(bench)
    assert (result["verdict"], "run `npm ci` first" in result["message"]) == ("failed", True)


def test_coverage_is_told_by_names_in_the_workdir(bench):
    pytest.importorskip("pytest_cov")
    bench.write("shop/pyproject.toml", "")
    bench.write("shop/pkg.py", "def used():\n    return 1\n")
    bench.write("shop/test_pkg.py", "import pkg\n\n\ndef test_used():\n    assert pkg.used() == 1\n")
    payload = {"path": "shop", "source": "shop"}
    result = bench.run(Coverage(), "testing.coverage", payload, options={"python": sys.executable})
    assert {"file": "shop/pkg.py", "coverage": 100.0} in result["files"]
