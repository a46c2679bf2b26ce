"""The wall under a person's hands."""

import pytest

from swarm_tui.protocol.bodies import Halt, Status
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.wall import WallScreen
from tests.ui.harness import Seat, seated


def wall_of(seat: Seat) -> WallScreen:
    screen = seat.app.screen
    assert isinstance(screen, WallScreen)
    return screen


async def join(seat: Seat, *names: str) -> None:
    """Agents without a pane join."""
    for name in names:
        seat.source.say(name, Kind.STATUS, Status(status="online", role="general", incarnation="i"), name)
    await seat.settle()


@pytest.mark.asyncio
async def test_a_click_takes_the_focus_and_a_double_click_zooms() -> None:
    async with seated("calm", (80, 24)) as seat:
        seat.source.panes.screens["%1"] = [f"line {n}" for n in range(60)]
        await seat.press("w")
        wall = wall_of(seat)
        tile = wall.tiles[1]
        top = tile.top
        await seat.pilot.click(tile, offset=(3, 4))
        await seat.settle()
        assert wall.agent_ids() == ["code-review-01"]
        assert tile.top == top > 0
        await seat.pilot.click(tile, offset=(3, 4), times=2)
        await seat.settle()
        assert [tile.agent_id for tile in wall.tiles] == ["code-review-01"]
        assert seat.has("code-review-01", "Esc shows all")
        assert seat.has("broker 127.0.0.1:1883", "task-manager-01")


@pytest.mark.asyncio
async def test_who_joins_without_a_pane_blanks_no_tile() -> None:
    async with seated("calm") as seat:
        await seat.press("w")
        assert seat.has("line 0 表示 of database-01")
        await join(seat, "a-new-one")
        wall = wall_of(seat)
        assert wall.tiles[0].agent_id == "a-new-one"
        assert seat.has("line 0 表示 of database-01")
        assert [tile.region.x for tile in wall.tiles[:3]] == sorted(tile.region.x for tile in wall.tiles[:3])
        assert len({tile.region.y for tile in wall.tiles[:3]}) == 1
        await seat.press("right_square_bracket")
        assert seat.has("line 0 表示 of testing-01")
        await join(seat, "zoo-1")
        assert [tile.agent_id for tile in wall.tiles] == ["testing-01", "zoo-1"]
        assert seat.has("line 0 表示 of testing-01")


@pytest.mark.asyncio
async def test_it_shows_all_agents_whatever_the_panel_shows() -> None:
    async with seated("calm") as seat:
        await seat.press("slash")
        await seat.type("docs")
        await seat.press("enter", "w")
        assert len(wall_of(seat).tiles) == 9


@pytest.mark.asyncio
async def test_the_wall_of_an_empty_swarm_says_what_to_do_next() -> None:
    async with seated("empty", (80, 24)) as seat:
        await seat.press("w")
        assert seat.has("No agent yet")
        assert seat.has("swarm-tui up")
        await join(seat, "first-01")
        assert not seat.has("No agent yet")
        assert seat.has("first-01", "online")


@pytest.mark.asyncio
async def test_a_number_is_the_agents_own_on_every_page() -> None:
    async with seated("calm", (80, 24)) as seat:
        await join(seat, "zoo-1", "zoo-2", "zoo-3")
        await seat.press("w", "right_square_bracket", "3")
        wall = wall_of(seat)
        assert wall.agent_ids() == ["database-01"]
        assert wall.focused is wall.tiles[2]
        await seat.press("enter", "4")
        assert [tile.agent_id for tile in wall.tiles] == ["deployment-01"]
    async with seated("empty", (80, 24)) as seat:
        await join(seat, "one-01")
        await seat.press("w", "4")
        assert "there is no agent 4" in seat.footer


@pytest.mark.asyncio
async def test_commands_copies_and_follow_work_in_it() -> None:
    async with seated("calm") as seat:
        await seat.press("w", "j", "colon")
        await join(seat, "late-01")
        await seat.type("zoom")
        await seat.press("enter")
        wall = wall_of(seat)
        assert wall.zoomed == "code-review-01"
        await seat.press("escape", "Y")
        assert seat.app.clipboard.splitlines()[1] == "● line 0 表示 of code-review-01"
        await seat.pilot.click(wall.lines, offset=(3, 2), button=3)
        await seat.settle()
        assert seat.app.clipboard == "● line 0 表示 of code-review-01"
        seat.source.panes.older["%1"] = [f"old {n}" for n in range(50)]
        await seat.press("g")
        assert seat.has("old 0")
        assert seat.has("code-review-01", "held: f")
        await seat.press("f")
        assert not seat.has("old 0")


@pytest.mark.asyncio
async def test_trouble_shows_in_it_and_can_be_put_aside() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("w")
        assert "online" in seat.text()[2]
        seat.source.say("operator:ada@devbox", Kind.HALT, Halt(reason="smoke"))
        await seat.settle()
        assert "halt" in seat.text()[2].lower()
        await seat.press("p")
        assert seat.app.screen is seat.app.main
    async with seated("trouble", (80, 24)) as seat:
        await seat.press("w")
        assert "deployment-01 crashloop" in seat.text()[2]
        await seat.press("x")
        assert "deployment-01 crashloop" not in seat.text()[2]
