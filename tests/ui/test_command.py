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


async def completed(ui: UiDriver, text: str) -> str:
    """Type a part of a command, press Tab, and give back what stands there then."""
    await ui.press("colon")
    await ui.type(text)
    await ui.press("tab")
    value = ui.app.screen.query_one("Prompt Input").value  # type: ignore[attr-defined]
    await ui.settle()
    return str(value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("typed", "stands", "told"),
    [
        ("undr", "undrain ", ""),
        ("drain test", "drain testing", "testing-01  testing"),
        ("drain docs-01 monit", "drain docs-01 monitoring", "monitoring-01"),
        ("restart docs-", "restart docs-01 ", ""),
        ("cancel task_d3", "cancel task_d3adbf ", ""),
        ("open task_d3", "open task_d3adbf ", ""),
        ("publish code.", "publish code.review ", ""),
        ("new testing.", "new testing.", "testing.run  testing.coverage"),
        ("publish code.review de", "publish code.review depth=", ""),
        ("publish code.review path=x -p ", "publish code.review path=x -p ", "base=  depth=  limit="),
        ("theme col", "theme colour-blind ", ""),
        ("publish nothing.known x", "publish nothing.known x", ""),
        ("wall ", "wall ", ""),
        ("zzz", "zzz", ""),
    ],
)
async def test_tab_completes_acts_and_what_they_take(typed: str, stands: str, told: str) -> None:
    async with open_ui("trouble") as ui:
        assert await completed(ui, typed) == stands
        if told:
            assert told in ui.footer


@pytest.mark.asyncio
async def test_a_role_stands_for_its_agents() -> None:
    async with open_ui("calm") as ui:
        await command(ui, "drain docs monitoring-01")
        await ui.press("y")
        assert commanded(ui) == [("drain", "docs-01"), ("drain", "monitoring-01")]


@pytest.mark.asyncio
async def test_publish_opens_the_form_with_what_was_given() -> None:
    async with open_ui("calm") as ui:
        for typed, says in (
            ("publish code.review path", "'path' gives no field a value"),
            ("publish code.review nope=1", "code.review has no field 'nope'"),
            ("publish code.review path='a", "close the quotes"),
            ("publish -p", "which type?"),
        ):
            await command(ui, typed)
            assert says in ui.footer
        await command(ui, "publish code.review path='a b' -p depth=deep")
        await ui.press("ctrl+s")
        task = ui.source.submitted[0][0]
        assert (task.type, task.payload) == ("code.review", {"path": "a b", "depth": "deep"})
    async with open_ui("calm", read_only=True) as ui:
        await command(ui, "publish code.review path=x")
        assert "--read-only" in ui.footer
