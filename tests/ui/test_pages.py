"""The pages: what each shows, and that one is turned to the next instead of being mounted anew."""

import threading

import pytest

from swarm_tui.protocol.bodies import Reply, Status
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import open_ui


@pytest.mark.asyncio
async def test_a_closed_page_is_turned_to_the_next_and_shows_nothing_of_the_first() -> None:
    async with open_ui("trouble") as ui:
        ui.source.logs["testing-01"] = ["2026-01-01T00:00:00Z of testing"]
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        await ui.press("G")
        assert ui.has("of testing")
        first = ui.app.screen
        await ui.press("escape")
        ui.app.next_theme()
        await ui.pilot.resize_terminal(100, 30)
        await ui.settle()
        ui.app.pages.open_agent("docs-01")
        await ui.settle()
        assert ui.app.screen is first
        assert first.page.cursor == 0  # type: ignore[attr-defined]
        assert ui.has("AGENT", "docs-01")
        assert not ui.has("testing")
        assert {len(line) for line in ui.text()} == {100}


@pytest.mark.asyncio
async def test_a_page_over_one_of_its_kind_has_a_screen_of_its_own() -> None:
    async with open_ui("trouble") as ui:
        for task in ("task_c0ffee", "task_77aa01"):
            ui.app.pages.open_task(task)
            await ui.settle()
            assert ui.has("TASK", task)
        await ui.press("escape")
        assert ui.has("TASK", "task_c0ffee")
        await ui.press("escape")
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
@pytest.mark.parametrize("then", ["task_77aa01", "task_c0ffee"])
async def test_an_answer_to_the_page_before_is_not_shown_on_the_next(then: str) -> None:
    async with open_ui("trouble") as ui:
        asked, answer = threading.Event(), threading.Event()
        late = [True]
        real = ui.source.query

        def slow(query: str, args: dict[str, object]) -> Reply | None:
            if query == "history" and "task_id" in args and late:
                late.clear()
                asked.set()
                answer.wait(5.0)
                row = {"at": 1.0, "topic": "opencto-dev/broadcast", "payload": '{"payload":{"text":"of the first"}}'}
                return Reply(query="history", rows=[row])
            return real(query, args)

        ui.source.query = slow  # type: ignore[method-assign]
        ui.app.pages.open_task("task_c0ffee")
        await ui.pilot.pause()
        assert asked.wait(5.0)
        ui.app.pop_screen()
        ui.app.pages.open_task(then)
        answer.set()
        await ui.settle()
        assert ui.has("TASK", then)
        assert not ui.has("of the first")


@pytest.mark.asyncio
async def test_work_that_came_out_badly_does_not_look_well() -> None:
    async with open_ui("calm") as ui:
        scenes.task(ui.source, ui.clock, "task_bad000", "testing.run", "testing-01", end="badly")
        await ui.settle()
        trouble, line = [line for line in ui.text() if "task_bad000" in line][:2]
        assert "task_bad000 came out failed: 1 failed, 41 passed" in trouble
        assert "✗ complete" in line
        assert "failed: 1 failed, 41" in line
        ui.app.pages.open_task("task_bad000")
        await ui.settle()
        assert ui.has("verdict   failed: 1 failed, 41 passed")


@pytest.mark.asyncio
async def test_a_log_without_times_is_not_told_as_of_the_task() -> None:
    async with open_ui("trouble") as ui:
        ui.source.logs["testing-01"] = ["compiling", "done"]
        ui.app.pages.open_task("task_77aa01")
        await ui.settle()
        await ui.press("G")
        assert ui.has("testing-01 wrote last; its log tells no times")
        assert not ui.has("meanwhile")


@pytest.mark.asyncio
async def test_a_message_a_task_and_an_agent_open_and_close() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        ui.source.logs["testing-01"] = ["2026-01-01T00:00:00Z late", "\x1b[31mred\x1b[0m"]
        await ui.press("tab", "enter")
        assert ui.has("TASK", "task_c0ffee", "held")
        assert ui.has("published", "by operator:ada@devbox")
        await ui.press("escape", "tab", "enter")
        assert ui.has("MESSAGE")
        assert ui.has("payload")
        await ui.press("escape", "9", "enter")
        assert ui.has("AGENT", "testing-01")
        assert ui.has("incarnation inc-8")
        await ui.press("l")
        assert ui.has("LOG", "testing-01")
        assert ui.has("red")


