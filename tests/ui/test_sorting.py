"""Tables in another order, figures that lead to what they count, and failures that grow old."""

import pytest

from swarm_tui.ui.model.saved_state import load_state
from swarm_tui.ui.widgets.header import Header
from swarm_tui.ui.widgets.tasks import FRESH
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui


def memory(ui: UiDriver) -> list[int]:
    agents = ui.app.model.fleet.agents
    return [agents[name].memory_rss or 0 for name in ui.app.main.agents.rows.ids()]


@pytest.mark.asyncio
async def test_a_key_a_click_and_a_word_sort_a_table_and_it_is_kept(tmp_path: object) -> None:
    path = tmp_path / "screen.json"  # type: ignore[operator]
    async with open_ui(size=(200, 50), state_path=path) as ui:
        agents = ui.app.main.agents
        own = agents.rows.ids()
        await ui.press("colon")
        await ui.type("sort mem")
        await ui.press("enter")
        assert memory(ui) == sorted(memory(ui), reverse=True)
        assert ui.has("AGENTS", "↓MEM")
        await ui.press("O")
        assert memory(ui) == sorted(memory(ui))
        assert ui.has("AGENTS", "↑MEM")
        for _ in range(len(agents.order.names)):
            await ui.press("o")
            if not agents.order.head:
                break
        assert agents.rows.ids() == own
        x = ui.text()[agents.region.y].index("CPU")
        for head in ("↓CPU", "↑CPU", ""):
            await ui.pilot.click(agents, offset=(x, 0))
            await ui.settle()
            assert f"{agents.order.arrow}{agents.order.head}" == head
        await ui.pilot.click(agents, offset=(x, 0))
        await ui.press("colon")
        await ui.type("sort tusks")
        await ui.press("enter")
        assert "agents are sorted by state, agent" in ui.footer
        await ui.press("colon")
        await ui.type("sort mem")
        await ui.press("enter")
        await ui.pass_(1)
    assert load_state(path).sorts == {"agents": "-MEM"}
    async with open_ui(state_path=path) as ui:
        assert memory(ui) == sorted(memory(ui), reverse=True)


@pytest.mark.asyncio
async def test_a_figure_of_the_header_leads_to_what_it_counts() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        line = ui.text()[1]
        await ui.pilot.click(Header, offset=(line.index("✗"), 1))
        await ui.settle()
        assert ui.app.main.panel == "tasks"
        shown = {ui.app.model.fleet.tasks[name].state.value for name in ui.app.main.tasks.rows.ids()}
        assert shown
        assert shown <= {"failed", "dead", "expired", "complete"}
        await ui.pilot.click(Header, offset=(line.index("agents"), 1))
        await ui.settle()
        assert ui.app.main.panel == "agents"


@pytest.mark.asyncio
async def test_a_failure_is_loud_and_then_less_so() -> None:
    async with open_ui(size=(200, 50)) as ui:
        scenes.task(ui.source, ui.clock, "task_broke", "testing.run", "testing-01", ago=5, end="failed", error="boom")
        await ui.settle()
        tasks, look = ui.app.main.tasks, ui.app.look

        def loud() -> bool:
            index = tasks.rows.index("task_broke")
            assert index is not None
            return any(part.style == look["bad"] for part in tasks.parts(index, 150))

        def figure() -> bool:
            parts = ui.app.screen.query_one(Header).lines(200)[1]
            return any(part.text.startswith("✗") and look["bad"].color == part.style.color for part in parts)

        assert (loud(), figure()) == (True, True)
        await ui.pass_(5)
        ui.clock.pass_(FRESH)
        await ui.pass_(1)
        assert (loud(), figure()) == (False, False)
        assert ui.has("task_broke", "✗ failed", "boom")
