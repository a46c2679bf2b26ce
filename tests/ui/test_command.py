"""The `:` line does what its words say, to those it names."""

import pytest

from swarm_tui.protocol.bodies import HostControl, TaskAct
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import UiDriver, open_ui


async def command(ui: UiDriver, text: str) -> None:
    await ui.press("colon")
    await ui.type(text)
    await ui.press("enter")


def commanded(ui: UiDriver) -> list[tuple[str, str | None]]:
    return [(body.command, body.agent_id) for _, body, _ in ui.source.acts if isinstance(body, HostControl)]


@pytest.mark.asyncio
async def test_it_takes_the_agents_that_are_named_and_no_marked_one() -> None:
    async with open_ui("calm") as ui:
        await ui.press("space", "slash")
        await ui.type("gateway")
        await ui.press("enter")
        await command(ui, "drain docs-01")
        await command(ui, "restart deployment-01")
        assert commanded(ui) == [("drain", "docs-01"), ("restart", "deployment-01")]
        assert ui.app.model.marks["agents"] == {"api-gateway-01"}
        await command(ui, "restart testing-01 database-01")
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert "testing-01, database-01" in ui.app.screen.question


@pytest.mark.asyncio
async def test_it_says_what_it_does_not_know_and_what_does_not_fit() -> None:
    async with open_ui("trouble") as ui:
        for typed, says in (
            ("drain nobody-01", "there is no agent and no task 'nobody-01'"),
            ("drain docs-01 task_d3adbf", "not both"),
            ("retry docs-01", "retry works on tasks"),
            ("wall docs-01", "wall is about no agent"),
            ("agent_3", "no act, agent or task is named"),
            ("stop deployment-01", "deployment-01 is down already"),
            ("undrain testing-01", "testing-01 is not draining"),
            ("resume", "not halted"),
            ("theme pink", "dark, light"),
        ):
            await command(ui, typed)
            assert says in ui.footer, typed
        assert ui.source.acts == []


@pytest.mark.asyncio
async def test_tasks_filters_themes_and_down_do_what_they_say() -> None:
    async with open_ui("trouble") as ui:
        await command(ui, "retry task_d3adbf")
        assert [body.task_id for _, body, _ in ui.source.acts if isinstance(body, TaskAct)] == ["task_d3adbf"]
        await command(ui, "filter docs")
        assert ui.has("AGENTS 1/9", "/docs")
        await command(ui, "theme light")
        assert ui.app.theme == "light"
        await command(ui, "down")
        assert "use swarm-tui down" in ui.footer
        await command(ui, "logs docs-01")
        assert ui.has("LOG", "docs-01")


@pytest.mark.asyncio
async def test_the_arrows_move_in_the_list_whose_filter_is_typed() -> None:
    async with open_ui("calm") as ui:
        main = ui.app.main
        await ui.press("tab", "slash")
        await ui.type("task")
        before = main.tasks.cursor
        await ui.press("down", "down")
        assert (main.agents.cursor, main.tasks.cursor) == (0, before + 2)
