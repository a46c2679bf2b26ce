"""The handlers that come with the runtime: the registry, noop, command and pytest."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.command import Command
from swarm_tui.agent.handlers.noop import Noop
from swarm_tui.agent.handlers.placeholders import fill
from swarm_tui.agent.handlers.testing.coverage import Coverage
from swarm_tui.agent.handlers.testing.report import progress_of, read_junit
from swarm_tui.agent.handlers.testing.run import Run
from swarm_tui.agent.handlers.testing.with_pytest import allowed, interpreter
from swarm_tui.config.model import HandlerSpec
from tests.unit.handlers.conftest import Bench

FACTS = {"agent_id": "a1", "task_id": "t1", "workdir": "/w"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# -- the registry


def test_a_type_is_done_by_the_layouts_word_first() -> None:
    assert isinstance(registry.load("noop"), Noop)
    assert isinstance(registry.load("site.build", HandlerSpec(command=["make"])), Command)
    assert isinstance(registry.load("anything", HandlerSpec(use="noop")), Noop)
    with pytest.raises(registry.UnknownHandlerError, match=r"there are: .*noop"):
        registry.load("no.such")
    assert not registry.can_do("no.such")


def test_every_row_of_the_table_loads_and_has_a_schema() -> None:
    for name in registry.names():
        registry.load(name)
        assert registry.schema(name)["type"] == "object", name


def test_schema_and_check_name_the_field() -> None:
    assert registry.schema("testing.run")["properties"]["path"]["default"] == "."
    assert registry.schema("no.such") == {"type": "object"}
    assert "$.seconds" in (registry.check("noop", None, {"seconds": -1}) or "")
    assert registry.check("noop", None, {"seconds": 1, "more": []}) is None


def test_a_commands_placeholders_are_its_fields() -> None:
    spec = HandlerSpec(
        command=["bin/build", "{payload.dir}", "--to={agent_id}", "{payload.to.host}", "{payload.to.port}"]
    )
    schema = registry.schema("site.build", spec)
    assert schema["required"] == ["dir", "to"]
    assert schema["properties"]["dir"] == {"type": "string", "description": "argument 1 of build"}
    assert schema["properties"]["to"]["required"] == ["host", "port"]
    fits = {"dir": "a", "to": {"host": "h", "port": 1}, "more": [1]}
    assert registry.check("site.build", spec, fits) is None
    assert "lacks payload.dir" in (registry.check("site.build", spec, {"to": {"host": "h", "port": 1}}) or "")
    assert "read as an option" in (registry.check("site.build", spec, {**fits, "dir": "-rf"}) or "")
    assert "not one value" in (registry.check("site.build", spec, {**fits, "dir": ["a"]}) or "")
    odd = HandlerSpec(command=["x", "{payload.a}", "{payload.a.b}"])
    assert registry.schema("odd", odd)["properties"]["a"]["type"] == "string"
    assert registry.schema("free", HandlerSpec(command=["make"])) == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": True,
    }


@pytest.mark.parametrize(
    "said",
    [
        '{"result": NaN}',
        '{"result": {"x": -Infinity}}',
        '{"result": ' + "9" * 400 + "}",
        '{"result": 1e999}',
        '{"message": "x", "result": {"a": ' + "7" * 30 + "}}",
        '{"result": {"a": "\\ud800"}}',
        '{"result": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"result": {"a": 1}',
        "{'result': 1}",
    ],
)
def test_a_result_that_cannot_be_read_is_refused_with_its_line(bench: Bench, said: str) -> None:
    (bench.workdir / "said").write_text(f"hello\n{said}\n")
    spec = HandlerSpec(command=["cat", "said"])
    with pytest.raises(HandlerError, match="line 2 of its output") as caught:
        _run_command(bench, spec)
    assert (caught.value.code, caught.value.retryable) == ("bad-result", False)
    (bench.workdir / "said").write_text(f'{said}\n{{"result": {{"a": 1}}}}\n')
    assert _run_command(bench, spec) == {"a": 1}, "the last result counts"
    assert any("line 1" in line for line in bench.heard.log)


def test_what_is_no_message_stays_output(bench: Bench) -> None:
    lines = ['{"level": "info", "result": "x"', "{not json}", '{"progress": "half"}', '{"progress": ' + "9" * 400 + "}"]
    lines.append('{"usage": {"tokens": 1e300, "cost": "much"}, "progress": 50}')
    (bench.workdir / "said").write_text("\n".join(lines[1:]))
    assert _run_command(bench, HandlerSpec(command=["cat", "said"]))["exit_code"] == 0
    assert bench.heard.progress == [(50.0, "")]
    assert bench.heard.usage == [(0, 0.0)]


def _run_command(bench: Bench, spec: HandlerSpec) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        context = bench.context("x")
        context.spec = spec
        return await Command().run(context)

    return asyncio.run(go())


def test_noop_ends_at_once_when_it_is_cancelled(bench: Bench) -> None:
    begun = time.monotonic()
    with pytest.raises(HandlerError, match="cancelled"):
        bench.cancel_when(Noop(), "noop", lambda: True, payload={"seconds": 60})
    assert time.monotonic() - begun < 5


def test_a_broken_handler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILTIN, "broken", "swarm_tui.no_such_module:X")
    with pytest.raises(HandlerError, match="does not load"):
        registry.load("broken")


def test_noop_waits_and_echoes(bench: Bench) -> None:
    assert bench.run(Noop(), "noop", {"echo": [1]}) == {"echo": [1]}
    assert bench.run(Noop(), "noop") == {}


# -- command


def test_placeholders() -> None:
    command = ["make", "-C", "{payload.dir}", "x-{task_id}", "{payload.n}", "{payload.deep.er}", "{print}"]
    payload = {"dir": "site; rm -rf /", "n": 3, "deep": {"er": True}}
    assert fill(command, FACTS, payload) == ["make", "-C", "site; rm -rf /", "x-t1", "3", "true", "{print}"]
    script = fill(['echo "$1" {task_id}', "{payload.dir}"], FACTS, payload, as_script=True)
    assert script == ["/bin/sh", "-c", 'echo "$1" {task_id}', "sh", "site; rm -rf /"]


@pytest.mark.parametrize(
    ("command", "payload", "words"),
    [
        (["{payload.p}"], {"p": "sh"}, "may not name the program"),
        (["x", "--dir={payload.p}"], {"p": "d"}, "fills a whole element"),
        (["x", "{payload.p}"], {"p": "--eval"}, "begins with `-`"),
        (["x", "{payload.p}"], {"p": -1}, "begins with `-`"),
        (["x", "{payload.p}"], {}, "lacks payload.p"),
        (["x", "{payload.p.q}"], {"p": "s"}, "lacks payload.p.q"),
        (["x", "{payload.p}"], {"p": ["a"]}, "is not one value"),
        (["x", "{payload.p}"], {"p": "a\0b"}, "cannot be an argument"),
        (["x", "{payload.p}"], {"p": "\ud800"}, "cannot be an argument"),
        ([], {}, "is empty"),
    ],
)
def test_what_may_not_become_an_argument(command: list[str], payload: dict[str, Any], words: str) -> None:
    with pytest.raises(HandlerError, match=words):
        fill(command, FACTS, payload)


def run_command(bench: Bench, code: str, **options: Any) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        context = bench.context("job", {"x": 1}, options=options)
        spec = HandlerSpec(command=[sys.executable, "-c", code], options=options)
        return await Command().run(msgspec.structs.replace(context, spec=spec))

    return asyncio.run(go())


def test_its_lines(bench: Bench) -> None:
    code = """
