"""What each width has room for: waits and trails from 120 columns on, and long values are broken, not cut."""

import re

import pytest

from swarm_tui.protocol.bodies import Status
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import open_ui


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(120, 40), (200, 50)])
async def test_waits_and_trails_show(size: tuple[int, int]) -> None:
    async with open_ui("calm", size) as ui:
        main = ui.app.main
        agents = {column.head: width for column, width in main.agents.laid(main.agents.size.width - 1)}
        assert {"MEM", "", "CPU", " "} <= agents.keys(), "the trails of memory and processor"
        assert agents["DOES"] >= 24, "its task, a bar and its percents"
        heads = [column.head for column, _ in main.tasks.laid(main.tasks.size.width - 1)]
        assert heads[-3:] == ["WAIT", "TOOK", "FOR"]
        running = next(line for line in ui.text() if "task_8d21c0" in line and "38%" in line and "running" in line)
        assert re.search(r"  0s    ·  3\ds", running), "how long it waited, and how long it has run so far"


@pytest.mark.asyncio
async def test_the_age_of_an_ended_task_goes_on() -> None:
    async with open_ui("calm") as ui:
        ui.app.pages.open_task("task_11f3a9c1")
        await ui.settle()
        assert ui.has("published", ", 4m ago")
        await ui.pass_(65.0)
        assert ui.has("published", ", 6m ago")


@pytest.mark.asyncio
async def test_long_values_are_broken_and_not_cut() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        able = [f"testing.part-{n:02d}" for n in range(12)]
        ui.source.say("testing-01", Kind.STATUS, Status(status="online", role="testing", capabilities=able),
                        "testing-01", role="testing")  # fmt: skip
        scenes.task(ui.source, ui.clock, "task_x", "testing.run", "testing-01")
        await ui.settle()
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        assert ui.has("testing.part-00")
        assert ui.has("testing.part-11")


@pytest.mark.asyncio
async def test_a_large_terminal_is_used_whole() -> None:
    async with open_ui("calm", (200, 50)) as ui:
        text = ui.text()
        bottom = text[-3]
        assert bottom[:119].strip(), "the pane stands below the tasks"
        assert bottom[121:].strip(), "the stream has its column to the end"
        assert [panel.size.height for panel in (ui.app.main.agents, ui.app.main.tasks, ui.app.main.pane)] == [
            10, 22, 15,
        ]  # fmt: skip
        ui.app.main.focus_panel("pane")
        await ui.press("greater_than_sign")
        assert ui.app.main.pane.size.height == 16
        await ui.press("z")
        assert ui.app.main.pane.size.height == 47
        await ui.press("z")
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        assert ui.has("role    testing", "── pulse")
        await ui.press("escape", "n")
        await ui.type("code.review")
        assert ui.has("path*", "base")
        assert ui.has("to agent", "priority", "timeout")
        await ui.press("ctrl+r")
        assert ui.app.screen.query_one("TextArea").size.height == 20
        await ui.pilot.resize_terminal(80, 24)
        await ui.press("ctrl+r")
        assert not ui.has("path*", "base")


@pytest.mark.asyncio
async def test_at_120_columns_the_room_is_for_what_tells_more() -> None:
    async with open_ui("trouble") as ui:
        scenes.task(ui.source, ui.clock, "task_0123456789ab", "testing.run", "testing-01", ago=3)
        await ui.settle()
        tasks = ui.app.main.tasks
        assert {column.head: size for column, size in tasks.laid(tasks.size.width - 1)}["HOW IT GOES"] >= 36
        assert ui.has("running", "task_012…789ab")
        ui.app.model.fleet.agents["testing-01"].task_id = "task_0123456789ab"
        ui.app.main.agents.refill()
        assert ui.has("testing-01", "testing.run task_012…89ab")
