"""The update loop rests while nothing comes, and misses nothing that does."""

import asyncio
import time

import pytest

from swarm_tui.protocol.bodies import Heartbeat, Task
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.widgets.drawn_lines import DrawnLines
from tests.ui import scenes
from tests.ui.fake import Clock
from tests.ui.harness import open_ui


async def soon(condition: object) -> None:
    for _ in range(1000):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within ten seconds")


@pytest.mark.asyncio
async def test_it_rests_until_something_comes() -> None:
    clock = Clock()
    source = scenes.build(clock)
    source.tells = True
    app = SwarmApp(source, clock=clock)
    async with app.run_test():
        scenes.calm(source, clock)
        source.arrived()
        await soon(lambda: app.model.agent("docs-01") is not None and app.updates._resting)
        taken: list[int] = []
        take = source.take
        source.take = lambda: (taken.append(1), take())[1]  # type: ignore[method-assign]
        await asyncio.sleep(0.5)
        assert taken == [], "it looked though nothing had come"
        source.say("ada", Kind.TASK_NEW, Task(task_id="late", type="testing.run"))
        source.arrived()
        await soon(lambda: app.model.task("late") is not None)


@pytest.mark.asyncio
async def test_what_is_urgent_is_drawn_at_once_and_a_heartbeat_within_a_second() -> None:
    clock = Clock()
    source = scenes.build(clock)
    source.tells = True
    app = SwarmApp(source, clock=clock)

    def text() -> str:
        return "\n".join(strip.text for strip in app.screen._compositor.render_strips())

    async with app.run_test():
        scenes.calm(source, clock)
        source.arrived()
        await soon(lambda: app.model.agent("docs-01") is not None and app.updates._resting)
        app.updates._drawn = time.monotonic() + 1000.0
        source.say("ada", Kind.TASK_NEW, Task(task_id="late", type="testing.run"))
        source.arrived(urgent=True)
        await soon(lambda: "late" in text())
        before = app.model.agent("docs-01").last_heartbeat  # type: ignore[union-attr]
        clock.pass_(5.0)
        source.say("docs-01", Kind.HEARTBEAT, Heartbeat(agent_id="docs-01", status="alive"))
        await soon(lambda: app.model.agent("docs-01").last_heartbeat != before)  # type: ignore[union-attr]


@pytest.mark.asyncio
async def test_rows_that_did_not_change_are_not_drawn_again() -> None:
    async with open_ui("calm", (200, 50)) as ui:
        tasks, before = ui.app.main.tasks, ui.text()
        drawn: list[int] = []
        bare = DrawnLines.bare_line
        tasks.bare_line = lambda y: (drawn.append(y), bare(tasks, y))[1]  # type: ignore[method-assign]
        tasks.redraw_head()
        await ui.settle()
        assert ui.text() == before
        assert drawn == [0]
