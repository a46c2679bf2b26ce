"""`init --ai` writes a layout with the agent CLIs that are there, and says what the others lack."""

from pathlib import Path

import pytest

from swarm_tui.cli.group import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of programs that is the whole PATH, of somebody who has logged in nowhere."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "CODEX_API_KEY",
                 "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SWARM_CLIS", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    return programs


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_it_takes_those_that_are_installed_and_logged_in(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(here, "claude-agent-acp", "codex-acp", "gemini")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    (here.parent / ".codex").mkdir()
    (here.parent / ".codex/auth.json").write_text("{}")
    assert run(["init", "crew", "--ai"]) == 0
    text = Path("layouts/crew.yml").read_text()
    assert "cli: claude, allow" in text
    assert "cli: codex}" in text
    said = capsys.readouterr().err
    assert "gemini is not logged in: run `gemini` once" in said
    assert "opencode is not installed: npm install" in said
    assert run(["validate", "layouts/crew.yml"]) == 0


def test_with_none_it_writes_nothing_and_says_what_to_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(here, "claude-agent-acp")
    assert run(["init", "crew", "--ai"]) == 1
    assert not Path("layouts").exists()
    assert "claude is not logged in: run `claude` once and log in, or set ANTHROPIC_API_KEY" in capsys.readouterr().err
