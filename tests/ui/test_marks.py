"""Marks: what is marked and seen is acted on, and nothing else."""

import pytest

from swarm_tui.protocol.bodies import HostControl
from tests.ui.harness import Seat, seated


def commanded(seat: Seat) -> list[tuple[str, str | None]]:
    return [(body.command, body.agent_id) for _, body, _ in seat.source.acts if isinstance(body, HostControl)]


async def narrow(seat: Seat, words: str) -> None:
    await seat.press("slash")
    await seat.type(words)
    await seat.press("enter")


@pytest.mark.asyncio
@pytest.mark.parametrize("act", ["r", "R", "s", "d", "plus", "Y", "x"])
async def test_a_marked_agent_that_a_filter_hides_is_not_acted_on(act: str) -> None:
    async with seated("calm") as seat:
        await seat.press("g", "space")
        await narrow(seat, "docs")
        await seat.press(act)
        assert seat.source.acts == []
        assert "1 marked is hidden: Esc shows it" in seat.footer
        await seat.press("escape")
        assert seat.has("api-gateway-01")
        assert seat.app.model.marks["agents"] == {"api-gateway-01"}


@pytest.mark.asyncio
async def test_some_marks_hidden_is_no_act_on_the_rest_either() -> None:
    async with seated("calm") as seat:
        await seat.press("asterisk")
        await narrow(seat, "docs")
        await seat.press("d")
        assert seat.source.acts == []
        assert "8 marked are hidden: Esc shows them" in seat.footer
        assert len(seat.app.model.marks["agents"]) == 9


@pytest.mark.asyncio
async def test_marked_tasks_of_another_tab_are_not_acted_on() -> None:
    async with seated("trouble") as seat:
        await seat.press("tab")
        seat.app.main.tasks.select("task_77aa01")
        await seat.press("space", *["right_square_bracket"] * 5)
        await seat.press("t")
        assert seat.source.acts == []
        assert "1 marked is hidden" in seat.footer
        await seat.press("escape")
        assert seat.app.main.tasks.tab == 0
        await seat.press("c")
        assert "task_77aa01" in seat.app.screen.question  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_an_act_takes_away_only_the_marks_that_it_took() -> None:
    async with seated("calm") as seat:
        await seat.press("space", "tab", "space", "shift+tab", "d", "u")
        assert commanded(seat) == [("drain", "api-gateway-01"), ("undrain", "api-gateway-01")]
        assert not seat.app.model.marks["agents"]
        assert seat.app.model.marks["tasks"]


@pytest.mark.asyncio
async def test_what_takes_one_takes_the_one_under_the_cursor() -> None:
    async with seated("calm") as seat:
        await seat.press("g", "space", "5", "l")
        assert seat.has("LOG", "docs-01")


@pytest.mark.asyncio
async def test_agents_of_several_roles_are_not_scaled_as_if_they_were_of_the_first() -> None:
    async with seated("calm") as seat:
        await seat.press("space", "space", "plus")
        assert "several roles: api-gateway, code-review" in seat.footer
        assert seat.source.acts == []


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_how_many_are_marked_shows_at_once(size: tuple[int, int]) -> None:
    async with seated("calm", size) as seat:
        drawn: list[str] = []
        seat.app.main.agents.redraw_head = lambda: drawn.append("head")  # type: ignore[method-assign]
        await seat.press("space")
        assert drawn
        assert seat.has("AGENTS 9", "1 marked")
