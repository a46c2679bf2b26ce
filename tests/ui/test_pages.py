"""The pages: what each shows, and that one is turned to the next instead of being mounted anew."""

import threading

import pytest

from swarm_tui.protocol.bodies import Reply, Status
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import seated


@pytest.mark.asyncio
async def test_a_closed_page_is_turned_to_the_next_and_shows_nothing_of_the_first() -> None:
    async with seated("trouble") as seat:
        seat.source.logs["testing-01"] = ["2026-01-01T00:00:00Z of testing"]
        seat.app.pages.open_agent("testing-01")
        await seat.settle()
        await seat.press("G")
        assert seat.has("of testing")
        first = seat.app.screen
        await seat.press("escape")
        seat.app.next_theme()
        await seat.pilot.resize_terminal(100, 30)
        await seat.settle()
        seat.app.pages.open_agent("docs-01")
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
            seat.app.pages.open_task(task)
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
        seat.app.pages.open_task("task_c0ffee")
        await seat.pilot.pause()
        assert asked.wait(5.0)
        seat.app.pop_screen()
        seat.app.pages.open_task(then)
        answer.set()
        await seat.settle()
        assert seat.has("TASK", then)
        assert not seat.has("of the first")


@pytest.mark.asyncio
async def test_work_that_came_out_badly_does_not_look_well() -> None:
    async with seated("calm") as seat:
        scenes.task(seat.source, seat.clock, "task_bad000", "testing.run", "testing-01", end="badly")
        await seat.settle()
        trouble, line = [line for line in seat.text() if "task_bad000" in line][:2]
        assert "task_bad000 came out failed: 1 failed, 41 passed" in trouble
        assert "✗ complete" in line
        assert "failed: 1 failed, 41" in line
        seat.app.pages.open_task("task_bad000")
        await seat.settle()
        assert seat.has("verdict   failed: 1 failed, 41 passed")


@pytest.mark.asyncio
async def test_a_log_without_times_is_not_told_as_of_the_task() -> None:
    async with seated("trouble") as seat:
        seat.source.logs["testing-01"] = ["compiling", "done"]
        seat.app.pages.open_task("task_77aa01")
        await seat.settle()
        await seat.press("G")
        assert seat.has("testing-01 wrote last; its log tells no times")
        assert not seat.has("meanwhile")


@pytest.mark.asyncio
async def test_a_message_a_task_and_an_agent_open_and_close() -> None:
    async with seated("trouble", (80, 24)) as seat:
        seat.source.logs["testing-01"] = ["2026-01-01T00:00:00Z late", "\x1b[31mred\x1b[0m"]
        await seat.press("tab", "enter")
        assert seat.has("TASK", "task_c0ffee", "held")
        assert seat.has("published", "by operator:ada@devbox")
        await seat.press("escape", "tab", "enter")
        assert seat.has("MESSAGE")
        assert seat.has("payload")
        await seat.press("escape", "9", "enter")
        assert seat.has("AGENT", "testing-01")
        assert seat.has("incarnation inc-8")
        await seat.press("l")
        assert seat.has("LOG", "testing-01")
        assert seat.has("red")


@pytest.mark.asyncio
async def test_the_pane_follows_the_agent_and_the_wall_shows_all() -> None:
    async with seated("calm") as seat:
        assert seat.has("api-gateway-01", "ready")
        await seat.press("j")
        await seat.settle()
        assert seat.source.panes.watched == frozenset({"%1"})
        assert seat.has("line 0 表示 of code-review-01")
        await seat.press("w")
        assert len(seat.source.panes.watched) == 9
        assert seat.has("testing-01")
        await seat.press("j", "enter")
        assert seat.source.panes.watched == frozenset({"%1"})
        await seat.press("escape", "w")
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
async def test_the_past_is_there_when_the_screen_opens() -> None:
    async with seated("empty") as seat:
        seat.source.link(False, "gone")
        await seat.settle()
        seat.source.replies["tasks"] = Reply(
            query="tasks",
            rows=[
                {"task_id": "task_old", "type": "testing.run", "state": "dead", "created_at": 1.0, "updated_at": 2.0},
                {"bad": 1},
            ],
        )
        seat.source.replies["history"] = Reply(
            query="history",
            rows=[
                {"at": seat.clock() - 60, "topic": "opencto-dev/broadcast", "payload": '{"payload":{"text":"of old"}}'}
            ],
        )
        seat.source.link(True)
        await seat.settle()
        await seat.settle()
        assert seat.has("task_old", "dead") or seat.has("dead", "testing.run")
        assert seat.has("of old")


@pytest.mark.asyncio
async def test_what_was_refused_can_be_opened() -> None:
    async with seated("trouble", (80, 24)) as seat:
        assert seat.has("1 refused: E")
        await seat.press("E")
        assert seat.has("REFUSED", "1")
        assert seat.has("tasks/complete", "not JSON")
        await seat.press("enter")
        assert seat.has("MESSAGE", "tasks/complete")
        assert seat.has("refused: not JSON")
        await seat.press("escape", "escape")
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
async def test_the_wall_turns_pages_and_says_which() -> None:
    async with seated("calm", (80, 24)) as seat:
        for n in range(3):
            seat.source.say(f"zoo-{n}", Kind.STATUS, Status(status="online", role="general"), f"zoo-{n}")
        await seat.settle()
        await seat.press("w")
        assert "agents 1-9 of 12" in seat.footer
        assert seat.has("broker 127.0.0.1:1883", "task-manager-01")
        assert not seat.has("zoo-1")
        await seat.press("right_square_bracket")
        assert seat.has("agents 10-12 of 12")
        assert seat.has("zoo-1")
        await seat.press("right_square_bracket")
        assert seat.has("agents 1-9 of 12")
        await seat.press("left_square_bracket", "escape")
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
async def test_a_page_says_what_is_true_of_work_that_came_out_badly() -> None:
    async with seated("calm", (80, 24)) as seat:
        for end, words in (("badly", "its own verdict is failed"), ("complete", "Done; its result")):
            scenes.task(seat.source, seat.clock, f"task_{end}", "testing.run", "testing-01", end=end)
            await seat.settle()
            seat.app.pages.open_task(f"task_{end}")
            await seat.settle()
            assert seat.has(words)
