"""The same keys on every list and page: find, leave, attach, logs, and a task's acts where its line stands."""

import pytest

from swarm_tui.config.user import Panels, UserConfig
from swarm_tui.protocol.bodies import TaskAct
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import Seat, seated
from tests.ui.test_walk import PAGES


async def find(seat: Seat, words: str) -> None:
    await seat.press("slash")
    await seat.type(words)
    await seat.press("enter")


def styled(seat: Seat, text: str) -> set[str]:
    """The words that stand out as found, on the lines that show."""
    match = seat.app.look["match"]
    page = seat.app.screen.query_one("#page")
    strips = [page.strip(index) for index in range(page.count())]  # type: ignore[attr-defined]
    return {
        s.text for strip in strips for s in strip if s.style and s.style.bgcolor == match.bgcolor and text in s.text
    }


@pytest.mark.asyncio
async def test_a_log_is_searched_from_its_end_and_enter_goes_on() -> None:
    async with seated("calm") as seat:
        seat.source.logs["docs-01"] = [f"line {n} {'KeyError: TOKEN' if n % 20 == 5 else 'fine'}" for n in range(60)]
        await seat.press("5", "l")
        await find(seat, "keyerror")
        page = seat.app.screen.query_one("#page")
        assert page.cursor == 45  # type: ignore[attr-defined]
        assert "line 3 of 3 that have it; enter goes on" in seat.footer
        assert styled(seat, "KeyError") == {"KeyError"}
        await seat.press("enter")
        assert page.cursor == 25  # type: ignore[attr-defined]
        await seat.press("enter", "enter")
        assert page.cursor == 45  # type: ignore[attr-defined]
        await find(seat, "x")
        assert "this page has no 'x'" in seat.footer
        await seat.press("escape")
        assert seat.has("LOG", "docs-01")
        await seat.press("escape")
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
async def test_a_page_that_was_searched_still_opens_what_is_found() -> None:
    async with seated("trouble") as seat:
        seat.app.pages.open_agent("testing-01")
        await seat.settle()
        await find(seat, "d3adbf")
        await seat.press("enter")
        assert seat.has("TASK", "task_d3adbf")
        await find(seat, "tasks/dead")
        await seat.press("enter")
        assert seat.has("MESSAGE", "tasks/dead")


@pytest.mark.asyncio
@pytest.mark.parametrize("page", [name for name in PAGES if name != "form"])
@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_leaving_works_on_every_page(page: str, key: str) -> None:
    async with seated("trouble") as seat:
        PAGES[page](seat)
        await seat.settle()
        await seat.press(key)
        assert seat.app._exit
        assert seat.source.acts == []


@pytest.mark.asyncio
async def test_the_agent_of_a_task_is_attached_and_its_log_opens_from_the_tasks() -> None:
    async with seated("calm") as seat:
        await seat.press("tab")
        tasks = seat.app.main.tasks
        tasks.select("task_77aa01")
        await seat.press("l")
        assert seat.has("LOG", "testing-01")
        await seat.press("escape", "a")
        assert "terminal" in seat.footer
        tasks.select("task_aa1e30")
        for key in ("a", "l"):
            await seat.press(key)
            assert "no agent has had this task yet" in seat.footer


@pytest.mark.asyncio
async def test_a_task_on_its_agents_page_is_cancelled_and_run_again_after_a_question() -> None:
    async with seated("trouble") as seat:
        seat.app.pages.open_agent("testing-01")
        await seat.settle()
        await seat.press("t")
        assert "this line is about no task" in seat.footer
        for name, key in (("task_d3adbf", "t"), ("task_77aa01", "c")):
            await find(seat, name)
            await seat.press(key)
            assert isinstance(seat.app.screen, ConfirmScreen)
            assert name in seat.app.screen.question
            await seat.press("y")
        told = [(kind.value, body.task_id) for kind, body, _ in seat.source.acts if isinstance(body, TaskAct)]
        assert told == [("tasks/redrive", "task_d3adbf"), ("tasks/cancel", "task_77aa01")]


@pytest.mark.asyncio
async def test_a_page_about_the_screen_takes_the_place_of_another_and_its_key_closes_it() -> None:
    async with seated("trouble") as seat:
        pages = {"M": "NOTICES", "E": "REFUSED", "question_mark": "HELP"}
        for key in ("M", "E", "question_mark", "E", "M", "question_mark"):
            await seat.press(key)
            assert seat.has(pages[key])
            assert len(seat.app.pages.screens()) == 2
        await seat.press("escape")
        for key in pages:
            await seat.press(key, key)
            assert seat.app.screen is seat.app.main
            seat.app.pages.open_task("task_77aa01")
            await seat.press(key, key)
            assert seat.has("TASK", "task_77aa01")
            seat.app.pages.to_main()
        await seat.press("l", "l")
        assert "this is it: Esc goes back" in seat.footer


@pytest.mark.asyncio
async def test_the_log_turns_to_another_agents_with_its_number() -> None:
    async with seated("calm") as seat:
        await seat.press("5", "l", "9")
        assert seat.has("LOG", "testing-01")
        await seat.press("9")
        assert "testing-01 is selected already" in seat.footer


@pytest.mark.asyncio
async def test_a_payloads_line_opens_no_agent_of_that_name() -> None:
    async with seated("trouble") as seat:
        seat.app.pages.open_task("task_d3adbf")
        await seat.settle()
        await find(seat, '"."')
        await seat.press("escape", "enter")
        assert seat.has("TASK", "task_d3adbf")


@pytest.mark.asyncio
async def test_a_panel_at_its_limit_says_so_and_turns_back_at_once() -> None:
    async with seated("calm") as seat:
        for _ in range(30):
            await seat.pilot.press("greater_than_sign")
        assert "cannot be larger here" in seat.footer
        largest = seat.app.main.arranged.rows
        await seat.press("less_than_sign")
        assert seat.app.main.arranged.rows != largest
        assert "cannot" not in seat.footer


@pytest.mark.asyncio
async def test_tab_says_that_there_is_one_panel_only() -> None:
    async with seated("calm", config=UserConfig(panels=Panels(show=["tasks"]))) as seat:
        await seat.press("tab")
        assert "no other panel is open" in seat.footer