print('{"progress": 40, "message": "on"}'); print('{"usage": {"tokens": 5, "cost": 0.5}}'); print('{"other": 1}')
print('{"progress": "x"}'); print('{"result": {"a": 1}}'); print('{"result": [2]}')
"""
    assert run_command(bench, code) == {"value": [2]}
    assert bench.heard.progress == [(40, "on")]
    assert bench.heard.usage == [(5, 0.5)]
    assert bench.heard.log == ['{"other": 1}']


def test_without_a_result_line_its_output_is_the_result(bench: Bench) -> None:
    assert run_command(bench, "print('hello')") == {"exit_code": 0, "output": "hello"}


def test_a_flood_is_cut(bench: Bench) -> None:
    result = run_command(bench, "for n in range(200_000): print('x' * 50)")
    assert len(result["output"]) <= 4000
    assert len(bench.heard.log) == 501


def test_how_it_fails(bench: Bench) -> None:
    with pytest.raises(HandlerError, match="exit status 3: boom") as caught:
        run_command(bench, "import sys; print('boom', file=sys.stderr); sys.exit(3)", retry=False)
    assert not caught.value.retryable
    with pytest.raises(HandlerError, match="exit status 75") as caught:
        run_command(bench, "raise SystemExit(75)", retry=False)
    assert caught.value.retryable
    with pytest.raises(HandlerError, match="signal 9"):
        run_command(bench, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(HandlerError, match="options"):
        run_command(bench, "", no_such_option=1)


def test_its_environment_holds_no_secret_that_was_not_passed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "k")
    monkeypatch.setenv("OTHER", "o")
    code = "import json, os; print(json.dumps({'result': [os.environ.get(n) for n in ('MY_API_KEY', 'OTHER', 'OWN')]}))"
    assert run_command(bench, code) == {"value": [None, None, None]}
    assert run_command(bench, code, pass_env=["MY_API_KEY"], env={"OWN": "1"}) == {"value": ["k", None, "1"]}


# -- pytest


TESTS = """
import pytest
def test_good(): pass
def test_bad(): assert 1 == 2, "one is not two"
@pytest.mark.skip
def test_skipped(): pass
class TestIt:
    @pytest.mark.parametrize("n", [1, 2])
    def test_many(self, n): assert n == 1
