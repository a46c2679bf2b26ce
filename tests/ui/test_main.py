"""The main screen under a person's hands."""

from contextlib import nullcontext

import msgspec
import pytest

from swarm_tui.config.user import Panels, UserConfig
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import Alert, HostControl, HostStatus, PaneStatus, Reply, Status, TaskAct, TaskVerdict
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
async def test_work_that_came_out_badly_does_not_look_well() -> None:
    async with seated("calm") as seat:
        scenes.task(seat.source, seat.clock, "task_bad000", "testing.run", "testing-01", end="badly")
        await seat.settle()
        line = next(line for line in seat.text() if "task_bad000" in line)
        assert "✗ complete" in line
        assert "failed: 1 failed, 41" in line
        seat.app.open_task("task_bad000")
        await seat.settle()
        assert seat.has("verdict   failed: 1 failed, 41 passed")


@pytest.mark.asyncio
async def test_an_agent_that_died_and_is_back_is_told() -> None:
    async with seated("calm") as seat:
        for pid, restarts, ended in ((4000, 0, None), (4990, 1, 9), (4990, 1, 9), (4991, 2, None)):
            pane = PaneStatus(
                agent_id="docs-01", role="docs", pid=pid, pane_id="%4", restarts=restarts, exit_signal=ended
            )
            seat.source.say("supervisor", Kind.HOST_STATUS, HostStatus(panes=[pane], session="s"), "devbox")
            await seat.settle()
    told = [notice.text for notice in seat.app.notices.all if "docs-01" in notice.text]
    assert told == ["docs-01 was killed by SIGKILL: started again; l shows the log"]


@pytest.mark.asyncio
async def test_a_question_names_what_yes_does() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("s")
        assert seat.has("Yes, stop (y)")
        await seat.press("n", "H")
        assert seat.has("Yes, halt (y)")


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
async def test_marks_gather_agents_for_one_act_and_no_comes_first() -> None:
    async with seated("calm") as seat:
        await seat.press("space", "space", "r")
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert seat.app.screen.focused is not None
        assert seat.app.screen.focused.id == "no"
        await seat.press("enter")
        assert seat.source.acts == []
        await seat.press("r", "y")
        sent = [(kind, body.agent_id, key) for kind, body, key in seat.source.acts if isinstance(body, HostControl)]
        assert sent == [
            (Kind.HOST_CONTROL, "api-gateway-01", "devbox"),
            (Kind.HOST_CONTROL, "code-review-01", "devbox"),
        ]
        assert not any(seat.app.model.marks.values())


@pytest.mark.asyncio
async def test_an_idle_agent_restarts_without_a_question_and_a_busy_one_with() -> None:
    async with seated("calm") as seat:
        await seat.press("1", "r")
        assert [body.command for _, body, _ in seat.source.acts if isinstance(body, HostControl)] == ["restart"]
        await seat.press("9", "r")
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert "task_77aa01" in seat.app.screen.question


@pytest.mark.asyncio
async def test_drain_can_be_undone() -> None:
    async with seated("calm") as seat:
        await seat.press("d", "u")
        commands = [body.command for _, body, _ in seat.source.acts if isinstance(body, HostControl)]
        assert commands == ["drain", "undrain"]
        await seat.press("u")
        assert "nothing to undo" in seat.footer


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
        seat.app.tick()
        assert "testing-01" not in {problem.id for problem in seat.app.model.problems() if problem.subject == "alert"}
        assert set(seat.app.main.agents.rows.ids()) == seat.app.model.wrong("agents")


