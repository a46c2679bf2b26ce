"""The main screen under a person's hands."""

import msgspec
import pytest

from swarm_tui.config.user import Panels, UserConfig
from swarm_tui.domain.states import AgentState
from swarm_tui.protocol.bodies import Alert, Halt, Status
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.confirm import ConfirmScreen
from swarm_tui.ui.widgets.header import Header
from tests.ui import scenes
from tests.ui.harness import seated


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_a_glance_answers(size: tuple[int, int]) -> None:
    async with seated("trouble", size) as seat:
        first, second, third = seat.text()[:3]
        assert "opencto-dev" in first
        assert "● broker 127.0.0.1:1883" in first
        assert "task-manager-01" in first
        assert "7/9" in second
        assert "1 refused" in second
        assert "deployment-01 crashloop" in third
        for agent, _ in scenes.AGENTS:
            assert seat.has(agent), agent
        assert seat.has("TASKS")
        assert seat.has("STREAM")
        assert all(len(line) == size[0] for line in seat.text()), "columns are lost"


@pytest.mark.asyncio
async def test_an_empty_swarm_says_what_to_do_next() -> None:
    async with seated("empty", (80, 24)) as seat:
        assert seat.has("No agent yet")
        assert seat.has("swarm-tui up")
        assert seat.has("n makes one")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.asyncio
async def test_a_broker_that_we_did_not_tune_is_named(size: tuple[int, int]) -> None:
    async with seated("calm", size) as seat:
        header = seat.app.main.query_one(Header)
        assert not seat.has("(not ours)")
        header.facts = msgspec.structs.replace(header.facts, embedded=False)
        header.renew()
        await seat.settle()
        assert seat.has("127.0.0.1:1883 (not ours)", "task-manager-01", "msg/s")


@pytest.mark.asyncio
async def test_a_lost_broker_cannot_be_missed_and_its_return_is_seen() -> None:
    async with seated("lost", (80, 24)) as seat:
        assert seat.has("✗ NO BROKER")
        assert seat.has("BROKER LOST")
        row = seat.app.main.agents.parts(0, 79)
        assert all(s.style is not None and s.style.dim for s in row), "stale facts do not dim"
        await seat.press("d")
        assert "broker is away" in seat.footer
        seat.source.link(True)
        await seat.settle()
        assert not seat.has("BROKER LOST")
        assert "broker is back" in seat.footer


@pytest.mark.asyncio
async def test_the_cursor_stays_on_its_row_when_rows_move() -> None:
    async with seated("calm") as seat:
        tasks = seat.app.main.tasks
        await seat.press("tab", "j", "j")
        held = tasks.current()
        scenes.task(seat.source, seat.clock, "task_new000", "testing.run", end="approve", error="asks")
        await seat.settle()
        assert tasks.current() == held
        assert tasks.rows[0] == "task_new000"


@pytest.mark.asyncio
async def test_a_filter_narrows_and_turns_round() -> None:
    async with seated("calm") as seat:
        agents = seat.app.main.agents
        await seat.press("slash")
        await seat.type("testing")
        assert agents.rows.ids() == ["testing-01"]
        await seat.press("enter")
        assert seat.app.main.focused is agents
        assert seat.has("AGENTS 1/9")
        await seat.press("slash", "home")
        await seat.type("!")
        await seat.press("enter")
        assert "testing-01" not in agents.rows.ids()
        assert len(agents.rows) == 8
        await seat.press("escape")
        assert len(agents.rows) == 9


@pytest.mark.asyncio
async def test_problems_only_goes_to_the_worst() -> None:
    async with seated("trouble", (80, 24)) as seat:
        main = seat.app.main
        await seat.press("p")
        assert main.agents.current() == "deployment-01"
        assert set(main.agents.rows.ids()) == {"deployment-01", "docs-01"}
        assert set(main.agents.rows.ids()) == seat.app.model.wrong("agents")
        assert all(main.tasks.trouble(seat.app.model.fleet.tasks[i]) for i in main.tasks.rows.ids())
        await seat.press("p")
        assert len(main.agents.rows) == 9


@pytest.mark.asyncio
async def test_who_vanished_and_a_silence_of_all_are_problems_too() -> None:
    async with seated("calm") as seat:
        for status in ("online", "offline"):
            seat.source.say("lone-01", Kind.STATUS, Status(status=status, role="docs", incarnation="i"), "lone-01")
        await seat.settle()
        assert "lone-01 vanished without a farewell" in seat.text()[2]
        await seat.press("p")
        assert seat.app.main.agents.rows.ids() == ["lone-01"]
        await seat.pass_(60.0)
        assert "all 9 agents fell silent together" in seat.text()[2]


