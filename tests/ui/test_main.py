"""The main screen under a person's hands."""

from typing import Any

import msgspec
import pytest

from swarm_tui.config.user import Panels, UserConfig
from swarm_tui.domain.states import AgentState
from swarm_tui.protocol.bodies import Alert, Halt, HostStatus, Status
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.confirm import ConfirmScreen
from swarm_tui.ui.widgets.header import Header
from swarm_tui.ui.widgets.tile import Tile
from tests.ui import scenes
from tests.ui.harness import open_ui

BEATS = UserConfig(panels=Panels(heartbeats=True))
"""The stream lists heartbeats too."""


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_a_glance_answers(size: tuple[int, int]) -> None:
    async with open_ui("trouble", size) as ui:
        first, second, third = ui.text()[:3]
        assert "opencto-dev" in first
        assert "● broker 127.0.0.1:1883" in first
        assert "task-manager-01" in first
        assert "7/9" in second
        assert "1 refused" in second
        assert "deployment-01 crashloop" in third
        for agent, _ in scenes.AGENTS:
            assert ui.has(agent), agent
        assert ui.has("TASKS")
        assert ui.has("STREAM")
        assert all(len(line) == size[0] for line in ui.text()), "columns are lost"


@pytest.mark.asyncio
async def test_an_empty_swarm_says_what_to_do_next() -> None:
    async with open_ui("empty", (80, 24)) as ui:
        assert ui.has("No agent yet")
        assert ui.has("swarm-tui up")
        assert ui.has("n makes one")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.asyncio
async def test_a_broker_that_we_did_not_tune_is_named(size: tuple[int, int]) -> None:
    async with open_ui("calm", size) as ui:
        header = ui.app.main.query_one(Header)
        assert not ui.has("(not ours)")
        header.facts = msgspec.structs.replace(header.facts, embedded=False)
        header.renew()
        await ui.settle()
        assert ui.has("127.0.0.1:1883 (not ours)", "task-manager-01", "msg/s")


@pytest.mark.asyncio
async def test_a_lost_broker_cannot_be_missed_and_its_return_is_seen() -> None:
    async with open_ui("lost", (80, 24)) as ui:
        assert ui.has("✗ NO BROKER")
        assert ui.has("BROKER LOST")
        row = ui.app.main.agents.parts(0, 79)
        assert all(s.style is not None and s.style.dim for s in row), "stale facts do not dim"
        await ui.press("d")
        assert "broker is away" in ui.footer
        ui.source.link(True)
        await ui.settle()
        assert not ui.has("BROKER LOST")
        assert "broker is back" in ui.footer


@pytest.mark.asyncio
async def test_the_cursor_stays_on_its_row_when_rows_move() -> None:
    async with open_ui("calm") as ui:
        tasks = ui.app.main.tasks
        await ui.press("tab", "j", "j")
        held = tasks.current()
        scenes.task(ui.source, ui.clock, "task_new000", "testing.run", end="approve", error="asks")
        await ui.settle()
        assert tasks.current() == held
        assert tasks.rows[0] == "task_new000"


@pytest.mark.asyncio
async def test_a_filter_narrows_and_turns_round() -> None:
    async with open_ui("calm") as ui:
        agents = ui.app.main.agents
        await ui.press("slash")
        await ui.type("testing")
        assert agents.rows.ids() == ["testing-01"]
        await ui.press("enter")
        assert ui.app.main.focused is agents
        assert ui.has("AGENTS 1/9")
        await ui.press("slash", "home")
        await ui.type("!")
        await ui.press("enter")
        assert "testing-01" not in agents.rows.ids()
        assert len(agents.rows) == 8
        await ui.press("escape")
        assert len(agents.rows) == 9


@pytest.mark.asyncio
async def test_problems_only_goes_to_the_worst() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        main = ui.app.main
        await ui.press("p")
        assert main.agents.current() == "deployment-01"
        assert set(main.agents.rows.ids()) == {"deployment-01", "docs-01"}
        assert set(main.agents.rows.ids()) == ui.app.model.wrong("agents")
        assert all(main.tasks.in_trouble(ui.app.model.fleet.tasks[i]) for i in main.tasks.rows.ids())
        await ui.press("p")
        assert len(main.agents.rows) == 9


