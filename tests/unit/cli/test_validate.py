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


def test_a_type_that_nobody_here_can_do_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "l.yml"
    path.write_text(
        "swarm: s\nagents:\n  - role: general\n    handlers:\n      a.b: {}\n      c.d: {use: none.such}\n"
        "      e.f: {command: [make]}\n      noop: {}\n"
        "  - {role: docs, dialect: seed, command: [x], handlers: {g.h: {}}}\n"
    )
    assert run(["validate", str(path)]) == 0
    said = capsys.readouterr().err.replace(str(path), "l.yml").splitlines()
    assert [line.split(": ")[0] for line in said] == ["l.yml:5:7", "l.yml:6:7"]
    assert "no handler of `c.d` is installed here" in said[1]


def test_a_layout_that_fits_its_handlers(tmp_path: Path) -> None:
    path = tmp_path / "right.yml"
    fields = "handlers: {testing.run: {options: {python: python3}, templates: {unit: {path: tests}}}}"
    path.write_text(f"swarm: s\nagents:\n  - {{role: general, id: g, {fields}}}\n")
    assert run(["validate", str(path)]) == 0