@pytest.mark.asyncio
async def test_tasks_are_cancelled_retried_approved() -> None:
    async with seated("trouble") as seat:
        tasks = seat.app.main.tasks
        await seat.press("tab")
        tasks.select("task_f00d11")
        await seat.press("y", "y")
        tasks.select("task_d3adbf")
        await seat.press("t")
        tasks.select("task_77aa01")
        await seat.press("c", "y", "u")
        told = [(kind.value, body.task_id) for kind, body, _ in seat.source.acts if isinstance(body, TaskAct)]
        assert told == [
            ("tasks/approve", "task_f00d11"),
            ("tasks/redrive", "task_d3adbf"),
            ("tasks/cancel", "task_77aa01"),
            ("tasks/redrive", "task_77aa01"),
        ]
        assert seat.source.acts[0][1].payload_hash  # type: ignore[attr-defined]


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
async def test_attach_comes_back_whatever_failed() -> None:
    async with seated("calm") as seat:
        seat.source.panes.attach_fails = OSError("tmux is gone")
        await seat.press("a")
        assert seat.app.is_running
        assert seat.has("AGENTS 9")
        seat.source.panes.reason = "no tmux here"
        await seat.press("a")
        assert "no tmux here" in seat.footer


@pytest.mark.asyncio
async def test_an_agent_of_another_host_is_attached_over_ssh_where_that_has_an_address() -> None:
    async with seated("calm") as seat:
        seat.app.suspend = nullcontext  # type: ignore[method-assign,assignment]
        row = PaneStatus(agent_id="a-far-one", role="docs", pid=7, pane_id="%0", state="online")
        for address, shown in ((None, "gives no `address`"), ("farbox", "back from a-far-one")):
            status = HostStatus(panes=[row], session="opencto", socket="x", pid=1, address=address)
            seat.source.say("supervisor:far", Kind.HOST_STATUS, status, "far")
            await seat.settle()
            await seat.press("g", "a")
            assert shown in seat.footer
        assert seat.source.panes.attached == ["farbox opencto-dev a-far-one"]


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
async def test_the_palette_finds_acts_agents_and_tasks() -> None:
    async with seated("calm") as seat:
        await seat.press("ctrl+p")
        await seat.type("qqq")
        assert seat.has("Nothing matches; Esc closes")
        await seat.press("escape")
        await seat.press("ctrl+p")
        await seat.type("drain")
        await seat.press("enter")
        assert [body.command for _, body, _ in seat.source.acts if isinstance(body, HostControl)] == ["drain"]
        await seat.press("ctrl+p")
        await seat.type("docs-01")
        await seat.press("enter")
        assert seat.has("AGENT", "docs-01")
        await seat.press("colon")
        await seat.type("task_77aa01")
        await seat.press("enter")
        assert seat.has("TASK", "task_77aa01")
        await seat.press("colon")
        await seat.type("nonsense")
        await seat.press("enter")
        assert "no act, agent or task" in seat.footer


@pytest.mark.asyncio
async def test_leaving_says_nothing_to_the_swarm() -> None:
    async with seated("calm") as seat:
        await seat.press("q")
        assert seat.source.acts == []
    assert seat.source.closed
    assert not seat.app.down_wanted


@pytest.mark.asyncio
async def test_the_mouse_moves_and_opens() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.pilot.click("#agents", offset=(20, 3))
        assert seat.app.main.agents.current() == "database-01"
        await seat.pilot.click("#tasks", offset=(20, 2), times=2)
        await seat.settle()
        assert seat.has("TASK", "task_8d21c0")


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
        assert seat.has("agents 1-9 of 12")
        assert not seat.has("zoo-1")
        await seat.press("right_square_bracket")
        assert seat.has("agents 10-12 of 12")
        assert seat.has("zoo-1")
        await seat.press("right_square_bracket")
        assert seat.has("agents 1-9 of 12")
        await seat.press("left_square_bracket", "escape")
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
async def test_nobody_approves_a_payload_that_the_screen_does_not_show() -> None:
    async with seated("calm") as seat:
        body = TaskVerdict(task_id="task_blind", reason="asks a person", payload_hash="0" * 64)
        seat.source.say("task-manager-01", Kind.TASK_HELD, body)
        await seat.settle()
        task = seat.app.model.task("task_blind")
        assert task is not None
        task.state = TaskState.AWAITING_APPROVAL
        await seat.press("tab")
        seat.app.main.tasks.select("task_blind")
        await seat.press("y")
        assert "payload of task_blind is not known here" in seat.footer
        assert seat.source.acts == []