@pytest.mark.asyncio
async def test_the_problems_view_takes_in_what_becomes_wrong_and_lets_go_of_what_is_right() -> None:
    async with seated("trouble") as seat:
        await seat.press("p")
        assert "task_f00d11" in seat.app.main.tasks.rows
        seat.source.say("deployment-01", Kind.ALERT, Alert(message="slow", name="slow", agent_id="testing-01"))
        await seat.settle()
        assert "testing-01" in seat.app.main.agents.rows
        seat.clock.pass_(1000.0)
        seat.app.updates.tick()
        assert "testing-01" not in {problem.id for problem in seat.app.model.problems() if problem.subject == "alert"}
        assert set(seat.app.main.agents.rows.ids()) == seat.app.model.wrong("agents")


@pytest.mark.asyncio
async def test_tabs_turn_through_the_states() -> None:
    async with seated("trouble") as seat:
        await seat.press("tab", "right_square_bracket", "right_square_bracket")
        assert seat.has("TASKS 3/22 running")
        await seat.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert seat.has("done")


@pytest.mark.asyncio
async def test_the_stream_pauses_while_counts_go_on() -> None:
    async with seated("calm") as seat:
        before, shown = seat.app.model.received, seat.app.main.stream.count()
        await seat.press("P")
        scenes.beat(seat.source, seat.clock, seat.clock())
        await seat.settle()
        assert seat.app.main.stream.count() == shown
        assert seat.app.model.received == before + 9
        assert seat.has("paused, 9 came since")
        await seat.press("P")
        assert seat.app.main.stream.count() == shown + 9


@pytest.mark.asyncio
async def test_a_filter_lets_nothing_in_that_came_while_paused() -> None:
    async with seated("calm") as seat:
        stream = seat.app.main.stream
        shown = stream.count()
        await seat.press("tab", "tab", "P")
        scenes.beat(seat.source, seat.clock, seat.clock())
        await seat.settle()
        await seat.press("slash")
        await seat.type("heartbeat")
        await seat.press("enter")
        assert 0 < stream.count() < shown
        await seat.press("escape")
        assert stream.count() == shown
        await seat.press("P")
        assert stream.count() == shown + 9


@pytest.mark.asyncio
async def test_the_stream_filters_by_topic_pattern_text_and_agent() -> None:
    async with seated("calm") as seat:
        stream = seat.app.model.stream
        await seat.press("tab", "tab", "slash")
        await seat.type("agents/+/status")
        await seat.press("enter")
        assert {m.topic.rsplit("/", 1)[1] for m in stream.shown} == {"status"}
        stream.filter("agent:docs-01 tasks/#")
        assert len(stream.shown) == 2
        stream.filter("!agents")
        assert not any("/agents/" in m.topic for m in stream.shown)


@pytest.mark.drawn
@pytest.mark.asyncio
async def test_only_changed_lines_of_a_pane_are_drawn() -> None:
    async with seated("calm") as seat:
        pane = seat.app.main.pane
        drawn: list[int] = []
        real = pane.parts
        pane.parts = lambda index, width: (drawn.append(index), real(index, width))[1]  # type: ignore[method-assign]
        lines = list(seat.source.panes.screens["%0"])
        lines[4] = "changed"
        seat.source.panes.screens["%0"] = lines
        await seat.settle()
        assert set(drawn) == {4}


@pytest.mark.asyncio
async def test_it_can_be_resized_while_it_runs() -> None:
    async with seated("trouble") as seat:
        for size in ((80, 24), (200, 50), (100, 30), (80, 24), (40, 10), (120, 40)):
            await seat.pilot.resize_terminal(*size)
            for _ in range(200):
                await seat.pilot.pause(0.005)
                if len(seat.text()[0]) == size[0]:
                    break
            await seat.settle()
            assert all(len(line) <= size[0] for line in seat.text()), (size, [len(line) for line in seat.text()])
        assert seat.has("AGENTS 9")


@pytest.mark.asyncio
async def test_a_pane_that_comes_into_view_by_a_resize_is_captured() -> None:
    async with seated("calm", (80, 24)) as seat:
        assert not seat.app.main.pane.display
        assert seat.source.panes.watched == frozenset()
        await seat.pilot.resize_terminal(120, 40)
        for _ in range(50):
            await seat.settle()
            if seat.has("api-gateway-01", "ready"):
                break
        assert seat.source.panes.watched == frozenset({"%0"})
        assert seat.has("api-gateway-01", "ready")


