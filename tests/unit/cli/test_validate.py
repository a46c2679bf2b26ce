"""`validate` holds what a layout says to handlers against their schemas."""

from pathlib import Path

import pytest

from swarm_tui.cli.group import run

WRONG = """swarm: s
agents:
  - role: general
    id: g
    handlers:
      agent-cli:
        options:
          clis:
            x: {argv: [x], mode: {}}
        templates: {hello: {promt: hi}, ok: {cli: codex}, bad: {max_turns: none}}
      site.build: {command: [make], options: {shel: true}}
      testing.run: {options: {python: 3}}
      not.here: {use: not-installed, options: {any: thing}, templates: {t: {a: 1}}}
"""


def test_options_and_templates_that_a_handler_would_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(WRONG)
    assert run(["validate", str(path)]) == 2
    said = capsys.readouterr().err.replace(str(path), "wrong.yml").splitlines()
    for line, start, words in (
        (0, "wrong.yml:8:11: ", "unknown field `mode`"),
        (1, "wrong.yml:10:21: ", "`hello` of `agent-cli`: there is no field `promt`"),
        (2, "wrong.yml:10:59: ", "`bad` of `agent-cli`: Expected `int | null`"),
        (3, "wrong.yml:11:37: ", "unknown field `shel`"),
        (4, "wrong.yml:12:31: ", "Expected `str | null`"),
    ):
        assert said[line].startswith(start), said
        assert words in said[line]
    assert len(said) == 5


def test_a_layout_that_fits_its_handlers(tmp_path: Path) -> None:
    path = tmp_path / "right.yml"
    fields = "handlers: {testing.run: {options: {python: python3}, templates: {unit: {path: tests}}}}"
    path.write_text(f"swarm: s\nagents:\n  - {{role: general, id: g, {fields}}}\n")
    assert run(["validate", str(path)]) == 0
