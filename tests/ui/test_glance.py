"""What is wrong is seen on every page, `p` goes there from anywhere, and no word of it is false."""

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from swarm_tui.protocol.envelope import Rejected
from swarm_tui.ui.widgets.header import Header
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui

GONE = "connection reset"
PAGES = {"task": ("tab", "enter"), "agent": ("enter",), "log": ("l",), "help": ("question_mark",), "form": ("n",)}


async def lose_broker(ui: UiDriver) -> None:
    ui.source.link(False, GONE)
    await ui.settle()


@pytest.mark.asyncio
@pytest.mark.parametrize("page", PAGES)
async def test_a_lost_broker_is_seen_on_every_page(page: str) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press(*PAGES[page])
        assert not ui.has("BROKER LOST")
        await lose_broker(ui)
        assert "the broker is lost: connection reset" in ui.footer
        await ui.pass_(8.0)
        assert ui.has("BROKER LOST 8 s ago", GONE)
        assert ui.has("BROKER LOST", "p shows") == (page != "form"), "in the form p is a letter"
        ui.source.link(True)
        await ui.settle()
        assert not ui.has("BROKER LOST")
        assert "the broker is back" in ui.footer


@pytest.mark.asyncio
async def test_a_page_opened_while_the_broker_is_lost_says_so() -> None:
    async with open_ui("lost", (80, 24)) as ui:
        for keys in (("enter",), ("escape", "n"), ("escape", "tab", "enter")):
            await ui.press(*keys)
            assert ui.app.screen is not ui.app.main
            assert ui.has("BROKER LOST")


@pytest.mark.asyncio
async def test_a_link_that_went_and_came_at_once_is_told_too() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.source.link(False, GONE)
        ui.source.link(True)
        await ui.settle()
        assert "the broker is back" in ui.footer


@pytest.mark.asyncio
async def test_problems_show_whatever_narrowed_the_view_and_that_is_there_again_afterwards() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        main = ui.app.main
        await ui.press("slash")
        await ui.type("docs")
        await ui.press("enter", "tab", "left_square_bracket")
        assert ui.has("TASKS", "done")
        await ui.press("p")
        assert main.agents.current() == "deployment-01"
        assert main.panel == "agents"
        assert {"task_c0ffee", "task_d3adbf"} <= set(main.tasks.rows.ids())
        await ui.press("p")
        assert main.agents.rows.ids() == ["docs-01"]
        assert (main.tasks.tab, ui.app.state.tab) == (6, 6)
        assert ui.app.state.filters["agents"] == "docs"


@pytest.mark.asyncio
async def test_what_narrows_the_problems_is_not_what_narrowed_all() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        await ui.press("p", "tab", "left_square_bracket")
        assert ui.has("No task in trouble is done")
        await ui.press("slash")
        await ui.type("nothing")
        await ui.press("enter")
        assert ui.has("No task in trouble matches")
        await ui.press("escape", "escape")
        assert ui.has("AGENTS 9")
        assert (ui.app.state.tab, ui.app.state.filters["tasks"]) == (0, "")


@pytest.mark.asyncio
async def test_problems_from_a_page_always_go_there() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        await ui.press("p", "tab", "enter")
        assert ui.app.screen is not ui.app.main
        await ui.press("p")
        assert ui.app.screen is ui.app.main
        assert ui.app.main.agents.problems
        assert ui.app.main.agents.current() == "deployment-01"


@pytest.mark.asyncio
async def test_with_nothing_wrong_p_says_so_and_closes_no_page() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        await ui.press("enter", "p")
        assert "nothing is wrong" in ui.footer
        assert ui.app.screen is not ui.app.main


@pytest.mark.asyncio
async def test_without_a_broker_nobody_is_said_to_be_well() -> None:
    async with open_ui("lost", (120, 40)) as ui:
        await ui.press("p")
        assert ui.has("No agent was in trouble when the broker was lost")
        assert ui.has("No task was in trouble when the broker was lost")
        scenes.task(ui.source, ui.clock, "task_x", "testing.run", end="approve", error="asks")
        await ui.settle()
        assert ui.has("task_x")


@pytest.mark.asyncio
@pytest.mark.parametrize(("width", "said"), [(80, "guests: work"), (200, "open to guests: work")])
async def test_the_header_says_how_the_swarm_is_guarded_and_the_stream_what_was_refused(width: int, said: str) -> None:
    async with open_ui("calm", (width, 24)) as ui:
        main = ui.app.main
        header = main.query_one(Header)
        for guard, words in (("open to guests: work", said), ("closed", "closed"), ("unguarded", "unguarded")):
            header.facts = replace(header.facts, guard=guard)
            first = "".join(part.text for part in header.lines(width)[0])
            assert f"  {words} " in first
            assert cell_len(first) == width
        header.facts = replace(header.facts, guard="")
        main.desk.model.guard = "closed"
        assert "  closed " in "".join(part.text for part in header.lines(width)[0]), "as its dispatcher said"
        forged = b'{"id":"1","agent_id":"operator:mallory@x"}'
        ui.source.items.append(
            Rejected(
                topic=f"{ui.source.facts.swarm}/tasks/approve",
                reason="an order without proof",
                first=forged.decode(),
                received=ui.clock(),
                who="operator:mallory@x",
                unproved=True,
            )
        )
        await ui.settle()
        await ui.pass_(1.0)
        assert ui.has("tasks/approve", "refused: an order without proof")
        assert ui.has("1 refused")
        assert ui.has("mallory@x")
