"""The wall under a person's hands."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.protocol.bodies import Halt, Status
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.wall import LEAST, TilePages, WallScreen
from tests.ui.harness import UiDriver, open_ui


def wall_of(ui: UiDriver) -> WallScreen:
    screen = ui.app.screen
    assert isinstance(screen, WallScreen)
    return screen


async def join(ui: UiDriver, *names: str) -> None:
    """Agents without a pane join."""
    for name in names:
        ui.source.say(name, Kind.STATUS, Status(status="online", role="general", incarnation="i"), name)
    await ui.settle()


@pytest.mark.asyncio
async def test_a_click_takes_the_focus_and_a_double_click_zooms() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.source.panes.screens["%1"] = [f"line {n}" for n in range(60)]
        await ui.press("w")
        wall = wall_of(ui)
        tile = wall.grid.tiles[1]
        top = tile.top
        await ui.pilot.click(tile, offset=(3, 4))
        await ui.settle()
        assert wall.agent_ids() == ["code-review-01"]
        assert tile.top == top > 0
        await ui.pilot.click(tile, offset=(3, 4), times=2)
        await ui.settle()
        assert [tile.agent_id for tile in wall.grid.tiles] == ["code-review-01"]
        assert ui.has("code-review-01", "Esc shows all")
        assert ui.has("broker 127.0.0.1:1883", "task-manager-01")


@pytest.mark.asyncio
async def test_who_joins_without_a_pane_blanks_no_tile() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("w")
        assert ui.has("line 3 表示 of database")
        await join(ui, "a-new-one")
        wall = wall_of(ui)
        assert wall.grid.tiles[0].agent_id == "a-new-one"
        assert ui.has("line 3 表示 of database")
        assert [tile.region.x for tile in wall.grid.tiles[:3]] == sorted(tile.region.x for tile in wall.grid.tiles[:3])
        assert len({tile.region.y for tile in wall.grid.tiles[:3]}) == 1
        await ui.press("right_square_bracket")
        assert ui.has("line 0 表示 of testing-01")
        await join(ui, "zoo-1")
        assert [tile.agent_id for tile in wall.grid.tiles] == ["testing-01", "zoo-1"]
        assert ui.has("line 0 表示 of testing-01")


@pytest.mark.asyncio
async def test_it_shows_all_agents_whatever_the_panel_shows() -> None:
    async with open_ui("calm") as ui:
        await ui.press("slash")
        await ui.type("docs")
        await ui.press("enter", "w")
        assert len(wall_of(ui).grid.tiles) == 9


@pytest.mark.asyncio
async def test_the_wall_of_an_empty_swarm_says_what_to_do_next() -> None:
    async with open_ui("empty", (80, 24)) as ui:
        await ui.press("w")
        assert ui.has("No agent yet")
        assert ui.has("swarm-tui up")
        await join(ui, "first-01")
        assert not ui.has("No agent yet")
        assert ui.has("first-01", "online")


@pytest.mark.asyncio
async def test_a_number_is_the_agents_own_on_every_page() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await join(ui, "zoo-1", "zoo-2", "zoo-3")
        await ui.press("w", "right_square_bracket", "3")
        wall = wall_of(ui)
        assert wall.agent_ids() == ["database-01"]
        assert wall.focused is wall.grid.tiles[2]
        await ui.press("enter", "4")
        assert [tile.agent_id for tile in wall.grid.tiles] == ["deployment-01"]
    async with open_ui("empty", (80, 24)) as ui:
        await join(ui, "one-01")
        await ui.press("w", "4")
        assert "there is no agent 4" in ui.footer


@pytest.mark.asyncio
async def test_commands_copies_and_follow_work_in_it() -> None:
    async with open_ui("calm") as ui:
        await ui.press("w", "j", "colon")
        await join(ui, "late-01")
        await ui.type("zoom")
        await ui.press("enter")
        wall = wall_of(ui)
        assert wall.zoomed == "code-review-01"
        await ui.press("escape", "Y")
        assert ui.app.clipboard.splitlines()[1] == "● line 0 表示 of code-review-01"
        await ui.pilot.click(wall.lines, offset=(3, 2), button=3)
        await ui.settle()
        assert ui.app.clipboard == "● line 0 表示 of code-review-01"
        ui.source.panes.older["%1"] = [f"old {n}" for n in range(50)]
        await ui.press("g")
        assert ui.has("old 0")
        assert ui.has("code-review-01", "held: f")
        await ui.press("f")
        assert not ui.has("old 0")


@pytest.mark.asyncio
async def test_trouble_shows_in_it_and_can_be_put_aside() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("w")
        assert "online" in ui.text()[2]
        ui.source.say("operator:ada@devbox", Kind.HALT, Halt(reason="smoke"))
        await ui.settle()
        assert "halt" in ui.text()[2].lower()
        await ui.press("p")
        assert ui.app.screen is ui.app.main
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("w")
        assert "deployment-01 crashloop" in ui.text()[2]
        await ui.press("x")
        assert "deployment-01 crashloop" not in ui.text()[2]


@pytest.mark.asyncio
async def test_many_agents_fill_what_there_is_and_each_tile_has_the_same_room() -> None:
    async with open_ui("calm", (200, 50)) as ui:
        await join(ui, *(f"more-{n:02d}" for n in range(16)))
        await ui.press("w")
        await ui.settle()
        wall = wall_of(ui)
        assert len(wall.grid.tiles) == 25
        assert wall.one_page() is not None
        sizes = {(tile.region.width, tile.region.height) for tile in wall.grid.tiles}
        assert all(width >= 24 and height >= 6 for width, height in sizes)
        assert sum(width * height for width, height in [tile.region.size for tile in wall.grid.tiles]) > 200 * 45 * 0.9


@pytest.mark.asyncio
async def test_the_first_page_has_the_worst_and_nobody_moves_while_a_page_shows() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await join(ui, *(f"more-{n:02d}" for n in range(16)))
        await ui.press("w")
        await ui.settle()
        wall = wall_of(ui)
        first = [tile.agent_id for tile in wall.grid.tiles]
        assert first[:2] == ["deployment-01", "docs-01"], "what is critical stands before what is not"
        assert first[2:] == sorted(first[2:]), "the others in the order of their numbers"
        assert ui.has("the worst first")
        await ui.press("right_square_bracket")
        await ui.settle()
        second = [tile.agent_id for tile in wall.grid.tiles]
        assert not set(first) & set(second)
        sick = Status(status="online", role="testing", incarnation="inc-8", trouble="its disk is full")
        ui.source.say("testing-01", Kind.STATUS, sick, "testing-01", role="testing")
        await ui.settle()
        assert [tile.agent_id for tile in wall.grid.tiles] == second
        while wall.pages._first:
            await ui.press("right_square_bracket")
        await ui.settle()
        assert "testing-01" in [tile.agent_id for tile in wall.grid.tiles[:3]], "it fell ill meanwhile"
        await ui.press("1")
        assert wall.grid.focused_agent == "api-gateway-01", "numbers are those of the agents panel"


@pytest.mark.parametrize("size", [(24, 9), (80, 24), (120, 40), (200, 50), (300, 20)])
@pytest.mark.parametrize("count", [1, 2, 9, 10, 25, 60])
def test_a_page_never_has_tiles_that_are_too_small(size: tuple[int, int], count: int) -> None:
    fleet = SimpleNamespace(agents={f"a-{n}": None for n in range(count)})
    pages = TilePages(cast(Any, SimpleNamespace(fleet=fleet)), lambda: size)
    shown = pages.shown()
    across = pages.across(len(shown))
    rows = -(-len(shown) // across)
    assert 1 <= len(shown) <= pages.fits()
    assert size[0] // across >= LEAST[0]
    assert size[1] // rows >= LEAST[1]
    assert len(shown) == min(count, pages.fits())


@pytest.mark.asyncio
async def test_a_line_that_is_too_long_for_a_tile_goes_on_below() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.source.panes.screens["%1"] = ["\x1b[31m" + "abcdefghij" * 4 + "\x1b[0m"]
        await ui.press("w")
        await ui.settle()
        tile = wall_of(ui).grid.tiles[1]
        assert tile.count() == 2
        assert "".join(part.text for row in tile._scrollback.lines for part in row) == "abcdefghij" * 4
        await ui.press("2", "z")
        await ui.settle()
        assert tile.count() == 1, "there is room for it now"


@pytest.mark.asyncio
@pytest.mark.parametrize("keys", [(), ("w",)])
async def test_a_screen_that_is_leaving_takes_a_tick(keys: tuple[str, ...]) -> None:
    async with open_ui() as ui:
        await ui.press(*keys)
        await ui.app.screen.query("*").remove()
        ui.app._running = False
        ui.app.updates.tick()
