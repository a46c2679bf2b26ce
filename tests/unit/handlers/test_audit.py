"""security.audit: bad declarations on their lines; what could not be looked up is said, never passed."""

import json
import os
import shutil
import sys

import pytest

from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.security.audit import Audit

ANSWER = {
    "dependencies": [
        {
            "name": "flask",
            "version": "0.5",
            "vulns": [
                {"id": "PYSEC-2019-179", "fix_versions": ["1.0"], "aliases": ["CVE-2019-1010083"], "description": ""}
            ],
        },
        {"name": "click", "version": "8.1.7", "vulns": []},
    ],
    "fixes": [],
}
NO_NETWORK = "requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded (NameResolutionError)"


@pytest.fixture
def pip_audit(tmp_path, monkeypatch):
    """Puts a pip-audit on the PATH that answers as told, and keeps the requirements that it was asked about."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(stdout="", stderr="", code=0):
        asked = tmp_path / "asked"
        tool = folder / "pip-audit"
        tool.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"open({str(asked)!r}, 'a').write(open(sys.argv[2]).read())\n"
            f"sys.stdout.write({stdout!r}); sys.stderr.write({stderr!r}); sys.exit({code})\n"
        )
        tool.chmod(0o755)
        return asked

    return make


@pytest.fixture
def project(bench):
    bench.write("requirements.txt", "# pinned\nFlask==0.5\nclick==8.1.7 ; python_version > '3'\n")
    return bench


def places(result):
    return {(f["file"], f["line"], f["code"], f["severity"]) for f in result["findings"]}


def test_known_vulnerabilities_on_their_lines(project, pip_audit):
    asked = pip_audit(json.dumps(ANSWER), "Found 1 known vulnerability", 1)
    result = project.run(Audit(), "security.audit")
    assert places(result) == {("requirements.txt", 2, "PYSEC-2019-179", "error")}
    assert (result["verdict"], result["looked_up"]) == ("failed", True)
    assert asked.read_text() == "Flask==0.5\nclick==8.1.7\n"


def test_a_clean_project_passes(project, pip_audit):
    pip_audit(json.dumps({"dependencies": []}))
    result = project.run(Audit(), "security.audit")
    assert (result["findings"], result["verdict"]) == ([], "passed")


def test_dependencies_without_an_exact_version_are_no_pass(project, pip_audit):
    pip_audit(json.dumps({"dependencies": []}))
    project.write("pyproject.toml", '[project]\ndependencies = ["httpx>=0.27"]\n')
    project.write("web/package.json", '{"dependencies": {"left-pad": "1.3.0"}}')
    project.write("poetry.lock", "")
    result = project.run(Audit(), "security.audit")
    assert (result["findings"], result["looked_up"], result["verdict"]) == ([], True, "unknown")
    assert result["not_looked_up"] == ["poetry.lock", "pyproject.toml", "web/package.json"]
    assert "NOT looked up" in result["summary"]


def test_what_could_not_be_looked_up_is_a_finding(project, pip_audit):
    skipped = {"dependencies": [{"name": "flask", "skip_reason": "not found"}, {"name": "click", "version": "8.1.7"}]}
    pip_audit(json.dumps(skipped))
    result = project.run(Audit(), "security.audit")
    assert places(result) == {("requirements.txt", 2, "skipped", "warning")}
    assert result["verdict"] == "failed"


def test_without_a_network_it_says_so_and_passes_nothing(project, pip_audit):
    pip_audit("", NO_NETWORK, 1)
    result = project.run(Audit(), "security.audit")
    assert (result["verdict"], result["looked_up"]) == ("unknown", False)
    assert "NOT looked up" in result["summary"]
    with pytest.raises(HandlerError) as caught:
        project.run(Audit(), "security.audit", {"online": "always"})
    assert (caught.value.code, caught.value.retryable) == ("offline", True)


def test_a_broken_tool_is_no_missing_network(project, pip_audit):
    pip_audit("", "Traceback: KeyError", 1)
    with pytest.raises(HandlerError) as caught:
        project.run(Audit(), "security.audit")
    assert caught.value.code == "pip-audit"


def test_bad_declarations_offline(bench):
    bench.write(
        "requirements.txt",
        "requests>=2\n--extra-index-url https://mirror.invalid/simple\n--index-url http://mirror.invalid/simple\n"
        "git+https://forge.invalid/a.git@main\ncolourama==1.0\n--trusted-host mirror.invalid\n"
        "ok==1.0 \\\n  --hash=sha256:00\n"
        "git+https://forge.invalid/a.git@" + "a" * 40 + "\n",
    )
    bench.write("pyproject.toml", '[project]\nname = "x"\ndependencies = [\n  "click>=8",\n  "urlib3",\n]\n')
    bench.write(
        "package.json",
        '{\n  "dependencies": {\n    "a": "*",\n    "b": "^1.0.0",\n    "c": "http://x.invalid/c.tgz"\n  }\n}',
    )
    result = bench.run(Audit(), "security.audit", {"online": "never"})
    assert places(result) == {
        ("requirements.txt", 1, "unpinned", "warning"),
        ("requirements.txt", 2, "extra-index", "warning"),
        ("requirements.txt", 3, "no-tls", "error"),
        ("requirements.txt", 4, "unpinned", "warning"),
        ("requirements.txt", 5, "impostor", "error"),
        ("requirements.txt", 6, "trusted-host", "error"),
        ("pyproject.toml", 5, "impostor", "error"),
        ("package.json", 3, "unpinned", "warning"),
        ("package.json", 5, "no-tls", "error"),
    }
    assert (result["verdict"], result["dependencies"]) == ("failed", 2)


def test_a_missing_tool_is_no_pass(project, monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "pip-audit" else which(name, **more))
    with pytest.raises(MissingToolError, match="pip install"):
        project.run(Audit(), "security.audit")
    assert project.run(Audit(), "security.audit", {"online": "never"})["verdict"] == "unknown"


POETRY = """[tool.poetry]
name = "x"

