"""Facts fade as they grow old, the dead have no pulse, and a lost broker is charged to nobody."""

import pytest
from rich.segment import Segment

from swarm_tui.ui.widgets.agents import AgentTable
from tests.ui import scenes
from tests.ui.fake import START
from tests.ui.harness import Seat, seated


def cells(seat: Seat, agent: str, head: str) -> list[Segment]:
    """The cell of an agent's row under `head`."""
    table: AgentTable = seat.app.main.agents
    column, width = next((c, w) for c, w in table.laid(119) if c.head == head)
    return column.draw(seat.app.model.fleet.agents[agent], table.scene(), width)


def glyphs(seat: Seat, agent: str, head: str) -> tuple[object, bool]:
    style = cells(seat, agent, head)[0].style
    assert style is not None
    return style.color, bool(style.dim)


def told(seat: Seat, agent: str, head: str) -> str:
    return "".join(segment.text for segment in cells(seat, agent, head)).strip()


@pytest.mark.asyncio
async def test_what_was_measured_fades_with_its_age() -> None:
    async with seated("calm") as seat:
        new = glyphs(seat, "docs-01", "MEM")
        seen = {new}
        for _ in range(6):
            await seat.pass_(9.0)
            scenes.beat(seat.source, seat.clock, seat.clock(), without=("docs-01",))
            await seat.settle()
            seen.add(glyphs(seat, "docs-01", "MEM"))
        assert len(seen) == 3, "new, old, very old"
        assert glyphs(seat, "docs-01", "CPU")[1]
        assert glyphs(seat, "testing-01", "MEM") == new


@pytest.mark.asyncio
async def test_a_process_that_ended_measures_nothing() -> None:
    async with seated("trouble") as seat:
        assert (told(seat, "deployment-01", "MEM"), told(seat, "deployment-01", "CPU")) == ("-", "-")
        seat.app.pages.open_agent("deployment-01")
        await seat.settle()
        assert seat.has("beats", "last 2s ago, before its process ended")
        assert seat.has("memory", "was 31M")


@pytest.mark.asyncio
async def test_a_lost_broker_is_charged_to_nobody_then_and_afterwards() -> None:
    async with seated("calm") as seat:
        seat.source.link(False, "gone")
        await seat.settle()
        await seat.pass_(70.0)
        assert "×" not in told(seat, "docs-01", "BEATS")
        assert glyphs(seat, "docs-01", "SEEN")[0] == seat.app.look["quiet"].color
        seat.source.link(True)
        await seat.settle()
        await seat.pass_(8.0)
        assert glyphs(seat, "docs-01", "SEEN")[0] == seat.app.look["quiet"].color
        scenes.beat(seat.source, seat.clock, seat.clock())
        await seat.settle()
        assert "×" not in told(seat, "docs-01", "BEATS")
        await seat.pass_(21.0)
        assert "×" in told(seat, "docs-01", "BEATS")


@pytest.mark.asyncio
async def test_the_page_says_how_late_its_heartbeats_are() -> None:
    async with seated("calm") as seat:
        await seat.pass_(13.0)
        scenes.beat(seat.source, seat.clock, seat.clock())
        await seat.settle()
        seat.app.pages.open_agent("api-gateway-01")
        await seat.settle()
        assert seat.has("late    last 5.0 s, mean 0.4 s, worst 5.0 s, of 13")


@pytest.mark.asyncio
async def test_the_first_frame_below_a_closed_page_shows_the_ages_of_now() -> None:
    async with seated("calm", (120, 40)) as seat:
        scenes.task(seat.source, seat.clock, "task_waits", "code.review", ago=20.0)
        await seat.settle()
        assert seat.has("task_waits", "20s")
        for key in ("enter", "w", "ctrl+p"):
            await seat.press(key)
            was = seat.clock()
            await seat.pass_(10.0)
            assert seat.clock() == was + 10.0
            seat.app.pop_screen()
            line = next(line for line in seat.text() if "task_waits" in line)
            assert f"{20 + int(seat.clock() - START)}s" in line
            await seat.settle()
