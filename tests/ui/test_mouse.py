"""The mouse: what it is dragged over, or points at with its right button, is copied."""

import pytest
from textual.events import Click, MouseMove, MouseUp

from tests.ui.harness import Seat, seated


async def drag(seat: Seat, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press the button on the agents panel at (x, y), move, let go."""
    agents = seat.app.main.agents
    await seat.pilot.mouse_down(agents, offset=start)
    await seat.pilot._post_mouse_events([MouseMove], agents, offset=end, button=1)
    await seat.pilot._post_mouse_events([MouseUp, Click], agents, offset=end, button=1)
    await seat.settle()


@pytest.mark.asyncio
async def test_what_is_dragged_over_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    async with seated("calm", (80, 24)) as seat:
        left = seat.text()[4].index("code-review-01")
        await drag(seat, (left, 2), (left + len("code-review-01") - 1, 2))
        assert seat.app.clipboard == "code-review-01"
        assert seat.app.main.agents.cursor == 0, "dragging is no click"
        await drag(seat, (left, 2), (left + 4, 3))
        assert seat.app.clipboard.splitlines()[0].startswith("code-review-01")
        assert seat.app.clipboard.splitlines()[1].endswith("database-01"[:5])
        assert "copied 2 lines" in seat.footer


@pytest.mark.asyncio
async def test_the_right_button_copies_what_is_under_it() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.pilot.click(seat.app.main.agents, offset=(20, 3), button=3)
        await seat.settle()
        assert seat.app.clipboard == "database-01"
        assert "copied database-01" in seat.footer


@pytest.mark.asyncio
async def test_the_right_button_copies_one_line_of_a_pane() -> None:
    async with seated("calm") as seat:
        await seat.pilot.click(seat.app.main.pane, offset=(4, 3), button=3)
        await seat.settle()
        assert seat.app.clipboard == "12:00:01 GET /tasks 200 1ms"