[tool.poetry.dependencies]
python = "^3.11"
flask = "0.5"
httpx = "^0.27"
mine = {path = "../mine"}
insecure = {url = "http://x.invalid/a.whl"}

[tool.poetry.group.dev.dependencies]
urlib3 = "*"
forge = {git = "https://forge.invalid/a.git", rev = "main"}
"""
LOCK = """[[package]]
name = "flask"
version = "0.5"

[[package]]
name = "httpx"
version = "0.27.2"

[[package]]
name = "urlib3"
version = "1.0"

[[package]]
name = "mine"
version = "0"
[package.source]
type = "directory"
url = "../mine"
"""


def nothing_known(pip_audit):
    return pip_audit(json.dumps({"dependencies": []}))


def test_poetry_is_read(bench, pip_audit):
    asked = nothing_known(pip_audit)
    bench.write("pyproject.toml", POETRY)
    result = bench.run(Audit(), "security.audit")
    assert places(result) == {
        ("pyproject.toml", 9, "no-tls", "error"),
        ("pyproject.toml", 12, "impostor", "error"),
        ("pyproject.toml", 13, "unpinned", "warning"),
    }
    assert (asked.read_text(), result["not_looked_up"]) == ("flask==0.5\n", ["pyproject.toml"])


def test_a_lock_makes_its_projects_ranges_exact(bench, pip_audit):
    asked = nothing_known(pip_audit)
    bench.write("pyproject.toml", '[project]\ndependencies = ["httpx>=0.27", "Flask"]\n')
    bench.write("poetry.lock", LOCK)
    result = bench.run(Audit(), "security.audit")
    assert asked.read_text() == "flask==0.5\nhttpx==0.27.2\nurlib3==1.0\n"
    assert (result["not_looked_up"], result["verdict"], result["looked_up"]) == ([], "passed", True)
    bench.write("pyproject.toml", '[project]\ndependencies = ["httpx>=0.27", "other"]\n')
    result = bench.run(Audit(), "security.audit")
    assert (result["not_looked_up"], result["verdict"]) == (["pyproject.toml"], "unknown")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "uv.lock",
            '[[package]]\nname = "own"\nversion = "1"\nsource = { editable = "." }\n\n[[package]]\n'
            'name = "flask"\nversion = "0.5"\nsource = { registry = "https://index.example/simple" }\n',
        ),
        ("pdm.lock", '[[package]]\nname = "flask"\nversion = "0.5"\n'),
        ("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "flask"\nversion = "0.5"\n'),
        ("Pipfile.lock", '{"default": {"flask": {"version": "==0.5"}}, "develop": {}}'),
        ("sub/requirements/base.txt", "flask==0.5\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    flask==0.5\n"),
        ("pyproject.toml", '[dependency-groups]\nall = [{include-group = "test"}]\ntest = ["flask==0.5"]\n'),
        ("pyproject.toml", '[tool.uv]\ndev-dependencies = ["flask==0.5"]\n'),
        ("pyproject.toml", '[tool.hatch.envs.test]\ndependencies = ["flask==0.5"]\n'),
    ],
)
def test_every_way_to_say_an_exact_version(bench, pip_audit, name, text):
    asked = nothing_known(pip_audit)
    bench.write(name, text)
    result = bench.run(Audit(), "security.audit")
    assert (asked.read_text(), result["verdict"], result["not_looked_up"]) == ("flask==0.5\n", "passed", [])


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "no dependency is declared"),
        ({"pyproject.toml": '[project]\nname = "x"\n'}, "no dependency is declared"),
        ({"pyproject.toml": '[dependency-groups]\ndev = ["click>=8"]\n'}, "no exact version of any dependency"),
        ({"pyproject.toml": "[broken"}, "no exact version of any dependency"),
        ({"poetry.lock": "[broken"}, "no exact version of any dependency"),
        ({"uv.lock": '[[package]]\nname = "x"\nversion = "1"\nsource = {git = "https://x.invalid"}\n'}, "no exact"),
        ({"Pipfile": "[packages]\n"}, "no exact version of any dependency"),
    ],
)
def test_nothing_passes_that_nobody_looked_up(bench, pip_audit, files, why):
    pip_audit("", "never to be asked", 1)
    for name, text in files.items():
        bench.write(name, text)
    result = bench.run(Audit(), "security.audit")
    assert (result["verdict"], result["looked_up"]) == ("unknown", False)
    assert why in result["summary"]
    with pytest.raises(HandlerError) as caught:
        bench.run(Audit(), "security.audit", {"online": "always"})
    assert (caught.value.code, caught.value.retryable) == ("nothing-to-look-up", False)


def test_two_versions_of_a_package_are_asked_one_after_the_other(bench, pip_audit):
    asked = nothing_known(pip_audit)
    bench.write("a/requirements.txt", "Flask==0.5\nclick==8.1.7\n")
    bench.write("b/requirements.txt", "flask==3.0\nclick==8.1.7\n")
    assert bench.run(Audit(), "security.audit")["verdict"] == "passed"
    assert asked.read_text() == "Flask==0.5\nclick==8.1.7\nflask==3.0\n"


def test_an_index_that_knows_nothing_is_no_look_up(project, pip_audit):
    skipped = [{"name": name, "skip_reason": "Dependency not found"} for name in ("flask", "click")]
    pip_audit(json.dumps({"dependencies": skipped}))
    result = project.run(Audit(), "security.audit")
    assert (result["findings"], result["looked_up"], result["verdict"]) == ([], False, "unknown")
    assert "none of 2 packages could be" in result["summary"]


def test_a_tool_that_breaks_loses_no_finding(bench, pip_audit):
    pip_audit("", "Traceback: KeyError", 1)
    bench.write("requirements.txt", "flask==0.5\nurlib3\n")
    with pytest.raises(HandlerError) as caught:
        bench.run(Audit(), "security.audit")
    assert "impostor" in {f["code"] for f in caught.value.result["findings"]}


@pytest.mark.parametrize("text", ["1\\n--index-url=https://evil.invalid", "1 --x", "-r x", "\\ud800"])
def test_a_lock_cannot_give_options_to_pip(bench, pip_audit, text):
    pip_audit("", "never to be asked", 1)
    bench.write("Pipfile.lock", f'{{"default": {{"flask": {{"version": "=={text}"}}, "-r x": {{"version": "==1"}}}}}}')
    result = bench.run(Audit(), "security.audit")
    assert (result["dependencies"], result["not_looked_up"]) == (0, ["Pipfile.lock"])


def test_odd_values_are_no_crash(bench):
    for name in ("pyproject.toml", "poetry.lock", "package.json", "Pipfile.lock", "setup.cfg"):
        for text in (
            "[project]\ndependencies = 3\n",
            "tool = 3\n",
            '{"dependencies": 3, "default": 3}',
            "[[package]]\n",
            "[tool.poetry]\ndependencies = {a = 3, b = [1, {version = 2}]}\n",
            "package = [3]\n",
            "\ufeff\0",
        ):
            bench.write(name, text)
            bench.run(Audit(), "security.audit", {"online": "never"})