@pytest.fixture
def broken(): raise RuntimeError("no fixture")
def test_error(broken): pass
"""


def test_a_projects_tests(bench: Bench) -> None:
    bench.write("tests/test_it.py", TESTS)
    result = bench.run(Run(), "testing.run", {"path": "tests"})
    counts = {name: result[name] for name in ("verdict", "passed", "failed", "skipped", "errors")}
    assert counts == {"verdict": "failed", "passed": 2, "failed": 2, "skipped": 1, "errors": 1}
    first = result["failures"][0]
    assert (first["test"], first["file"], first["line"]) == ("tests/test_it.py::test_bad", "tests/test_it.py", 4)
    assert "one is not two" in first["message"]
    assert result["failures"][1]["test"] == "tests/test_it.py::TestIt::test_many[2]"
    assert result["duration"] > 0
    assert bench.heard.progress[-1][0] == 100
    assert "tests/test_it.py::test_good" in bench.heard.progress[0][1]


def test_chosen_tests_pass(bench: Bench) -> None:
    bench.write("tests/test_it.py", TESTS)
    result = bench.run(Run(), "testing.run", {"path": "tests/test_it.py", "args": ["-k", "good", "-q", "-x"]})
    assert (result["verdict"], result["passed"]) == ("passed", 1)
    one = bench.run(Run(), "testing.run", {"path": "tests/test_it.py::TestIt::test_many"})
    assert (one["passed"], one["failed"]) == (1, 1)


def test_no_tests_and_broken_ones(bench: Bench) -> None:
    bench.write("empty/readme.txt", "")
    result = bench.run(Run(), "testing.run", {"path": "empty"})
    assert (result["verdict"], result["message"]) == ("failed", "no tests were collected")
    bench.write("tests/test_syntax.py", "def (")
    result = bench.run(Run(), "testing.run", {"path": "tests"})
    assert (result["verdict"], result["errors"]) == ("failed", 1)


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_a_run_that_was_broken_off_is_no_pass(bench: Bench, end: str) -> None:
    bench.write("test_it.py", f"import pytest\ndef test_a(): pass\ndef test_b(): {end}\ndef test_c(): assert 0\n")
    result = bench.run(Run(), "testing.run", {"path": "test_it.py"})
    assert (result["verdict"], result["failed"]) == ("failed", 0)
    assert "pytest ended with 2" in result["message"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"path": "../elsewhere"}, "outside"),
        ({"path": "/etc"}, "outside"),
        ({"path": "link"}, "outside"),
        ({"path": "-h"}, "begins with"),
        ({"path": "missing"}, "not there"),
        ({"args": ["--rootdir=/"]}, "not among those allowed"),
        ({"args": ["-p", "evil"]}, "not among those allowed"),
        ({"args": ["-c", "x.ini"]}, "not among those allowed"),
        ({"args": ["-o", "addopts=--pdb"]}, "not among those allowed"),
        ({"args": ["tests"]}, "not among those allowed"),
        ({"args": ["--maxfail", "x"]}, "no value for"),
        ({"args": "-x"}, "does not fit"),
        ({"path": "test_one.py::no_such"}, "usage|found nothing|arguments"),
    ],
)
def test_what_a_task_may_not_ask(bench: Bench, payload: dict[str, Any], words: str) -> None:
    bench.write("test_one.py", "def test_it(): pass")
    (bench.workdir / "link").symlink_to("/etc")
    with pytest.raises(HandlerError, match=words):
        bench.run(Run(), "testing.run", payload)


def test_when_pytest_itself_fails_it_says_why(bench: Bench) -> None:
    bench.write("conftest.py", "def pytest_sessionstart(session): raise RuntimeError('no licence')")
    bench.write("test_one.py", "def test_it(): pass")
    with pytest.raises(HandlerError, match=r"^pytest itself failed: RuntimeError: no licence$"):
        bench.run(Run(), "testing.run", {"path": "test_one.py"})


def test_arguments_cannot_be_read_as_others() -> None:
    assert allowed(["-k", "-x or y", "--maxfail", "3", "-mslow", "--tb=short", "-v"]) == [
        *("-k-x or y", "--maxfail=3", "-mslow", "--tb=short", "-v")
    ]


def test_the_interpreter(bench: Bench) -> None:
    async def which(wanted: str | None) -> str:
        return await interpreter(bench.context("testing.run"), wanted)

    with pytest.raises(MissingToolError, match="-m pip install pytest"):
        asyncio.run(which("/no/python"))
    own = bench.workdir / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    own.chmod(0o755)
    assert asyncio.run(which(None)) == str(own)
    own.write_text("#!/bin/sh\nexit 1\n")
    assert asyncio.run(which(None)) != str(own)


def test_progress_lines() -> None:
    assert progress_of("tests/a.py::test_x PASSED    [ 33%]") == (33.0, "tests/a.py::test_x")
    assert progress_of("[gw0] [100%] PASSED tests/a.py::test_x ") == (100.0, "tests/a.py::test_x")
    assert progress_of("collected 3 items") is None


@pytest.mark.parametrize("text", ["", "<a", '<!DOCTYPE x [<!ENTITY a "b">]><x/>'])
def test_a_report_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.xml"
    path.write_text(text)
    with pytest.raises(HandlerError, match="report"):
        read_junit(path)


def test_coverage_and_its_threshold(bench: Bench) -> None:
    pytest.importorskip("pytest_cov")
    bench.write("pkg.py", "def used():\n    return 1\n\n\ndef unused():\n    return 2\n")
    bench.write("test_pkg.py", "import pkg\ndef test_used(): assert pkg.used() == 1\n")
    result = bench.run(Coverage(), "testing.coverage", {"threshold": 50})
    assert result["verdict"] == "passed"
    assert 50 < result["coverage"] < 100
    assert {"file": "pkg.py", "coverage": 75.0} in result["files"]
    assert bench.run(Coverage(), "testing.coverage", {"threshold": 99})["verdict"] == "failed"
    assert not (bench.workdir / ".coverage").exists()


def test_coverage_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> bool:
        return False

    monkeypatch.setattr("swarm_tui.agent.handlers.testing.coverage.has_module", nothing)
    bench.write("test_one.py", "def test_it(): pass")
    with pytest.raises(MissingToolError, match="-m pip install pytest-cov"):
        bench.run(Coverage(), "testing.coverage")
