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


def secrets_in(result):
    return {
        (f["file"], f["line"], f["code"], f["severity"]) for f in result["findings"] if f["tool"] == "detect-secrets"
    }


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("latin.py", b"# coding: latin-1\nx = '\xe9'\nAWS = '%s'\n", 3),
        ("undeclared.txt", b"caf\xe9\nAWS = '%s'\n", 2),
        ("utf16.txt", None, 2),
        ("icon.svg", b"<svg>\n<!-- AWS = '%s' -->\n</svg>\n", 2),
        ("style.css", b"/*\nAWS = '%s' */\n", 2),
        ("caf\udce9.txt", b"AWS = '%s'\n", 1),
        ("min.js", b"x\n" + b"var a = 1;" * 30_000 + b"AWS = '%s';" + b"y" * 30_000 + b"\nz\n", 2),
    ],
    ids=["declared", "undeclared", "utf16", "svg", "css", "name", "long-line"],
)
def test_no_file_is_passed_over_in_silence(clean, name, data, line):
    text = data.replace(b"%s", KEY.encode()) if data else f"x\nAWS = '{KEY}'\n".encode("utf-16")
    (clean.workdir / name).write_bytes(text)
    result = clean.run(Scan(), "security.scan")
    shown = name.replace("\udce9", "\\xe9")
    assert ("aws-access-key", "error") in {(c, s) for f, n, c, s in secrets_in(result) if (f, n) == (shown, line)}
    assert result["skipped"] == []


def test_what_cannot_be_looked_into_is_named(clean, monkeypatch):
    (clean.workdir / "tool.bin").write_bytes(b"\0\1")
    monkeypatch.setattr("swarm_tui.agent.handlers.security.secrets.LARGEST", 1000)
    clean.write("large.txt", "x" * 2000)
    result = clean.run(Scan(), "security.scan")
    assert result["skipped"] == ["large.txt: larger than 0 MB", "tool.bin: binary"]
    assert "2 files not looked into" in result["summary"]


def test_one_secret_is_one_finding_that_weighs_what_it_is(clean):
    long = "aGVsbG8gd29ybGQgdGhpcyBpcyBsb25n" + "Zx9Q"
    clean.write("conf.py", f'api_key = "{KEY}"\npassword = "{long}"\n')
    clean.write("tests/test_conf.py", f'password = "{long}"\n')
    assert secrets_in(clean.run(Scan(), "security.scan")) == {
        ("conf.py", 1, "aws-access-key", "error"),
        ("conf.py", 2, "secret-keyword", "warning"),
        ("tests/test_conf.py", 1, "secret-keyword", "info"),
    }


def test_an_example_of_an_environment_is_no_secret(clean):
    clean.write(".env.example", "DB_PASSWORD=change-me-please\nAPI_KEY=abcdefabcdef\n").chmod(0o644)
    assert clean.run(Scan(), "security.scan")["findings"] == []
    clean.write(".env.example", f"AWS={KEY}\n")
    assert secrets_in(clean.run(Scan(), "security.scan")) == {(".env.example", 1, "aws-access-key", "error")}


def test_a_change_only(clean):
    clean.write("old.py", HOLES)
    clean.commit()
    clean.write("old.py", HOLES + "\n\ndef more(text: str) -> None:\n    subprocess.call(text, shell=True)\n")
    clean.write("new.py", f'AWS = "{KEY}"\n')
    result = clean.run(Scan(), "security.scan", {"diff": True})
    assert {(f["file"], f["line"], f["code"]) for f in result["findings"] if f["severity"] == "error"} == {
        ("old.py", 12, "B602"),
        ("new.py", 1, "aws-access-key"),
    }
    assert result["files"] == 2
    clean.commit()
    assert clean.run(Scan(), "security.scan", {"diff": True})["findings"] == []
    since = clean.run(Scan(), "security.scan", {"diff": True, "base": "HEAD~1"})
    assert {f["file"] for f in since["findings"]} == {"old.py", "new.py"}


def test_what_was_accepted_is_not_told_again(clean):
    clean.write("old.py", HOLES)
    result = clean.run(Scan(), "security.scan", {"accept": True})
    assert (result["verdict"], result["findings"], result["accepted"]) == ("passed", [], 2)
    clean.write(
        "old.py", "\n\n" + HOLES + "    subprocess.call(text, shell=True)\n    subprocess.call(['a'], shell=True)\n"
    )
    result = clean.run(Scan(), "security.scan")
    assert {f["line"] for f in result["findings"]} == {11, 12}
    assert result["accepted"] == 2
    for payload in ({"accept": True, "baseline": "app.py"}, {"accept": True, "diff": True}, {"base": "HEAD"}):
        with pytest.raises(HandlerError):
            clean.run(Scan(), "security.scan", payload)
    assert "def add" in (clean.workdir / "app.py").read_text()


def test_bandit_heeds_what_the_project_leaves_out(clean):
    clean.write("pyproject.toml", '[tool.bandit]\nskips = ["B602"]\n')
    clean.write("holes.py", HOLES)
    assert "B602" not in {f["code"] for f in clean.run(Scan(), "security.scan")["findings"]}


def test_a_file_that_goes_meanwhile_is_no_failure(clean):
    from swarm_tui.agent.handlers.security.tools import permissions

    assert list(permissions(clean.workdir, ["gone.py"])) == []


def test_the_tasks_output_holds_no_secret(clean):
    clean.write("conf.py", f'AWS = "{KEY}"\n')
    clean.run(Scan(), "security.scan")
    output = "".join(clean.heard.output)
    assert "conf.py:1: error: AWS Access Key [aws-access-key]\n" in output
    assert KEY not in output