@pytest.mark.asyncio
async def test_the_pane_of_a_large_screen_can_be_resized() -> None:
    async with seated("calm", (200, 50)) as seat:
        main = seat.app.main
        main.focus_panel("pane")
        await seat.settle()
        tall, tasks, stream = main.pane.size.height, main.tasks.size.height, main.stream.size.height
        await seat.press("greater_than_sign", "greater_than_sign")
        assert (main.pane.size.height, main.tasks.size.height) == (tall + 2, tasks - 2)
        await seat.press(*["less_than_sign"] * 3)
        assert (main.pane.size.height, main.tasks.size.height) == (tall - 1, tasks + 1)
        await seat.press("shift+tab", "greater_than_sign")
        assert "cannot be larger" in seat.footer
        await seat.press("shift+tab", "z")
        assert main.tasks.size.height == stream


@pytest.mark.asyncio
async def test_themes_keys_and_filters_persist(tmp_path: object) -> None:
    path = tmp_path / "screen.json"  # type: ignore[operator]
    async with seated("calm", state_path=path) as seat:
        await seat.press("ctrl+t", "slash")
        await seat.type("docs")
        await seat.press("enter")
    config = UserConfig(keys={"publish": ["f5"]})
    async with seated("calm", state_path=path, config=config) as seat:
        assert seat.app.theme == "light"
        assert seat.app.main.agents.rows.ids() == ["docs-01"]
        await seat.press("f5")
        assert seat.has("NEW TASK")


@pytest.mark.asyncio
async def test_the_mouse_moves_and_opens() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.pilot.click("#agents", offset=(20, 3))
        assert seat.app.main.agents.current() == "database-01"
        await seat.pilot.click("#tasks", offset=(20, 2), times=2)
        await seat.settle()
        assert seat.has("TASK", "task_8d21c0")


@pytest.mark.drawn
@pytest.mark.asyncio
@pytest.mark.parametrize("theme", ["dark", "light", "high-contrast", "colour-blind", "ansi"])
async def test_every_theme_draws_every_screen(theme: str) -> None:
    async with seated("trouble", (80, 24), config=UserConfig(theme=theme)) as seat:
        assert seat.app.theme == theme
        for keys in (("enter",), ("escape", "n"), ("escape", "w"), ("w", "question_mark"), ("escape", "H")):
            await seat.press(*keys)
        assert isinstance(seat.app.screen, ConfirmScreen)


@pytest.mark.asyncio
async def test_the_panels_of_the_config_are_open_and_their_sizes_persist(tmp_path: object) -> None:
    path = tmp_path / "screen.json"  # type: ignore[operator]
    config = UserConfig(panels=Panels(show=["tasks", "pane"], stream_lines=100, heartbeats=False))
    async with seated("calm", config=config, state_path=path) as seat:
        main = seat.app.main
        shown = [name for name in ("agents", "tasks", "stream", "pane") if main.query_one(f"#{name}").display]
        assert shown == ["tasks", "pane"]
        assert main.panel == "tasks"
        stream = seat.app.model.stream
        assert stream.all.maxlen == 100
        assert not any(m.topic.endswith("heartbeat") for m in stream.shown)
        await seat.press("tab", "greater_than_sign", "greater_than_sign")
        assert main.panel == "pane"
        tall = main.pane.size.height
        await seat.press("p")
    async with seated("calm", config=config, state_path=path) as seat:
        await seat.press("tab")
        assert seat.app.main.pane.size.height == tall


@pytest.mark.asyncio
async def test_the_row_under_the_cursor_is_told_without_its_colour() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("j")
        assert [line for line in seat.text() if line.startswith("▌")] == [
            next(line for line in seat.text() if "AGENTS" in line),
            next(line for line in seat.text() if "code-review-01" in line),
        ]
        await seat.press("n")
        await seat.type("test")
        assert len([line for line in seat.text() if "▌testing.run" in line]) == 1


@pytest.mark.asyncio
async def test_a_page_key_moves_the_page_at_once() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("question_mark", "pagedown")
        assert seat.app.screen.lines.top > 10  # type: ignore[attr-defined]
        await seat.press("pageup")
        assert seat.app.screen.lines.top == 0  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_the_last_line_has_the_acts_that_matter_for_what_is_selected_at_80_columns() -> None:
    async with seated("trouble", (80, 24)) as seat:
        await seat.press("2")
        assert "r restart  d drain" in seat.footer
        assert "u undo" not in seat.footer
        await seat.press("d")
        await seat.pass_(7.0)
        assert "u undo “drain code-review-01”" in seat.footer
        await seat.press("4")
        assert "enter open  s start" in seat.footer
        seat.app.model.fleet.agents["docs-01"].state = AgentState.DRAINING
        await seat.press("5")
        assert "enter open  d undrain" in seat.footer
        seat.app.model.fleet.agents["docs-01"].state = AgentState.ONLINE
        seat.source.say("operator", Kind.HALT, Halt(reason="wait"))
        await seat.settle()
        await seat.press("6")
        assert "H lift the halt" in seat.footer
        assert seat.footer.rstrip().endswith("? help")
