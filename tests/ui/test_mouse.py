"""The mouse: what it is dragged over, or points at with its right button, is copied."""

import pytest
from textual.events import Click, MouseMove, MouseUp

from swarm_tui.protocol.topics import Kind
from tests.ui.harness import UiDriver, open_ui


async def drag(ui: UiDriver, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press the button on the agents panel at (x, y), move, let go."""
    agents = ui.app.main.agents
    await ui.pilot.mouse_down(agents, offset=start)
    await ui.pilot._post_mouse_events([MouseMove], agents, offset=end, button=1)
    await ui.pilot._post_mouse_events([MouseUp, Click], agents, offset=end, button=1)
    await ui.settle()


@pytest.mark.asyncio
async def test_what_is_dragged_over_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        left = ui.text()[4].index("code-review-01")
        await drag(ui, (left, 2), (left + len("code-review-01") - 1, 2))
        assert ui.app.clipboard == "code-review-01"
        assert ui.app.main.agents.cursor == 0, "dragging is no click"
        await drag(ui, (left, 2), (left + 4, 3))
        assert ui.app.clipboard.splitlines()[0].startswith("code-review-01")
        assert ui.app.clipboard.splitlines()[1].endswith("database-01"[:5])
        assert "copied 2 lines" in ui.footer


@pytest.mark.asyncio
async def test_the_right_button_copies_what_is_under_it() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.pilot.click(ui.app.main.agents, offset=(20, 3), button=3)
        await ui.settle()
        assert ui.app.clipboard == "database-01"
        assert "copied database-01" in ui.footer


@pytest.mark.asyncio
async def test_the_right_button_copies_one_line_of_a_pane() -> None:
    async with open_ui("calm") as ui:
        await ui.pilot.click(ui.app.main.pane, offset=(4, 3), button=3)
        await ui.settle()
        assert ui.app.clipboard == "12:00:01 GET /tasks 200 1ms"


async def click_on(ui: UiDriver, words: str) -> None:
    """Click the first place where the screen shows these words."""
    y, line = next((y, line) for y, line in enumerate(ui.text()) if words in line)
    await ui.pilot.click(offset=(line.index(words), y))
    await ui.settle()


@pytest.mark.asyncio
async def test_a_click_into_a_pane_does_not_scroll_it() -> None:
    async with open_ui("calm") as ui:
        pane = ui.app.main.pane
        ui.source.panes.older["%0"] = [f"old {n}" for n in range(100)]
        ui.app.main.focus_panel("pane")
        await ui.press("g", "pagedown")
        top = pane.top
        await ui.pilot.click(pane, offset=(5, 6))
        await ui.settle()
        assert pane.top == top > 0


@pytest.mark.asyncio
async def test_a_click_on_the_scroll_bar_goes_there() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        stream = ui.app.main.stream
        ui.app.main.focus_panel("stream")
        await ui.settle()
        last = stream.count() - stream.room
        right = stream.size.width - 1
        await ui.pilot.click(stream, offset=(right, stream.HEAD))
        assert (stream.top, stream.tail) == (0, False)
        await ui.pilot.click(stream, offset=(right, stream.HEAD + stream.room // 2))
        assert 0.4 * last < stream.top < 0.7 * last
        await ui.pilot.click(stream, offset=(right, stream.HEAD + stream.room - 1))
        assert stream.top == last


@pytest.mark.asyncio
async def test_a_click_on_a_hint_does_what_its_key_does() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await click_on(ui, "n new")
        assert ui.has("NEW TASK")
        await click_on(ui, "close  ")
        assert ui.app.screen is ui.app.main
        await click_on(ui, "? help")
        assert ui.has("HELP")
        await ui.press("escape")
        await click_on(ui, "refused: E")
        assert ui.has("REFUSED")
        await ui.press("escape", "H")
        await click_on(ui, "Esc no")
        assert ui.app.screen is ui.app.main
        await ui.press("H")
        await click_on(ui, "yes, halt  ")
        assert [kind for kind, _, _ in ui.source.acts] == [Kind.HALT]