@pytest.mark.asyncio
async def test_who_vanished_and_a_silence_of_all_are_problems_too() -> None:
    async with open_ui("calm") as ui:
        for status in ("online", "offline"):
            ui.source.say("lone-01", Kind.STATUS, Status(status=status, role="docs", incarnation="i"), "lone-01")
        await ui.settle()
        assert "lone-01 vanished without a farewell" in ui.text()[2]
        await ui.press("p")
        assert ui.app.main.agents.rows.ids() == ["lone-01"]
        await ui.pass_(60.0)
        assert "all 9 agents fell silent together" in ui.text()[2]


@pytest.mark.asyncio
async def test_the_problems_view_takes_in_what_becomes_wrong_and_lets_go_of_what_is_right() -> None:
    async with open_ui("trouble") as ui:
        await ui.press("p")
        assert "task_f00d11" in ui.app.main.tasks.rows
        ui.source.say("deployment-01", Kind.ALERT, Alert(message="slow", name="slow", agent_id="testing-01"))
        await ui.settle()
        assert "testing-01" in ui.app.main.agents.rows
        ui.clock.pass_(1000.0)
        ui.app.updates.tick()
        assert "testing-01" not in {problem.id for problem in ui.app.model.problems() if problem.subject == "alert"}
        assert set(ui.app.main.agents.rows.ids()) == ui.app.model.wrong("agents")


@pytest.mark.asyncio
async def test_tabs_turn_through_the_states() -> None:
    async with open_ui("trouble") as ui:
        await ui.press("tab", "right_square_bracket", "right_square_bracket")
        assert ui.has("TASKS 3/22 running")
        await ui.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert ui.has("done")


@pytest.mark.asyncio
async def test_what_a_host_says_every_some_seconds_is_folded_but_for_its_death() -> None:
    async with open_ui("calm") as ui:
        before, status = ui.app.main.stream.count(), ("supervisor:far", Kind.HOST_STATUS)
        ui.source.say(*status, HostStatus(status="online"), "far")
        await ui.settle()
        assert ui.app.main.stream.count() == before
        ui.source.say(*status, HostStatus(status="offline"), "far")
        await ui.settle()
        assert ui.app.main.stream.count() == before + 1
        await ui.press("tab", "tab", "slash")
        await ui.type("hosts/far/#")
        await ui.press("enter")
        assert ui.app.main.stream.count() == 2


@pytest.mark.asyncio
async def test_heartbeats_are_folded_until_a_filter_names_them() -> None:
    async with open_ui("calm") as ui:
        stream = ui.app.main.stream
        before = stream.count()
        scenes.beat(ui.source, ui.clock, ui.clock())
        await ui.settle()
        await ui.pass_(1)
        assert stream.count() == before
        beats = sum(1 for message in ui.app.model.stream.all if message.topic.endswith("/heartbeat"))
        assert ui.has("STREAM", f"{beats} heartbeats folded")
        await ui.press("tab", "tab", "slash")
        await ui.type("heartbeat docs-01")
        await ui.press("enter")
        assert 0 < stream.count() < beats
        assert not ui.has("heartbeats folded")


@pytest.mark.asyncio
async def test_the_stream_pauses_while_counts_go_on() -> None:
    async with open_ui("calm", config=BEATS) as ui:
        before, shown = ui.app.model.received, ui.app.main.stream.count()
        await ui.press("P")
        scenes.beat(ui.source, ui.clock, ui.clock())
        await ui.settle()
        assert ui.app.main.stream.count() == shown
        assert ui.app.model.received == before + 9
        assert ui.has("paused, 9 came since")
        await ui.press("P")
        assert ui.app.main.stream.count() == shown + 9


@pytest.mark.asyncio
async def test_a_filter_lets_nothing_in_that_came_while_paused() -> None:
    async with open_ui("calm", config=BEATS) as ui:
        stream = ui.app.main.stream
        shown = stream.count()
        await ui.press("tab", "tab", "P")
        scenes.beat(ui.source, ui.clock, ui.clock())
        await ui.settle()
        await ui.press("slash")
        await ui.type("heartbeat")
        await ui.press("enter")
        assert 0 < stream.count() < shown
        await ui.press("escape")
        assert stream.count() == shown
        await ui.press("P")
        assert stream.count() == shown + 9


