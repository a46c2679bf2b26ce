"""What is wrong is seen on every page, `p` goes there from anywhere, and no word of it is false."""

import pytest

from tests.ui import scenes
from tests.ui.harness import Seat, seated

GONE = "connection reset"
PAGES = {"task": ("tab", "enter"), "agent": ("enter",), "log": ("l",), "help": ("question_mark",), "form": ("n",)}


async def lose_broker(seat: Seat) -> None:
    seat.source.link(False, GONE)
    await seat.settle()


@pytest.mark.asyncio
@pytest.mark.parametrize("page", PAGES)
async def test_a_lost_broker_is_seen_on_every_page(page: str) -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press(*PAGES[page])
        assert not seat.has("BROKER LOST")
        await lose_broker(seat)
        assert "the broker is lost: connection reset" in seat.footer
        await seat.pass_(8.0)
        assert seat.has("BROKER LOST 8 s ago", GONE)
        assert seat.has("BROKER LOST", "p shows") == (page != "form"), "in the form p is a letter"
        seat.source.link(True)
        await seat.settle()
        assert not seat.has("BROKER LOST")
        assert "the broker is back" in seat.footer


@pytest.mark.asyncio
async def test_a_page_opened_while_the_broker_is_lost_says_so() -> None:
    async with seated("lost", (80, 24)) as seat:
        for keys in (("enter",), ("escape", "n"), ("escape", "tab", "enter")):
            await seat.press(*keys)
            assert seat.app.screen is not seat.app.main
            assert seat.has("BROKER LOST")


@pytest.mark.asyncio
async def test_a_link_that_went_and_came_at_once_is_told_too() -> None:
    async with seated("calm", (80, 24)) as seat:
        seat.source.link(False, GONE)
        seat.source.link(True)
        await seat.settle()
        assert "the broker is back" in seat.footer


@pytest.mark.asyncio
async def test_problems_show_whatever_narrowed_the_view_and_that_is_there_again_afterwards() -> None:
    async with seated("trouble", (120, 40)) as seat:
        main = seat.app.main
        await seat.press("slash")
        await seat.type("docs")
        await seat.press("enter", "tab", "left_square_bracket")
        assert seat.has("TASKS", "done")
        await seat.press("p")
        assert main.agents.current() == "deployment-01"
        assert main.panel == "agents"
        assert {"task_c0ffee", "task_d3adbf"} <= set(main.tasks.rows.ids())
        await seat.press("p")
        assert main.agents.rows.ids() == ["docs-01"]
        assert (main.tasks.tab, seat.app.state.tab) == (6, 6)
        assert seat.app.state.filters["agents"] == "docs"


@pytest.mark.asyncio
async def test_what_narrows_the_problems_is_not_what_narrowed_all() -> None:
    async with seated("trouble", (120, 40)) as seat:
        await seat.press("p", "tab", "left_square_bracket")
        assert seat.has("No task in trouble is done")
        await seat.press("slash")
        await seat.type("nothing")
        await seat.press("enter")
        assert seat.has("No task in trouble matches")
        await seat.press("escape", "escape")
        assert seat.has("AGENTS 9")
        assert (seat.app.state.tab, seat.app.state.filters["tasks"]) == (0, "")


@pytest.mark.asyncio
async def test_problems_from_a_page_always_go_there() -> None:
    async with seated("trouble", (120, 40)) as seat:
        await seat.press("p", "tab", "enter")
        assert seat.app.screen is not seat.app.main
        await seat.press("p")
        assert seat.app.screen is seat.app.main
        assert seat.app.main.agents.problems
        assert seat.app.main.agents.current() == "deployment-01"


@pytest.mark.asyncio
async def test_with_nothing_wrong_p_says_so_and_closes_no_page() -> None:
    async with seated("calm", (120, 40)) as seat:
        await seat.press("enter", "p")
        assert "nothing is wrong" in seat.footer
        assert seat.app.screen is not seat.app.main


@pytest.mark.asyncio
async def test_without_a_broker_nobody_is_said_to_be_well() -> None:
    async with seated("lost", (120, 40)) as seat:
        await seat.press("p")
        assert seat.has("No agent was in trouble when the broker was lost")
        assert seat.has("No task was in trouble when the broker was lost")
        scenes.task(seat.source, seat.clock, "task_x", "testing.run", end="approve", error="asks")
        await seat.settle()
        assert seat.has("task_x")