@pytest.mark.asyncio
async def test_the_pane_follows_the_agent_and_the_wall_shows_all() -> None:
    async with open_ui("calm") as ui:
        assert ui.has("api-gateway-01", "ready")
        await ui.press("j")
        await ui.settle()
        assert ui.source.panes.watched == frozenset({"%1"})
        assert ui.has("line 0 表示 of code-review-01")
        await ui.press("w")
        assert len(ui.source.panes.watched) == 9
        assert ui.has("testing-01")
        await ui.press("j", "enter")
        assert ui.source.panes.watched == frozenset({"%1"})
        await ui.press("escape", "w")
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
async def test_the_past_is_there_when_the_screen_opens() -> None:
    async with open_ui("empty") as ui:
        ui.source.link(False, "gone")
        await ui.settle()
        ui.source.replies["tasks"] = Reply(
            query="tasks",
            rows=[
                {"task_id": "task_old", "type": "testing.run", "state": "dead", "created_at": 1.0, "updated_at": 2.0},
                {"bad": 1},
            ],
        )
        ui.source.replies["history"] = Reply(
            query="history",
            rows=[
                {"at": ui.clock() - 60, "topic": "opencto-dev/broadcast", "payload": '{"payload":{"text":"of old"}}'}
            ],
        )
        ui.source.link(True)
        await ui.settle()
        await ui.settle()
        assert ui.has("task_old", "dead") or ui.has("dead", "testing.run")
        assert ui.has("of old")


@pytest.mark.asyncio
async def test_what_was_refused_can_be_opened() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        assert ui.has("1 refused: E")
        await ui.press("E")
        assert ui.has("REFUSED", "1")
        assert ui.has("tasks/complete", "not JSON")
        await ui.press("enter")
        assert ui.has("MESSAGE", "tasks/complete")
        assert ui.has("refused: not JSON")
        await ui.press("escape", "escape")
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
async def test_the_wall_turns_pages_and_says_which() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for n in range(3):
            ui.source.say(f"zoo-{n}", Kind.STATUS, Status(status="online", role="general"), f"zoo-{n}")
        await ui.settle()
        await ui.press("w")
        assert "agents 1-9 of 12" in ui.footer
        assert ui.has("broker 127.0.0.1:1883", "task-manager-01")
        assert not ui.has("zoo-1")
        await ui.press("right_square_bracket")
        assert ui.has("agents 10-12 of 12")
        assert ui.has("zoo-1")
        await ui.press("right_square_bracket")
        assert ui.has("agents 1-9 of 12")
        await ui.press("left_square_bracket", "escape")
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
async def test_a_page_says_what_is_true_of_work_that_came_out_badly() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for end, words in (("badly", "its own verdict is failed"), ("complete", "Done; its result")):
            scenes.task(ui.source, ui.clock, f"task_{end}", "testing.run", "testing-01", end=end)
            await ui.settle()
            ui.app.pages.open_task(f"task_{end}")
            await ui.settle()
            assert ui.has(words)


@pytest.mark.asyncio
async def test_pages_of_what_was_told_and_refused_show_what_comes_meanwhile() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        ui.app.pages.open_refusals()
        await ui.settle()
        assert ui.has("No message was refused")
        for number in range(1, 205):
            ui.source.raw("opencto-dev/tasks/new", b"{")
            if number in (1, 2, 204):
                await ui.settle()
                assert ui.has(f"REFUSED {number}")
        ui.app.pages.open_notices()
        await ui.settle()
        ui.app.say("said meanwhile")
        await ui.pass_(6.0)
        assert ui.has("said meanwhile")


@pytest.mark.asyncio
async def test_a_task_behind_busy_agents_says_so_in_the_list_and_on_its_page() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        assert ui.has("task_aa1e30", "testing-01, who alone does it, is busy")
        ui.app.pages.open_task("task_aa1e30")
        await ui.settle()
        assert ui.has("waits", "testing-01, who alone does it, is busy")
        more = Status(status="online", role="testing", incarnation="i2", capabilities=["testing.run"])
        ui.source.say("testing-02", Kind.STATUS, more, "testing-02")
        await ui.settle()
        await ui.pass_(1.0)
        assert not ui.has("is busy"), "its turn comes"
