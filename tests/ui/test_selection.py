"""The cursor stays on what it was put on: it is known by its id, never by its row."""

import pytest

from swarm_tui.protocol.bodies import HostControl
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui


def drained(ui: UiDriver) -> list[str | None]:
    """The agents that were told to drain."""
    return [body.agent_id for _, body, _ in ui.source.acts if isinstance(body, HostControl)]


@pytest.mark.asyncio
async def test_the_selected_agent_survives_the_problems_and_back() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad", "code.review", "code-review-01", end="failed", error="no file")
        await ui.settle()
        await ui.press("5", "p")
        assert ui.app.main.agents.count() == 0
        await ui.press("escape", "shift+tab")
        assert ui.app.main.agents.current() == "docs-01"
        await ui.press("d")
        assert drained(ui) == ["docs-01"]


@pytest.mark.asyncio
async def test_the_selected_survives_a_filter_that_hides_it() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("5", "slash")
        await ui.type("testing")
        await ui.press("enter")
        assert ui.app.main.agents.current() == "testing-01"
        await ui.press("escape")
        assert ui.app.main.agents.current() == "docs-01"
        await ui.press("tab")
        tasks = ui.app.main.tasks
        tasks.select("task_aa1e30")
        await ui.press("right_square_bracket", "right_square_bracket")
        assert tasks.current() != "task_aa1e30"
        await ui.press("right_square_bracket")
        assert tasks.current() == "task_aa1e30"
        await ui.press("left_square_bracket", "escape")
        assert tasks.current() == "task_aa1e30"


@pytest.mark.asyncio
async def test_what_was_acted_on_or_moved_to_under_a_filter_stays_selected() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("5", "slash")
        await ui.type("testing")
        await ui.press("enter", "d", "escape")
        assert ui.app.main.agents.current() == "testing-01"
        await ui.press("d")
        assert drained(ui) == ["testing-01", "testing-01"]
        await ui.press("slash")
        await ui.type("database")
        await ui.press("enter", "k", "escape")
        assert ui.app.main.agents.current() == "database-01"


@pytest.mark.asyncio
async def test_the_worst_is_under_the_cursor_only_while_the_problems_show() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("5", "p")
        assert ui.app.main.agents.current() == "deployment-01"
        await ui.press("p")
        assert ui.app.main.agents.current() == "docs-01"


@pytest.mark.asyncio
async def test_the_cursor_keeps_to_the_first_task_until_it_is_moved() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        tasks = ui.app.main.tasks
        await ui.press("tab")
        for name in ("task_held01", "task_held00"):
            scenes.task(ui.source, ui.clock, name, "code.review", end="held", error="lost", ago=60.0)
            await ui.settle()
            assert (tasks.cursor, tasks.top) == (0, 0)
        assert tasks.current() == "task_held00"
        await ui.press("j")
        moved = tasks.current()
        assert moved == "task_held01"
        scenes.task(ui.source, ui.clock, "task_approve", "code.review", end="approve", ago=90.0)
        await ui.settle()
        assert tasks.current() == moved


@pytest.mark.asyncio
async def test_the_problems_begin_at_the_top() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for number in range(3):
            scenes.task(
                ui.source,
                ui.clock,
                f"task_bad{number}",
                "code.review",
                "code-review-01",
                end="dead",
                ago=9 - number,
            )
        await ui.settle()
        tasks = ui.app.main.tasks
        tasks.select("task_00f3a9c1")
        await ui.press("p")
        assert (ui.app.main.panel, tasks.current()) == ("tasks", "task_bad2")
        await ui.press("p")
        assert tasks.current() == "task_00f3a9c1"


@pytest.mark.asyncio
async def test_a_key_does_not_take_what_came_under_the_cursor_just_now() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("tab")
        scenes.task(ui.source, ui.clock, "task_held01", "code.review", end="held", error="lost")
        await ui.settle()
        await ui.press("c")
        assert "c: task_held01 came under the cursor just now; once more takes it" in ui.footer
        scenes.task(ui.source, ui.clock, "task_held00", "code.review", end="held", error="lost", ago=90.0)
        await ui.settle()
        await ui.press("c")
        assert ui.has("Cancel task_held01")
        await ui.press("n", "shift+tab", "9", "s", "y")
        assert drained(ui) == ["testing-01"]


@pytest.mark.asyncio
async def test_a_row_that_stood_there_for_a_second_is_taken_at_once() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("tab")
        scenes.task(ui.source, ui.clock, "task_held01", "code.review", end="held", error="lost")
        await ui.settle()
        await ui.pass_(1.0)
        await ui.press("c")
        assert ui.has("Cancel task_held01")


@pytest.mark.asyncio
async def test_the_stream_keeps_its_message_over_problems_and_filters() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        stream = ui.app.main.stream
        ui.app.main.focus_panel("stream")
        await ui.press("p")
        ui.app.main.focus_panel("stream")
        assert stream.tail
        await ui.press("p")
        assert stream.tail
        await ui.press("p")
        ui.app.main.focus_panel("stream")
        await ui.press("k", "k")
        alert = stream.current()
        await ui.press("escape")
        assert stream.current() is alert
        assert stream.top <= stream.cursor < stream.top + stream.room
        await ui.press("slash")
        await ui.type("heartbeat")
        await ui.press("enter")
        assert stream.tail
        await ui.press("escape")
        assert stream.current() is alert
        await ui.press("f", "P")
        scenes.task(ui.source, ui.clock, "task_new", "code.review")
        await ui.settle()
        await ui.press("P")
        assert stream.tail
        assert stream.cursor == stream.count() - 1


@pytest.mark.asyncio
async def test_clearing_stays_in_its_panel_and_then_widens_the_others() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        main = ui.app.main
        main.focus_panel("stream")
        await ui.press("slash")
        await ui.type("3da")
        await ui.press("enter")
        main.focus_panel("tasks")
        await ui.press("slash")
        await ui.type("testing")
        await ui.press("enter", "escape")
        assert (main.panel, main.tasks.pattern, main.model.stream.pattern.text) == ("tasks", "", "3da")
        await ui.press("escape")
        assert (main.panel, main.model.stream.pattern.text) == ("tasks", "")
        assert "the filter /3da of the stream is cleared" in ui.footer
        await ui.press("escape")
        assert main.panel == "tasks"
        assert "nothing narrows the view" in ui.footer
