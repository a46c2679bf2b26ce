"""The cursor stays on what it was put on: it is known by its id, never by its row."""

import pytest

from swarm_tui.protocol.bodies import HostControl
from tests.ui import scenes
from tests.ui.harness import Seat, seated


def drained(seat: Seat) -> list[str | None]:
    """The agents that were told to drain."""
    return [body.agent_id for _, body, _ in seat.source.acts if isinstance(body, HostControl)]


@pytest.mark.asyncio
async def test_the_selected_agent_survives_the_problems_and_back() -> None:
    async with seated("calm", (80, 24)) as seat:
        scenes.task(seat.source, seat.clock, "task_bad", "code.review", "code-review-01", end="failed", error="no file")
        await seat.settle()
        await seat.press("5", "p")
        assert seat.app.main.agents.count() == 0
        await seat.press("escape", "shift+tab")
        assert seat.app.main.agents.current() == "docs-01"
        await seat.press("d")
        assert drained(seat) == ["docs-01"]


@pytest.mark.asyncio
async def test_the_selected_survives_a_filter_that_hides_it() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("5", "slash")
        await seat.type("testing")
        await seat.press("enter")
        assert seat.app.main.agents.current() == "testing-01"
        await seat.press("escape")
        assert seat.app.main.agents.current() == "docs-01"
        await seat.press("tab")
        tasks = seat.app.main.tasks
        tasks.select("task_aa1e30")
        await seat.press("right_square_bracket", "right_square_bracket")
        assert tasks.current() != "task_aa1e30"
        await seat.press("right_square_bracket")
        assert tasks.current() == "task_aa1e30"
        await seat.press("left_square_bracket", "escape")
        assert tasks.current() == "task_aa1e30"


@pytest.mark.asyncio
async def test_what_was_acted_on_or_moved_to_under_a_filter_stays_selected() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("5", "slash")
        await seat.type("testing")
        await seat.press("enter", "d", "escape")
        assert seat.app.main.agents.current() == "testing-01"
        await seat.press("d")
        assert drained(seat) == ["testing-01", "testing-01"]
        await seat.press("slash")
        await seat.type("database")
        await seat.press("enter", "k", "escape")
        assert seat.app.main.agents.current() == "database-01"


@pytest.mark.asyncio
async def test_the_worst_is_under_the_cursor_only_while_the_problems_show() -> None:
    async with seated("trouble", (80, 24)) as seat:
        await seat.press("5", "p")
        assert seat.app.main.agents.current() == "deployment-01"
        await seat.press("p")
        assert seat.app.main.agents.current() == "docs-01"
