"""The mouse: what it is dragged over, or points at with its right button, is copied."""

import pytest
from textual.events import Click, MouseMove, MouseUp

from swarm_tui.protocol.topics import Kind
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


async def click_on(seat: Seat, words: str) -> None:
    """Click the first place where the screen shows these words."""
    y, line = next((y, line) for y, line in enumerate(seat.text()) if words in line)
    await seat.pilot.click(offset=(line.index(words), y))
    await seat.settle()


@pytest.mark.asyncio
async def test_a_click_into_a_pane_does_not_scroll_it() -> None:
    async with seated("calm") as seat:
        pane = seat.app.main.pane
        seat.source.panes.older["%0"] = [f"old {n}" for n in range(100)]
        seat.app.main.focus_panel("pane")
        await seat.press("g", "pagedown")
        top = pane.top
        await seat.pilot.click(pane, offset=(5, 6))
        await seat.settle()
        assert pane.top == top > 0


@pytest.mark.asyncio
async def test_a_click_on_the_scroll_bar_goes_there() -> None:
    async with seated("calm", (80, 24)) as seat:
        stream = seat.app.main.stream
        seat.app.main.focus_panel("stream")
        await seat.settle()
        last = stream.count() - stream.room
        right = stream.size.width - 1
        await seat.pilot.click(stream, offset=(right, stream.HEAD))
        assert (stream.top, stream.tail) == (0, False)
        await seat.pilot.click(stream, offset=(right, stream.HEAD + stream.room // 2))
        assert 0.4 * last < stream.top < 0.7 * last
        await seat.pilot.click(stream, offset=(right, stream.HEAD + stream.room - 1))
        assert stream.top == last


@pytest.mark.asyncio
async def test_a_click_on_a_hint_does_what_its_key_does() -> None:
    async with seated("trouble", (80, 24)) as seat:
        await click_on(seat, "n new")
        assert seat.has("NEW TASK")
        await click_on(seat, "close  ")
        assert seat.app.screen is seat.app.main
        await click_on(seat, "? help")
        assert seat.has("HELP")
        await seat.press("escape")
        await click_on(seat, "refused: E")
        assert seat.has("REFUSED")
        await seat.press("escape", "H")
        await click_on(seat, "Esc no")
        assert seat.app.screen is seat.app.main
        await seat.press("H")
        await click_on(seat, "yes, halt  ")
        assert [kind for kind, _, _ in seat.source.acts] == [Kind.HALT]
