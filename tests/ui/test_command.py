"""The `:` line does what its words say, to those it names."""

import pytest

from swarm_tui.protocol.bodies import HostControl, TaskAct
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import Seat, seated


async def command(seat: Seat, text: str) -> None:
    await seat.press("colon")
    await seat.type(text)
    await seat.press("enter")


def commanded(seat: Seat) -> list[tuple[str, str | None]]:
    return [(body.command, body.agent_id) for _, body, _ in seat.source.acts if isinstance(body, HostControl)]


@pytest.mark.asyncio
async def test_it_takes_the_agents_that_are_named_and_no_marked_one() -> None:
    async with seated("calm") as seat:
        await seat.press("space", "slash")
        await seat.type("gateway")
        await seat.press("enter")
        await command(seat, "drain docs-01")
        await command(seat, "restart deployment-01")
        assert commanded(seat) == [("drain", "docs-01"), ("restart", "deployment-01")]
        assert seat.app.model.marks["agents"] == {"api-gateway-01"}
        await command(seat, "restart testing-01 database-01")
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert "testing-01, database-01" in seat.app.screen.question


@pytest.mark.asyncio
async def test_it_says_what_it_does_not_know_and_what_does_not_fit() -> None:
    async with seated("trouble") as seat:
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
            await command(seat, typed)
            assert says in seat.footer, typed
        assert seat.source.acts == []


@pytest.mark.asyncio
async def test_tasks_filters_themes_and_down_do_what_they_say() -> None:
    async with seated("trouble") as seat:
        await command(seat, "retry task_d3adbf")
        assert [body.task_id for _, body, _ in seat.source.acts if isinstance(body, TaskAct)] == ["task_d3adbf"]
        await command(seat, "filter docs")
        assert seat.has("AGENTS 1/9", "/docs")
        await command(seat, "theme light")
        assert seat.app.theme == "light"
        await command(seat, "down")
        assert "use swarm-tui down" in seat.footer
        await command(seat, "logs docs-01")
        assert seat.has("LOG", "docs-01")


@pytest.mark.asyncio
async def test_the_arrows_move_in_the_list_whose_filter_is_typed() -> None:
    async with seated("calm") as seat:
        main = seat.app.main
        await seat.press("tab", "slash")
        await seat.type("task")
        before = main.tasks.cursor
        await seat.press("down", "down")
        assert (main.agents.cursor, main.tasks.cursor) == (0, before + 2)