@pytest.mark.asyncio
async def test_the_stream_filters_by_topic_pattern_text_and_agent() -> None:
    async with open_ui("calm") as ui:
        stream = ui.app.model.stream
        await ui.press("tab", "tab", "slash")
        await ui.type("agents/+/status")
        await ui.press("enter")
        assert {m.topic.rsplit("/", 1)[1] for m in stream.shown} == {"status"}
        stream.filter("agent:docs-01 tasks/#")
        assert len(stream.shown) == 2
        stream.filter("!agents")
        assert not any("/agents/" in m.topic for m in stream.shown)


@pytest.mark.drawn
@pytest.mark.asyncio
async def test_only_changed_lines_of_a_pane_are_drawn() -> None:
    async with open_ui("calm") as ui:
        pane = ui.app.main.pane
        drawn: list[int] = []
        real = pane.parts
        pane.parts = lambda index, width: (drawn.append(index), real(index, width))[1]  # type: ignore[method-assign]
        lines = list(ui.source.panes.screens["%0"])
        lines[4] = "changed"
        ui.source.panes.screens["%0"] = lines
        await ui.settle()
        assert set(drawn) == {4}


@pytest.mark.asyncio
async def test_it_can_be_resized_while_it_runs() -> None:
    async with open_ui("trouble") as ui:
        for size in ((80, 24), (200, 50), (100, 30), (80, 24), (40, 10), (120, 40)):
            await ui.pilot.resize_terminal(*size)
            for _ in range(200):
                await ui.pilot.pause(0.005)
                if len(ui.text()[0]) == size[0]:
                    break
            await ui.settle()
            assert all(len(line) <= size[0] for line in ui.text()), (size, [len(line) for line in ui.text()])
        assert ui.has("AGENTS 9")


@pytest.mark.asyncio
async def test_a_pane_that_comes_into_view_by_a_resize_is_captured() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        assert not ui.app.main.pane.display
        assert ui.source.panes.watched == frozenset()
        await ui.pilot.resize_terminal(120, 40)
        for _ in range(50):
            await ui.settle()
            if ui.has("api-gateway-01", "ready"):
                break
        assert ui.source.panes.watched == frozenset({"%0"})
        assert ui.has("api-gateway-01", "ready")


@pytest.mark.asyncio
async def test_panes_are_wanted_at_the_size_at_which_they_show() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        pane, panes = ui.app.main.pane, ui.source.panes
        assert panes.size == (pane.size.width - 1, pane.size.height - 1)
        await ui.press("w")
        wide, tall = panes.size or (0, 0)
        tiles = list(ui.app.screen.query(Tile))
        assert min(tile.size.width for tile in tiles) - 1 == wide < pane.size.width
        assert min(tile.size.height for tile in tiles) - 1 == tall
        await ui.press("enter")
        assert panes.size is not None
        assert panes.size[0] == 119, "the one that is zoomed has not its size"
        await ui.press("escape", "w", "n")
        assert (panes.watched, panes.size) == (frozenset(), None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "options", [{"read_only": True}, {"config": UserConfig(panels=Panels(resize_panes=False))}], ids=["only", "config"]
)
async def test_who_may_only_read_or_wants_none_changed_wants_no_size(options: dict[str, Any]) -> None:
    async with open_ui("calm", (120, 40), **options) as ui:
        assert (ui.source.panes.watched, ui.source.panes.size) == (frozenset({"%0"}), None)


@pytest.mark.asyncio
async def test_the_pane_of_a_large_screen_can_be_resized() -> None:
    async with open_ui("calm", (200, 50)) as ui:
        main = ui.app.main
        main.focus_panel("pane")
        await ui.settle()
        tall, tasks, stream = main.pane.size.height, main.tasks.size.height, main.stream.size.height
        await ui.press("greater_than_sign", "greater_than_sign")
        assert (main.pane.size.height, main.tasks.size.height) == (tall + 2, tasks - 2)
        await ui.press(*["less_than_sign"] * 3)
        assert (main.pane.size.height, main.tasks.size.height) == (tall - 1, tasks + 1)
        await ui.press("shift+tab", "greater_than_sign")
        assert "cannot be larger" in ui.footer
        await ui.press("shift+tab", "z")
        assert main.tasks.size.height == stream


