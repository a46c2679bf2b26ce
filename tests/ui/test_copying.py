"""`Y` copies what the line under the cursor says, and the last line names it where that is what one comes for."""

import pytest

from swarm_tui.protocol.bodies import Complete
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui


async def go_to(ui: UiDriver, words: str) -> None:
    page = ui.app.screen.page  # type: ignore[attr-defined]
    page.go(next(index for index in range(page.count()) if words in page.text(index)))
    await ui.settle()


@pytest.mark.asyncio
async def test_a_messages_lines_are_copied_by_their_values_and_its_heading_as_the_whole() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("tab", "tab", "enter")
        assert "Y copy" in ui.footer
        for words, copied in (
            ("message: ", "testing.run waits for 4 minutes"),
            ("active: ", "true"),
            ("id: ", ui.app.screen.message.id),  # type: ignore[attr-defined]
        ):
            await go_to(ui, words)
            await ui.press("Y")
            assert ui.app.clipboard == copied
        for words in ("from: ", "payload"):
            await go_to(ui, words)
            await ui.press("Y")
            assert ui.app.clipboard.startswith("opencto-dev/alerts {")


@pytest.mark.asyncio
async def test_a_tasks_and_an_agents_facts_are_copied_without_their_names() -> None:
    payload = {"path": "src", "note": "a long one " * 20, "more": {"depth": 3}}
    async with open_ui("calm", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, "task_x", "code.review", "code-review-01", payload=payload)
        await ui.settle()
        ui.app.pages.open_task("task_x")
        await ui.settle()
        await ui.press("Y")
        assert ui.app.clipboard == "task_x"
        for words, copied in (
            ("agent   ", "code-review-01"),
            ("attempt   1", "1"),
            ("path: ", "src"),
            ("a long one", payload["note"]),
            ("more", '{"depth":3}'),
            ("── payload", '{"path":"src"'),
        ):
            await go_to(ui, words)
            await ui.pass_(7.0)
            assert "Y copy" in ui.footer
            await ui.press("Y")
            assert ui.app.clipboard.startswith(str(copied)), words
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        await go_to(ui, "  does ")
        await ui.press("Y")
        assert ui.app.clipboard == "testing.run, testing.coverage"


@pytest.mark.asyncio
async def test_durations_say_their_unit_where_it_is_known() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, "task_x", "testing.run", "testing-01", ago=5)
        result = {"verdict": "passed", "passed": 3, "duration": 1830.0}
        body = Complete(task_id="task_x", agent_id="testing-01", attempt=1, epoch=3, result=result, duration=2345.0)
        ui.source.say("testing-01", Kind.TASK_COMPLETE, body)
        await ui.settle()
        ui.app.pages.open_task("task_x")
        await ui.settle()
        assert ui.has("duration: 1830.0 ms")
        ui.app.pages.open_message(ui.app.model.messages(task_id="task_x")[-1])
        await ui.settle()
        assert ui.has("duration: 2345.0 ms")
        assert ui.has("duration: 1830.0 ms")
