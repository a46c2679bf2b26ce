"""The same keys on every list and page: find, leave, attach, logs, and a task's acts where its line stands."""

import pytest

from swarm_tui.config.user import Panels, UserConfig
from swarm_tui.protocol.bodies import TaskAct
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import UiDriver, open_ui
from tests.ui.test_walk import PAGES


async def find(ui: UiDriver, words: str) -> None:
    await ui.press("slash")
    await ui.type(words)
    await ui.press("enter")


def styled(ui: UiDriver, text: str) -> set[str]:
    """The words that stand out as found, on the lines that show."""
    match = ui.app.look["match"]
    page = ui.app.screen.query_one("#page")
    strips = [page.strip(index) for index in range(page.count())]  # type: ignore[attr-defined]
    return {
        s.text for strip in strips for s in strip if s.style and s.style.bgcolor == match.bgcolor and text in s.text
    }


@pytest.mark.asyncio
async def test_a_log_is_searched_from_its_end_and_enter_goes_on() -> None:
    async with open_ui("calm") as ui:
        ui.source.logs["docs-01"] = [f"line {n} {'KeyError: TOKEN' if n % 20 == 5 else 'fine'}" for n in range(60)]
        await ui.press("5", "l")
        await find(ui, "keyerror")
        page = ui.app.screen.query_one("#page")
        assert page.cursor == 45  # type: ignore[attr-defined]
        assert "line 3 of 3 that have it; enter goes on" in ui.footer
        assert styled(ui, "KeyError") == {"KeyError"}
        await ui.press("enter")
        assert page.cursor == 25  # type: ignore[attr-defined]
        await ui.press("enter", "enter")
        assert page.cursor == 45  # type: ignore[attr-defined]
        await find(ui, "x")
        assert "this page has no 'x'" in ui.footer
        await ui.press("escape")
        assert ui.has("LOG", "docs-01")
        await ui.press("escape")
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
async def test_a_page_that_was_searched_still_opens_what_is_found() -> None:
    async with open_ui("trouble") as ui:
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        await find(ui, "d3adbf")
        await ui.press("enter")
        assert ui.has("TASK", "task_d3adbf")
        await find(ui, "tasks/dead")
        await ui.press("enter")
        assert ui.has("MESSAGE", "tasks/dead")


@pytest.mark.asyncio
@pytest.mark.parametrize("page", [name for name in PAGES if name != "form"])
@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_leaving_works_on_every_page(page: str, key: str) -> None:
    async with open_ui("trouble") as ui:
        PAGES[page](ui)
        await ui.settle()
        await ui.press(key)
        assert ui.app._exit
        assert ui.source.acts == []


@pytest.mark.asyncio
async def test_the_agent_of_a_task_is_attached_and_its_log_opens_from_the_tasks() -> None:
    async with open_ui("calm") as ui:
        await ui.press("tab")
        tasks = ui.app.main.tasks
        tasks.select("task_77aa01")
        await ui.press("l")
        assert ui.has("LOG", "testing-01")
        await ui.press("escape", "a")
        assert "terminal" in ui.footer
        tasks.select("task_aa1e30")
        for key in ("a", "l"):
            await ui.press(key)
            assert "no agent has had this task yet" in ui.footer


@pytest.mark.asyncio
async def test_a_task_on_its_agents_page_is_cancelled_and_run_again_after_a_question() -> None:
    async with open_ui("trouble") as ui:
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        await ui.press("t")
        assert "this line is about no task" in ui.footer
        for name, key in (("task_d3adbf", "t"), ("task_77aa01", "c")):
            await find(ui, name)
            await ui.press(key)
            assert isinstance(ui.app.screen, ConfirmScreen)
            assert name in ui.app.screen.question
            await ui.press("y")
        told = [(kind.value, body.task_id) for kind, body, _ in ui.source.acts if isinstance(body, TaskAct)]
        assert told == [("tasks/redrive", "task_d3adbf"), ("tasks/cancel", "task_77aa01")]


@pytest.mark.asyncio
async def test_a_page_about_the_screen_takes_the_place_of_another_and_its_key_closes_it() -> None:
    async with open_ui("trouble") as ui:
        pages = {"I": "NOTICES", "E": "REFUSED", "question_mark": "HELP"}
        for key in ("I", "E", "question_mark", "E", "I", "question_mark"):
            await ui.press(key)
            assert ui.has(pages[key])
            assert len(ui.app.pages.screens()) == 2
        await ui.press("escape")
        for key in pages:
            await ui.press(key, key)
            assert ui.app.screen is ui.app.main
            ui.app.pages.open_task("task_77aa01")
            await ui.press(key, key)
            assert ui.has("TASK", "task_77aa01")
            ui.app.pages.to_main()
        await ui.press("l", "l")
        assert "this is it: Esc goes back" in ui.footer


@pytest.mark.asyncio
async def test_the_log_turns_to_another_agents_with_its_number() -> None:
    async with open_ui("calm") as ui:
        await ui.press("5", "l", "9")
        assert ui.has("LOG", "testing-01")
        await ui.press("9")
        assert "testing-01 is selected already" in ui.footer


@pytest.mark.asyncio
async def test_a_payloads_line_opens_no_agent_of_that_name() -> None:
    async with open_ui("trouble") as ui:
        ui.app.pages.open_task("task_d3adbf")
        await ui.settle()
        await find(ui, '"."')
        await ui.press("escape", "enter")
        assert ui.has("TASK", "task_d3adbf")


@pytest.mark.asyncio
async def test_a_panel_at_its_limit_says_so_and_turns_back_at_once() -> None:
    async with open_ui("calm") as ui:
        for _ in range(30):
            await ui.pilot.press("greater_than_sign")
        assert "cannot be larger here" in ui.footer
        largest = ui.app.main.arranged.rows
        await ui.press("less_than_sign")
        assert ui.app.main.arranged.rows != largest
        assert "cannot" not in ui.footer


@pytest.mark.asyncio
async def test_tab_says_that_there_is_one_panel_only() -> None:
    async with open_ui("calm", config=UserConfig(panels=Panels(show=["tasks"]))) as ui:
        await ui.press("tab")
        assert "no other panel is open" in ui.footer