@pytest.mark.asyncio
async def test_themes_keys_and_filters_persist(tmp_path: object) -> None:
    path = tmp_path / "screen.json"  # type: ignore[operator]
    async with open_ui("calm", state_path=path) as ui:
        await ui.press("ctrl+t", "slash")
        await ui.type("docs")
        await ui.press("enter")
    config = UserConfig(keys={"publish": ["f5"]})
    async with open_ui("calm", state_path=path, config=config) as ui:
        assert ui.app.theme == "light"
        assert ui.app.main.agents.rows.ids() == ["docs-01"]
        await ui.press("f5")
        assert ui.has("NEW TASK")


@pytest.mark.asyncio
async def test_the_mouse_moves_and_opens() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.pilot.click("#agents", offset=(20, 3))
        assert ui.app.main.agents.current() == "database-01"
        await ui.pilot.click("#tasks", offset=(20, 2), times=2)
        await ui.settle()
        assert ui.has("TASK", "task_8d21c0")


@pytest.mark.drawn
@pytest.mark.asyncio
@pytest.mark.parametrize("theme", ["dark", "light", "high-contrast", "colour-blind", "ansi"])
async def test_every_theme_draws_every_screen(theme: str) -> None:
    async with open_ui("trouble", (80, 24), config=UserConfig(theme=theme)) as ui:
        assert ui.app.theme == theme
        for keys in (("enter",), ("escape", "n"), ("escape", "w"), ("w", "question_mark"), ("escape", "H")):
            await ui.press(*keys)
        assert isinstance(ui.app.screen, ConfirmScreen)


@pytest.mark.asyncio
async def test_the_panels_of_the_config_are_open_and_their_sizes_persist(tmp_path: object) -> None:
    path = tmp_path / "screen.json"  # type: ignore[operator]
    config = UserConfig(panels=Panels(show=["tasks", "pane"], stream_lines=100, heartbeats=False))
    async with open_ui("calm", config=config, state_path=path) as ui:
        main = ui.app.main
        shown = [name for name in ("agents", "tasks", "stream", "pane") if main.query_one(f"#{name}").display]
        assert shown == ["tasks", "pane"]
        assert main.panel == "tasks"
        stream = ui.app.model.stream
        assert stream.all.maxlen == 100
        assert not any(m.topic.endswith("heartbeat") for m in stream.shown)
        await ui.press("tab", "greater_than_sign", "greater_than_sign")
        assert main.panel == "pane"
        tall = main.pane.size.height
        await ui.press("p")
    async with open_ui("calm", config=config, state_path=path) as ui:
        await ui.press("tab")
        assert ui.app.main.pane.size.height == tall


@pytest.mark.asyncio
async def test_the_row_under_the_cursor_is_told_without_its_colour() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("j")
        assert [line for line in ui.text() if line.startswith("▌")] == [
            next(line for line in ui.text() if "AGENTS" in line),
            next(line for line in ui.text() if "code-review-01" in line),
        ]
        await ui.press("n")
        await ui.type("test")
        assert len([line for line in ui.text() if "▌testing.run" in line]) == 1


@pytest.mark.asyncio
async def test_a_page_key_moves_the_page_at_once() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("question_mark", "pagedown")
        assert ui.app.screen.lines.top > 10  # type: ignore[attr-defined]
        await ui.press("pageup")
        assert ui.app.screen.lines.top == 0  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_the_last_line_has_the_acts_that_matter_for_what_is_selected_at_80_columns() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("2")
        assert "r restart  d drain" in ui.footer
        assert "u undo" not in ui.footer
        await ui.press("d")
        await ui.pass_(7.0)
        assert "u undo “drain code-review-01”" in ui.footer
        await ui.press("4")
        assert "enter open  s start" in ui.footer
        ui.app.model.fleet.agents["docs-01"].state = AgentState.DRAINING
        await ui.press("5")
        assert "enter open  d undrain" in ui.footer
        ui.app.model.fleet.agents["docs-01"].state = AgentState.ONLINE
        ui.source.say("operator", Kind.HALT, Halt(reason="wait"))
        await ui.settle()
        await ui.press("6")
        assert "H lift the halt" in ui.footer
        assert ui.footer.rstrip().endswith("? help")
