"""What a change costs: only the lines that it changed are drawn, and no oftener than eyes follow."""

from collections import Counter
from typing import Any

import pytest

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.alert_strip import AlertStrip
from swarm_tui.ui.widgets.drawn_lines import DrawnLines
from tests.ui import scenes
from tests.ui.harness import open_ui

pytestmark = pytest.mark.drawn


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many lines each list has drawn."""
    count: Counter[str] = Counter()
    draw = DrawnLines._draw

    def counted(self: DrawnLines, index: int) -> Any:
        count[self.id or ""] += 1
        return draw(self, index)

    monkeypatch.setattr(DrawnLines, "_draw", counted)
    return count


@pytest.mark.asyncio
async def test_a_message_draws_its_own_line_and_the_one_that_the_cursor_left(drawn: Counter[str]) -> None:
    async with open_ui(size=(200, 50)) as ui:
        await ui.settle()
        before = len(ui.app.model.stream.shown)
        drawn.clear()
        for number in range(3):
            ui.source.say("docs-01", Kind.TASK_PROGRESS, b.Progress(task_id=f"x{number}", agent_id="docs-01"))
            await ui.settle()
        assert len(ui.app.model.stream.shown) == before + 3
        assert 3 <= drawn["stream"] <= 6


@pytest.mark.asyncio
async def test_a_task_that_moves_in_the_order_draws_no_other(drawn: Counter[str]) -> None:
    async with open_ui(size=(200, 50)) as ui:
        scenes.task(ui.source, ui.clock, "task_mover", "testing.run", "testing-01", ago=3)
        await ui.settle()
        tasks, before = ui.app.main.tasks, drawn.copy()
        place = tasks.rows.index("task_mover")
        done = b.Complete(task_id="task_mover", agent_id="testing-01", attempt=1, status="success")
        ui.source.say("testing-01", Kind.TASK_COMPLETE, done)
        await ui.settle()
        assert tasks.rows.index("task_mover") != place
        assert 1 <= drawn["tasks"] - before["tasks"] <= 3
        assert drawn["agents"] - before["agents"] <= 2


@pytest.mark.asyncio
async def test_a_second_draws_only_the_tasks_whose_ages_changed(drawn: Counter[str]) -> None:
    async with open_ui() as ui:
        await ui.pass_(400.0)
        await ui.pass_(2.0)
        drawn.clear()
        await ui.pass_(3.0)
        assert drawn["agents"] >= 9 > 3 >= drawn["tasks"]


@pytest.mark.asyncio
async def test_what_came_is_drawn_at_once_and_then_not_again_for_a_moment(drawn: Counter[str]) -> None:
    async with open_ui() as ui:
        ui.app.updates._drawn = 0.0
        said = []
        for name in ("first", "second"):
            ui.source.say("docs-01", Kind.TASK_NEW, b.Task(task_id=f"task_{name}", type="testing.run"))
            ui.app.updates.look()
            await ui.pilot.pause()
            said.append(ui.has(f"task_{name}"))
        assert said == [True, False]
        assert ui.app.model.task("task_second") is not None
        ui.app.updates._drawn = 0.0
        ui.app.updates.look()
        await ui.pilot.pause()
        assert ui.has("task_second")


@pytest.mark.asyncio
@pytest.mark.parametrize("scene", ["lost", "calm"])
async def test_alerts_that_say_the_same_again_draw_nothing(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_ui(scene, (80, 24)) as ui:
        await ui.press("enter")
        page, asked = ui.app.screen, []
        assert isinstance(page, SwarmScreen)
        strip = page.query_one(AlertStrip)
        assert strip.display == (scene == "lost")
        for widget in (page, strip):
            monkeypatch.setattr(widget, "refresh", lambda *_, **__: asked.append("refresh"))
        for _ in range(10):
            page.renew_alerts()
        assert asked == []
