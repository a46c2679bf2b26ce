"""security.scan finds each planted hole on its line, and none in a clean project."""

import shutil

import pytest

from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.security.scan import Scan

HOLES = '''"""Holes."""

import subprocess


def run(text: str) -> None:
    """Runs it."""
    subprocess.call(text, shell=True)
'''
# Put together here, so that this file itself holds no secret.
KEY = "AKIA" + "Z7QPLMWXNV3RT5YB"


@pytest.fixture
def clean(bench):
    bench.write("app.py", '"""App."""\n\n\ndef add(a: int, b: int) -> int:\n    """Adds."""\n    return a + b\n')
    bench.write("tests/test_app.py", "from app import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n")
    bench.write("README.md", "# App\n")
    bench.commit()
    return bench


def found(result, tool):
    return {(f["file"], f["line"], f["code"], f["severity"]) for f in result["findings"] if f["tool"] == tool}


def test_a_clean_project_gives_nothing(clean):
    result = clean.run(Scan(), "security.scan")
    assert result["findings"] == []
    assert (result["verdict"], result["files"]) == ("passed", 3)


def test_planted_holes(clean):
    clean.write("holes.py", HOLES)
    clean.write("conf/settings.py", f'# keys\nAWS = "{KEY}"\n')
    clean.write("open.txt", "x").chmod(0o666)
    clean.write(".env", "A=1\n").chmod(0o644)
    clean.write("broken.py", "def (\n")
    result = clean.run(Scan(), "security.scan")
    assert ("holes.py", 8, "B602", "error") in found(result, "bandit")
    assert ("broken.py", 0, "unreadable", "warning") in found(result, "bandit")
    assert found(result, "detect-secrets") == {("conf/settings.py", 2, "aws-access-key", "error")}
    assert found(result, "permissions") == {
        (".env", 0, "readable-secret", "warning"),
        ("open.txt", 0, "world-writable", "error"),
    }
    assert result["verdict"] == "failed"
    assert KEY not in str(result)


def test_more_files_than_are_read_are_no_pass(clean, monkeypatch):
    monkeypatch.setattr("swarm_tui.agent.handlers.files.MAX_FILES", 2)
    with pytest.raises(HandlerError, match="over 2: name a part") as caught:
        clean.run(Scan(), "security.scan")
    assert caught.value.code == "too-large"


def test_the_threshold_decides(clean):
    clean.write("low.py", '"""Low."""\n\nimport subprocess\n\nprint(subprocess)\n')
    assert clean.run(Scan(), "security.scan")["verdict"] == "passed"
    assert clean.run(Scan(), "security.scan", {"threshold": "low"})["verdict"] == "failed"


def test_the_projects_baseline_is_heeded(clean):
    import subprocess
    import sys
    from pathlib import Path

    clean.write("settings.py", f'AWS = "{KEY}"\n')
    tool = Path(sys.executable).parent / "detect-secrets"
    baseline = subprocess.run(
        [tool, "scan", "--no-verify", "--all-files", "settings.py"],
        cwd=clean.workdir,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    clean.write(".secrets.baseline", baseline)
    assert clean.run(Scan(), "security.scan")["findings"] == []


def test_a_part_without_git(bench):
    bench.write("src/holes.py", HOLES)
    bench.write("other/holes.py", HOLES)
    result = bench.run(Scan(), "security.scan", {"source": "src"})
    assert {f["file"] for f in result["findings"]} == {"src/holes.py"}


@pytest.mark.parametrize("tool", ["bandit", "detect-secrets"])
def test_a_missing_tool_is_no_pass(clean, monkeypatch, tool):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == tool else which(name, **more))
    with pytest.raises(MissingToolError, match="pip install"):
        clean.run(Scan(), "security.scan")


def test_links_out_of_the_project_are_not_followed(clean, tmp_path):
    (tmp_path / "outside.py").write_text(HOLES)
    (clean.workdir / "link.py").symlink_to(tmp_path / "outside.py")
    assert clean.run(Scan(), "security.scan")["findings"] == []
    with pytest.raises(HandlerError, match="outside"):
        clean.run(Scan(), "security.scan", {"repo": "../outside.py"})
