"""Pages that are turned to something else instead of being mounted anew."""

import threading

import pytest

from swarm_tui.protocol.bodies import Reply
from tests.ui.harness import seated


@pytest.mark.asyncio
async def test_a_closed_page_is_turned_to_the_next_and_shows_nothing_of_the_first() -> None:
    async with seated("trouble") as seat:
        seat.source.logs["testing-01"] = ["2026-01-01T00:00:00Z of testing"]
        seat.app.open_agent("testing-01")
        await seat.settle()
        await seat.press("G")
        assert seat.has("of testing")
        first = seat.app.screen
        await seat.press("escape")
        seat.app.next_theme()
        await seat.pilot.resize_terminal(100, 30)
        await seat.settle()
        seat.app.open_agent("docs-01")
        await seat.settle()
        assert seat.app.screen is first
        assert first.page.cursor == 0  # type: ignore[attr-defined]
        assert seat.has("AGENT", "docs-01")
        assert not seat.has("testing")
        assert {len(line) for line in seat.text()} == {100}


@pytest.mark.asyncio
async def test_a_page_over_one_of_its_kind_has_a_screen_of_its_own() -> None:
    async with seated("trouble") as seat:
        for task in ("task_c0ffee", "task_77aa01"):
            seat.app.open_task(task)
            await seat.settle()
            assert seat.has("TASK", task)
        await seat.press("escape")
        assert seat.has("TASK", "task_c0ffee")
        await seat.press("escape")
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
@pytest.mark.parametrize("then", ["task_77aa01", "task_c0ffee"])
async def test_an_answer_to_the_page_before_is_not_shown_on_the_next(then: str) -> None:
    async with seated("trouble") as seat:
        asked, answer = threading.Event(), threading.Event()
        late = [True]
        real = seat.source.query

        def slow(query: str, args: dict[str, object]) -> Reply | None:
            if query == "history" and "task_id" in args and late:
                late.clear()
                asked.set()
                answer.wait(5.0)
                row = {"at": 1.0, "topic": "opencto-dev/broadcast", "payload": '{"payload":{"text":"of the first"}}'}
                return Reply(query="history", rows=[row])
            return real(query, args)

        seat.source.query = slow  # type: ignore[method-assign]
        seat.app.open_task("task_c0ffee")
        await seat.pilot.pause()
        assert asked.wait(5.0)
        seat.app.pop_screen()
        seat.app.open_task(then)
        answer.set()
        await seat.settle()
        assert seat.has("TASK", then)
        assert not seat.has("of the first")
