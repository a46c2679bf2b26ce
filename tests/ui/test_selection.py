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


@pytest.mark.asyncio
async def test_the_cursor_keeps_to_the_first_task_until_it_is_moved() -> None:
    async with seated("calm", (80, 24)) as seat:
        tasks = seat.app.main.tasks
        await seat.press("tab")
        for name in ("task_held01", "task_held00"):
            scenes.task(seat.source, seat.clock, name, "code.review", end="held", error="lost", ago=60.0)
            await seat.settle()
            assert (tasks.cursor, tasks.top) == (0, 0)
        assert tasks.current() == "task_held00"
        await seat.press("j")
        moved = tasks.current()
        assert moved == "task_held01"
        scenes.task(seat.source, seat.clock, "task_approve", "code.review", end="approve", ago=90.0)
        await seat.settle()
        assert tasks.current() == moved


@pytest.mark.asyncio
async def test_the_problems_begin_at_the_top() -> None:
    async with seated("calm", (80, 24)) as seat:
        for number in range(3):
            scenes.task(
                seat.source,
                seat.clock,
                f"task_bad{number}",
                "code.review",
                "code-review-01",
                end="dead",
                ago=9 - number,
            )
        await seat.settle()
        tasks = seat.app.main.tasks
        tasks.select("task_00f3a9c1")
        await seat.press("p")
        assert (seat.app.main.panel, tasks.current()) == ("tasks", "task_bad2")
        await seat.press("p")
        assert tasks.current() == "task_00f3a9c1"


@pytest.mark.asyncio
async def test_a_key_does_not_take_what_came_under_the_cursor_just_now() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("tab")
        scenes.task(seat.source, seat.clock, "task_held01", "code.review", end="held", error="lost")
        await seat.settle()
        await seat.press("c")
        assert "c: task_held01 came under the cursor just now; once more takes it" in seat.footer
        scenes.task(seat.source, seat.clock, "task_held00", "code.review", end="held", error="lost", ago=90.0)
        await seat.settle()
        await seat.press("c")
        assert seat.has("Cancel task_held01")
        await seat.press("n", "shift+tab", "9", "s", "y")
        assert drained(seat) == ["testing-01"]


@pytest.mark.asyncio
async def test_a_row_that_stood_there_for_a_second_is_taken_at_once() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("tab")
        scenes.task(seat.source, seat.clock, "task_held01", "code.review", end="held", error="lost")
        await seat.settle()
        await seat.pass_(1.0)
        await seat.press("c")
        assert seat.has("Cancel task_held01")


@pytest.mark.asyncio
async def test_the_stream_keeps_its_message_over_problems_and_filters() -> None:
    async with seated("trouble", (80, 24)) as seat:
        stream = seat.app.main.stream
        seat.app.main.focus_panel("stream")
        await seat.press("p")
        seat.app.main.focus_panel("stream")
        assert stream.tail
        await seat.press("p")
        assert stream.tail
        await seat.press("p")
        seat.app.main.focus_panel("stream")
        await seat.press("k", "k")
        alert = stream.current()
        await seat.press("escape")
        assert stream.current() is alert
        assert stream.top <= stream.cursor < stream.top + stream.room
        await seat.press("slash")
        await seat.type("heartbeat")
        await seat.press("enter")
        assert stream.tail
        await seat.press("escape")
        assert stream.current() is alert
        await seat.press("f", "P")
        scenes.task(seat.source, seat.clock, "task_new", "code.review")
        await seat.settle()
        await seat.press("P")
        assert stream.tail
        assert stream.cursor == stream.count() - 1


@pytest.mark.asyncio
async def test_clearing_stays_in_its_panel_and_then_widens_the_others() -> None:
    async with seated("calm", (80, 24)) as seat:
        main = seat.app.main
        main.focus_panel("stream")
        await seat.press("slash")
        await seat.type("3da")
        await seat.press("enter")
        main.focus_panel("tasks")
        await seat.press("slash")
        await seat.type("testing")
        await seat.press("enter", "escape")
        assert (main.panel, main.tasks.pattern, main.model.stream.pattern.text) == ("tasks", "", "3da")
        await seat.press("escape")
        assert (main.panel, main.model.stream.pattern.text) == ("tasks", "")
        assert "the filter /3da of the stream is cleared" in seat.footer
        await seat.press("escape")
        assert main.panel == "tasks"
        assert "nothing narrows the view" in seat.footer
