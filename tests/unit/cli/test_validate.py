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


SCHEDULES = """swarm: s
agents:
  - role: task-manager
  - role: testing
schedules:
  - {name: tests, cron: "0 3 * * *", type: testing.run}
  - {name: nightly, cron: "0 3 * * *", type: site.build}
  - name: whole
    cron: "0 3 * * *"
    workflow:
      workflow: w
      steps:
        a: {type: testing.run}
        b: {type: docs.spell}
  - {name: named, cron: "0 3 * * *", workflow: FILE}
"""


def test_a_schedule_of_a_type_that_nobody_of_the_layout_does_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = tmp_path / "flow.yml"
    flow.write_text("workflow: f\nsteps: {x: {type: far.away}}\n")
    path = tmp_path / "l.yml"
    path.write_text(SCHEDULES.replace("FILE", str(flow)))
    assert run(["validate", str(path)]) == 0
    said = capsys.readouterr().err.replace(str(path), "l.yml").splitlines()
    why = "no agent of this layout does"
    assert [line.split(", so the schedule")[0] for line in said] == [
        f"l.yml:7:40: {why} `site.build`",
        f"l.yml:14:13: {why} `docs.spell`, the type of the step `b`",
        f"l.yml:15:38: {why} `far.away`, the type of the step `x`",
    ]
    assert said[0].endswith(
        "the schedule `nightly` begins nothing until one that does joins: give an entry a handler of it"
    )
