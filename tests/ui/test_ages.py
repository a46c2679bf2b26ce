"""Facts fade as they grow old, the dead have no pulse, and a lost broker is charged to nobody."""

import pytest
from rich.segment import Segment

from swarm_tui.ui.widgets.agents import AgentTable
from tests.ui import scenes
from tests.ui.fake import START
from tests.ui.harness import UiDriver, open_ui


def cells(ui: UiDriver, agent: str, head: str) -> list[Segment]:
    """The cell of an agent's row under `head`."""
    table: AgentTable = ui.app.main.agents
    column, width = next((c, w) for c, w in table.laid(119) if c.head == head)
    return column.draw(ui.app.model.fleet.agents[agent], table.scene(), width)


def glyphs(ui: UiDriver, agent: str, head: str) -> tuple[object, bool]:
    style = cells(ui, agent, head)[0].style
    assert style is not None
    return style.color, bool(style.dim)


def told(ui: UiDriver, agent: str, head: str) -> str:
    return "".join(segment.text for segment in cells(ui, agent, head)).strip()


@pytest.mark.asyncio
async def test_what_was_measured_fades_with_its_age() -> None:
    async with open_ui("calm") as ui:
        new = glyphs(ui, "docs-01", "MEM")
        seen = {new}
        for _ in range(6):
            await ui.pass_(9.0)
            scenes.beat(ui.source, ui.clock, ui.clock(), without=("docs-01",))
            await ui.settle()
            seen.add(glyphs(ui, "docs-01", "MEM"))
        assert len(seen) == 3, "new, old, very old"
        assert glyphs(ui, "docs-01", "CPU")[1]
        assert glyphs(ui, "testing-01", "MEM") == new


@pytest.mark.asyncio
async def test_a_process_that_ended_measures_nothing() -> None:
    async with open_ui("trouble") as ui:
        assert (told(ui, "deployment-01", "MEM"), told(ui, "deployment-01", "CPU")) == ("-", "-")
        ui.app.pages.open_agent("deployment-01")
        await ui.settle()
        assert ui.has("beats", "last 2s ago, before its process ended")
        assert ui.has("memory", "was 31M")


@pytest.mark.asyncio
async def test_a_lost_broker_is_charged_to_nobody_then_and_afterwards() -> None:
    async with open_ui("calm") as ui:
        ui.source.link(False, "gone")
        await ui.settle()
        await ui.pass_(70.0)
        assert "×" not in told(ui, "docs-01", "BEATS")
        assert glyphs(ui, "docs-01", "SEEN")[0] == ui.app.look["quiet"].color
        ui.source.link(True)
        await ui.settle()
        await ui.pass_(8.0)
        assert glyphs(ui, "docs-01", "SEEN")[0] == ui.app.look["quiet"].color
        scenes.beat(ui.source, ui.clock, ui.clock())
        await ui.settle()
        assert "×" not in told(ui, "docs-01", "BEATS")
        await ui.pass_(21.0)
        assert "×" in told(ui, "docs-01", "BEATS")


@pytest.mark.asyncio
async def test_the_page_says_how_late_its_heartbeats_are() -> None:
    async with open_ui("calm") as ui:
        await ui.pass_(13.0)
        scenes.beat(ui.source, ui.clock, ui.clock())
        await ui.settle()
        ui.app.pages.open_agent("api-gateway-01")
        await ui.settle()
        assert ui.has("late    last 5.0 s, mean 0.4 s, worst 5.0 s, of 13")


@pytest.mark.asyncio
async def test_the_first_frame_below_a_closed_page_shows_the_ages_of_now() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        scenes.task(ui.source, ui.clock, "task_waits", "code.review", ago=20.0)
        await ui.settle()
        assert ui.has("task_waits", "20s")
        for key in ("enter", "w", "ctrl+p"):
            await ui.press(key)
            was = ui.clock()
            await ui.pass_(10.0)
            assert ui.clock() == was + 10.0
            ui.app.pop_screen()
            line = next(line for line in ui.text() if "task_waits" in line)
            assert f"{20 + int(ui.clock() - START)}s" in line
            await ui.settle()
