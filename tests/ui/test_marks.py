"""Marks: what is marked and seen is acted on, and nothing else."""

import pytest

from swarm_tui.protocol.bodies import HostControl
from tests.ui.harness import UiDriver, open_ui


def commanded(ui: UiDriver) -> list[tuple[str, str | None]]:
    return [(body.command, body.agent_id) for _, body, _ in ui.source.acts if isinstance(body, HostControl)]


async def narrow(ui: UiDriver, words: str) -> None:
    await ui.press("slash")
    await ui.type(words)
    await ui.press("enter")


@pytest.mark.asyncio
@pytest.mark.parametrize("act", ["r", "R", "s", "d", "plus", "Y", "x"])
async def test_a_marked_agent_that_a_filter_hides_is_not_acted_on(act: str) -> None:
    async with open_ui("calm") as ui:
        await ui.press("g", "space")
        await narrow(ui, "docs")
        await ui.press(act)
        assert ui.source.acts == []
        assert "1 marked is hidden: Esc shows it" in ui.footer
        await ui.press("escape")
        assert ui.has("api-gateway-01")
        assert ui.app.model.marks["agents"] == {"api-gateway-01"}


@pytest.mark.asyncio
async def test_some_marks_hidden_is_no_act_on_the_rest_either() -> None:
    async with open_ui("calm") as ui:
        await ui.press("asterisk")
        await narrow(ui, "docs")
        await ui.press("d")
        assert ui.source.acts == []
        assert "8 marked are hidden: Esc shows them" in ui.footer
        assert len(ui.app.model.marks["agents"]) == 9


@pytest.mark.asyncio
async def test_marked_tasks_of_another_tab_are_not_acted_on() -> None:
    async with open_ui("trouble") as ui:
        await ui.press("tab")
        ui.app.main.tasks.select("task_77aa01")
        await ui.press("space", *["right_square_bracket"] * 5)
        await ui.press("t")
        assert ui.source.acts == []
        assert "1 marked is hidden" in ui.footer
        await ui.press("escape")
        assert ui.app.main.tasks.tab == 0
        await ui.press("c")
        assert "task_77aa01" in ui.app.screen.question  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_an_act_takes_away_only_the_marks_that_it_took() -> None:
    async with open_ui("calm") as ui:
        await ui.press("space", "tab", "space", "shift+tab", "d", "u")
        assert commanded(ui) == [("drain", "api-gateway-01"), ("undrain", "api-gateway-01")]
        assert not ui.app.model.marks["agents"]
        assert ui.app.model.marks["tasks"]


@pytest.mark.asyncio
async def test_what_takes_one_takes_the_one_under_the_cursor() -> None:
    async with open_ui("calm") as ui:
        await ui.press("g", "space", "5", "l")
        assert ui.has("LOG", "docs-01")


@pytest.mark.asyncio
async def test_agents_of_several_roles_are_not_scaled_as_if_they_were_of_the_first() -> None:
    async with open_ui("calm") as ui:
        await ui.press("space", "space", "plus")
        assert "several roles: api-gateway, code-review" in ui.footer
        assert ui.source.acts == []


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_how_many_are_marked_shows_at_once(size: tuple[int, int]) -> None:
    async with open_ui("calm", size) as ui:
        drawn: list[str] = []
        agents = ui.app.main.agents
        draw = agents.redraw_head
        agents.redraw_head = lambda: (drawn.append("head"), draw())[1]  # type: ignore[method-assign]
        await ui.press("space")
        assert drawn
        assert ui.has("AGENTS 9", "1 marked")
