"""The pages of runs, and the form for one: what is typed is checked, keys act on the run or the step at hand."""

import os
from pathlib import Path

import pytest
from textual.widgets import Input

from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import Queued
from swarm_tui.protocol.rows import RunRow, StepRow
from swarm_tui.protocol.run_bodies import RunAct, RunNew
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.widgets.field import FieldRow
from tests.ui.harness import UiDriver, open_ui
from tests.ui.test_walk import say_a_run

WORKFLOW = """
workflow: own
inputs:
  service: {type: string, description: what is shipped}
  times: {type: integer, default: 3}
  deep: {type: boolean, default: false}
steps: {a: {type: noop, payload: {echo: "{inputs.service}"}}}
"""


def begun(ui: UiDriver) -> list[RunNew]:
    return [body for kind, body, _ in ui.source.acts if kind is Kind.RUN_NEW and isinstance(body, RunNew)]


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "own.yml").write_text(WORKFLOW)
    (tmp_path / "workflows" / "bad.yml").write_text("workflow: bad\nsteps: {a: {type: noop, needs: [b]}}\n")
    (tmp_path / "other.yml").write_text("workflow: other\nsteps: {a: {type: noop}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def form(ui: UiDriver, name: str) -> None:
    """Open the form, and type the workflow's name."""
    ui.app.pages.open_runs()
    await ui.pilot.pause()
    await ui.press("B", *({".": "full_stop", "/": "slash"}.get(letter, letter) for letter in name))


@pytest.mark.asyncio
async def test_a_workflows_inputs_are_fields_that_are_checked_as_one_types(workdir: Path) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await form(ui, "own")
        await ui.press("tab")
        assert all(map(ui.has, ("NEW RUN", "service*", "what is shipped", "times", "empty: 3", "deep")))
        await ui.press("ctrl+s")
        assert ui.has("service: is needed")
        await ui.press(*"web", "tab", *"many")
        assert ui.has("✗ a whole number")
        assert not begun(ui)
        await ui.press(*["backspace"] * 4, *"12", "ctrl+s")
        (run,) = begun(ui)
        assert (run.workflow["workflow"], run.inputs) == ("own", {"service": "web", "times": 12})
        assert ui.has(f"RUN {run.run_id}")


@pytest.mark.asyncio
async def test_a_file_with_a_mistake_is_named_with_its_place(workdir: Path) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await form(ui, "bad")
        await ui.press("ctrl+s")
        assert ui.has("✗ workflows/bad.yml:2:33: no step `b`")
        assert not begun(ui)


@pytest.mark.asyncio
async def test_a_workflow_may_be_named_by_its_path(workdir: Path) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await form(ui, "./other.yml")
        await ui.press("ctrl+s")
        assert [run.workflow["workflow"] for run in begun(ui)] == ["other"]
        await form(ui, "nosuch")
        await ui.press("ctrl+s")
        assert ui.has("no workflow of that name")


@pytest.mark.asyncio
async def test_a_run_of_thousands_of_steps_is_drawn_each_second_and_no_oftener() -> None:
    async with open_ui("empty", (80, 24)) as ui:
        steps = [StepRow(step=f"s{n}", type="noop", state="blocked") for n in range(3000)]
        ui.app.model.fleet.load_runs([RunRow(run_id="r1", workflow="w", state="running", steps=steps)])
        ui.app.pages.open_run("r1")
        await ui.pilot.pause()
        laid: list[int] = []
        ui.app.screen.page._lay = lambda width: laid.append(width) or []  # type: ignore[attr-defined]
        for n in range(20):
            ui.source.say("tm", Kind.TASK_QUEUED, Queued(task_id=f"r1.s{n}", type="noop", run_id="r1"))
            ui.app.updates.drain()
        assert not laid
        await ui.pass_(1.1)
        assert laid


@pytest.mark.asyncio
async def test_keys_do_a_run_again_or_from_a_step_on() -> None:
    async with open_ui("empty", (80, 24)) as ui:
        say_a_run(ui)
        ui.app.pages.open_runs()
        await ui.pilot.pause()
        await ui.press("F")
        assert ui.has("there is no step here")
        await ui.press("enter", "R", "j", "F")
        assert ui.has("Do all again from b on")
        await ui.press("y")
        again = [body for kind, body, _ in ui.source.acts if kind is Kind.RUN_RETRY]
        assert again == [RunAct(run_id="r1"), RunAct(run_id="r1", step="b")]


@pytest.mark.asyncio
async def test_the_cursor_stays_at_its_step_when_a_line_comes_above_and_only_the_last_round_counts() -> None:
    async with open_ui("empty", (80, 24)) as ui:
        say_a_run(ui)
        ui.app.pages.open_run("r1")
        await ui.pilot.pause()
        await ui.press("j")
        page = ui.app.screen.page  # type: ignore[attr-defined]
        assert page.subject() == "b"
        run = ui.app.model.fleet.runs["r1"]
        run.reason = "an operator cancelled it"
        run.steps["b"].state = "running"
        run.steps["b"].tasks = {"r1.b": TaskState.FAILED, "r1.b:2": TaskState.AWAITING_APPROVAL}
        await ui.pass_(1.1)
        assert ui.has("an operator cancelled it")
        assert page.subject() == "b"
        assert not ui.has("2/2")


@pytest.mark.asyncio
async def test_no_name_and_no_folder_that_is_gone_ends_the_screen(workdir: Path) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await form(ui, "x")
        ui.app.screen.query_one("#type", FieldRow).query_one(Input).value = "n" * 300 + ".yml"
        await ui.settle()
        assert ui.has("no workflow of that name")
        await ui.press("escape")
        gone = workdir / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        await ui.press("B", "x", "ctrl+s")
        assert ui.has("no workflow of that name")
