"""What the keys do to agents and tasks."""

from contextlib import nullcontext

import pytest

from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.protocol.bodies import Halt, Heartbeat, HostControl, HostStatus, PaneStatus, Status, TaskAct, TaskVerdict
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui import scenes
from tests.ui.harness import open_ui


@pytest.mark.asyncio
async def test_an_agent_that_died_and_is_back_is_told() -> None:
    async with open_ui("calm") as ui:
        for pid, restarts, ended in ((4000, 0, None), (4990, 1, 9), (4990, 1, 9), (4991, 2, None)):
            pane = PaneStatus(
                agent_id="docs-01", role="docs", pid=pid, pane_id="%4", restarts=restarts, exit_signal=ended
            )
            ui.source.say("supervisor", Kind.HOST_STATUS, HostStatus(panes=[pane], session="s"), "devbox")
            await ui.settle()
    told = [notice.text for notice in ui.app.notices.all if "docs-01" in notice.text]
    assert told == ["docs-01 was killed by SIGKILL: started again; l shows the log"]


@pytest.mark.asyncio
async def test_a_question_names_what_yes_does() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("s")
        assert ui.has("Yes, stop (y)")
        await ui.press("n", "H")
        assert ui.has("Yes, halt (y)")


@pytest.mark.asyncio
async def test_a_yes_never_does_the_opposite_of_what_was_asked() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        agent = ui.app.model.fleet.agents["deployment-01"]
        fleet = ui.app.model.fleet
        await ui.press("4", "s")
        assert ui.has("Stop deployment-01?")
        agent.state = AgentState.OFFLINE
        await ui.press("y")
        assert ui.has("Not any more: that changed")
        assert ui.has("Stop deployment-01?")
        await ui.press("n", "H")
        assert ui.has("Halt the swarm?")
        fleet.halted = Halt(reason="somebody else")
        await ui.press("y")
        assert ui.has("Not any more: that changed")
        await ui.press("n", "H")
        assert ui.has("Lift the halt?")
        fleet.halted = None
        await ui.press("y")
        assert ui.has("Not any more: that changed")
        assert ui.source.acts == []


@pytest.mark.asyncio
async def test_marks_gather_agents_for_one_act_and_no_comes_first() -> None:
    async with open_ui("calm") as ui:
        await ui.press("space", "space", "r")
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert ui.app.screen.focused is not None
        assert ui.app.screen.focused.id == "no"
        await ui.press("enter")
        assert ui.source.acts == []
        await ui.press("r", "y")
        sent = [(kind, body.agent_id, key) for kind, body, key in ui.source.acts if isinstance(body, HostControl)]
        assert sent == [
            (Kind.HOST_CONTROL, "api-gateway-01", "devbox"),
            (Kind.HOST_CONTROL, "code-review-01", "devbox"),
        ]
        assert not any(ui.app.model.marks.values())


@pytest.mark.asyncio
async def test_an_idle_agent_restarts_without_a_question_and_a_busy_one_with() -> None:
    async with open_ui("calm") as ui:
        await ui.press("1", "r")
        assert [body.command for _, body, _ in ui.source.acts if isinstance(body, HostControl)] == ["restart"]
        await ui.press("9", "r")
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert "task_77aa01" in ui.app.screen.question


@pytest.mark.asyncio
async def test_drain_can_be_undone() -> None:
    async with open_ui("calm") as ui:
        await ui.press("d", "u")
        commands = [body.command for _, body, _ in ui.source.acts if isinstance(body, HostControl)]
        assert commands == ["drain", "undrain"]
        await ui.press("u")
        assert "nothing to undo" in ui.footer


@pytest.mark.asyncio
async def test_tasks_are_cancelled_retried_approved() -> None:
    async with open_ui("trouble") as ui:
        tasks = ui.app.main.tasks
        await ui.press("tab")
        tasks.select("task_f00d11")
        await ui.press("y", "y")
        tasks.select("task_d3adbf")
        await ui.press("t")
        tasks.select("task_77aa01")
        await ui.press("c", "y", "u")
        told = [(kind.value, body.task_id) for kind, body, _ in ui.source.acts if isinstance(body, TaskAct)]
        assert told == [
            ("tasks/approve", "task_f00d11"),
            ("tasks/redrive", "task_d3adbf"),
            ("tasks/cancel", "task_77aa01"),
            ("tasks/redrive", "task_77aa01"),
        ]
        assert ui.source.acts[0][1].payload_hash  # type: ignore[attr-defined]
        # It runs, and its cancel has not landed: that is not undone by a word.
        assert ui.has("task_77aa01 cannot be kept from stopping, and runs again once it has stopped")


@pytest.mark.asyncio
async def test_attach_comes_back_whatever_failed() -> None:
    async with open_ui("calm") as ui:
        ui.source.panes.attach_fails = OSError("tmux is gone")
        await ui.press("a")
        assert ui.app.is_running
        assert ui.has("AGENTS 9")
        ui.source.panes.reason = "no tmux here"
        await ui.press("a")
        assert "no tmux here" in ui.footer


@pytest.mark.asyncio
async def test_an_agent_of_another_host_is_attached_over_ssh_where_that_has_an_address() -> None:
    async with open_ui("calm") as ui:
        ui.app.suspend = nullcontext  # type: ignore[method-assign,assignment]
        row = PaneStatus(agent_id="a-far-one", role="docs", pid=7, pane_id="%0", state="online")
        for address, shown in ((None, "gives no `address`"), ("farbox", "back from a-far-one")):
            status = HostStatus(panes=[row], session="opencto", socket="x", pid=1, address=address)
            ui.source.say("supervisor:far", Kind.HOST_STATUS, status, "far")
            await ui.settle()
            await ui.press("g", "a")
            assert shown in ui.footer
        assert ui.source.panes.attached == ["farbox opencto-dev a-far-one"]


@pytest.mark.asyncio
async def test_the_palette_finds_acts_agents_and_tasks() -> None:
    async with open_ui("calm") as ui:
        await ui.press("ctrl+p")
        await ui.type("qqq")
        assert ui.has("Nothing matches; Esc closes")
        await ui.press("escape")
        await ui.press("ctrl+p")
        await ui.type("drain")
        await ui.press("enter")
        assert [body.command for _, body, _ in ui.source.acts if isinstance(body, HostControl)] == ["drain"]
        await ui.press("ctrl+p")
        await ui.type("docs-01")
        await ui.press("enter")
        assert ui.has("AGENT", "docs-01")
        await ui.press("colon")
        await ui.type("task_77aa01")
        await ui.press("enter")
        assert ui.has("TASK", "task_77aa01")
        await ui.press("colon")
        await ui.type("nonsense")
        await ui.press("enter")
        assert "no act, agent or task" in ui.footer


@pytest.mark.asyncio
async def test_the_palette_finds_no_act_by_letters_scattered_over_its_sentence() -> None:
    async with open_ui("calm") as ui:
        await ui.press("ctrl+p")
        await ui.type("docs")
        assert ui.has("agent", "docs-01")
        assert not ui.has("bring down")
        await ui.press("escape", "ctrl+p")
        await ui.type("swarm down")
        assert ui.has("bring down"), "by whole words of its sentence"


@pytest.mark.asyncio
async def test_a_line_to_type_in_says_what_goes_there() -> None:
    async with open_ui("calm") as ui:
        await ui.press("colon")
        assert "drain docs-01; tab completes" in ui.footer
        await ui.press("escape", "slash")
        assert "words, or state:failed" in ui.footer
        await ui.press("escape", "tab", "tab", "slash")
        assert "a topic (tasks/#)" in ui.footer


@pytest.mark.asyncio
async def test_leaving_says_nothing_to_the_swarm() -> None:
    async with open_ui("calm") as ui:
        await ui.press("q")
        assert ui.source.acts == []
    assert ui.source.closed
    assert not ui.app.down_wanted


@pytest.mark.asyncio
async def test_nobody_approves_a_payload_that_the_screen_does_not_show() -> None:
    async with open_ui("calm") as ui:
        body = TaskVerdict(task_id="task_blind", reason="asks a person", payload_hash="0" * 64)
        ui.source.say("task-manager-01", Kind.TASK_HELD, body)
        await ui.settle()
        task = ui.app.model.task("task_blind")
        assert task is not None
        task.state = TaskState.AWAITING_APPROVAL
        await ui.press("tab")
        ui.app.main.tasks.select("task_blind")
        await ui.press("y")
        assert "payload of task_blind is not known here" in ui.footer
        assert ui.source.acts == []


@pytest.mark.asyncio
async def test_the_last_line_has_first_what_a_task_that_waits_for_a_yes_waits_for() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("tab")
        ui.app.main.tasks.select("task_f00d11")
        await ui.settle()
        assert ui.footer.startswith(" enter open  y approve  N deny")
        await ui.press("enter")
        assert "y approve  N deny" in ui.footer


@pytest.mark.asyncio
async def test_what_is_asked_for_is_not_told_as_done() -> None:
    async with open_ui("trouble") as ui:
        await ui.press("tab")
        for key, says in (("y", "asked to approve task_f00d11"), ("N", "asked to deny task_f00d11")):
            ui.app.main.tasks.select("task_f00d11")
            await ui.press(key, "y")
            assert says in ui.footer
        gone = Status(status="offline", role="docs", incarnation="inc-x")
        ui.source.say("old-01", Kind.STATUS, gone, "old-01")
        await ui.settle()
        await ui.press("shift+tab")
        ui.app.main.agents.select("old-01")
        await ui.press("X", "y")
        assert "asked to forget old-01" in ui.footer


@pytest.mark.asyncio
async def test_an_approval_shows_what_it_lets_run() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        payload = {
            "target": "production",
            "steps": {"a": [1, 2]},
            "note": "x" * 90,
            **{f"more{n}": n for n in range(5)},
        }
        scenes.task(ui.source, ui.clock, "task_big", "deployment.deploy", end="approve", error="asks", payload=payload)
        await ui.settle()
        await ui.press("tab")
        tasks = ui.app.main.tasks
        tasks.select("task_big")
        await ui.press("y")
        assert ui.has("target: production")
        assert ui.has('steps: {"a":[1,2]}')
        assert ui.has("xxx…")
        assert ui.has("and 2 more: enter on the task shows all")
        assert ui.has("Yes, approve (y)")
        await ui.press("n", "space")
        tasks.select("task_f00d11")
        await ui.press("space", "y")
        assert ui.has("Approve 2 tasks")
        assert ui.has('task_f00d11: {"path":"."}')


@pytest.mark.asyncio
@pytest.mark.parametrize("scene_key", ["r", "s"])
async def test_marked_agents_of_which_one_works_are_named_with_its_task(scene_key: str) -> None:
    async with open_ui("calm") as ui:
        await ui.press("4", "space", "9", "space", scene_key)
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert "deployment-01, testing-01" in ui.app.screen.question
        assert "testing-01 is at task_77aa01" in ui.app.screen.question


@pytest.mark.asyncio
async def test_an_agent_that_says_it_works_is_asked_for_though_its_task_is_not_known() -> None:
    async with open_ui("calm") as ui:
        beat = Heartbeat(agent_id="database-01", state="busy", active=1, incarnation="inc-2")
        ui.source.say("database-01", Kind.HEARTBEAT, beat)
        await ui.settle()
        await ui.press("3", "r")
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert "a task that is not known here" in ui.app.screen.question


@pytest.mark.asyncio
async def test_an_undo_that_would_break_work_begun_since_asks() -> None:
    async with open_ui("trouble") as ui:
        await ui.press("4", "s")
        await ui.press("tab")
        ui.app.main.tasks.select("task_d3adbf")
        await ui.press("t")
        ui.app.model.fleet.agents["deployment-01"].task_id = "task_new"
        ui.app.model.fleet.tasks["task_d3adbf"].state = TaskState.RUNNING
        sent = len(ui.source.acts)
        for words in ("Cancel task_d3adbf? What runs is ended.", "Stop deployment-01? It is at task_new"):
            await ui.press("u")
            assert isinstance(ui.app.screen, ConfirmScreen)
            assert words in ui.app.screen.question
            assert len(ui.source.acts) == sent
            await ui.press("y")
            sent += 1
            assert len(ui.source.acts) == sent


@pytest.mark.asyncio
async def test_a_tasks_page_restarts_its_agent_after_a_yes_that_names_it() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for task, words in (("task_77aa01", "It is at task_77aa01"), ("task_10f3a9c1", "Restart code-review-01 now?")):
            ui.app.pages.open_task(task)
            await ui.settle()
            await ui.press("r")
            assert isinstance(ui.app.screen, ConfirmScreen)
            assert words in ui.app.screen.question
            await ui.press("y", "escape")
        ui.app.pages.open_task("task_77aa01")
        await ui.settle()
        await ui.press("R")
        assert ui.has("Restart testing-01 as soon as it has no task?")
        await ui.press("y", "escape")
        told = [(body.when_idle, body.agent_id) for _, body, _ in ui.source.acts if isinstance(body, HostControl)]
        assert told == [(False, "testing-01"), (False, "code-review-01"), (True, "testing-01")]
        ui.app.pages.open_task("task_bb7c12")
        await ui.settle()
        await ui.press("r")
        assert "no agent has had this task yet" in ui.footer


@pytest.mark.asyncio
async def test_a_cancel_says_what_it_ends() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("tab")
        for task, words in (
            ("task_77aa01", "Cancel task_77aa01, testing.run, running on testing-01?"),
            ("task_aa1e30", "Cancel task_aa1e30, testing.run, queued?"),
            ("task_re7415", "Cancel task_re7415, security.audit, retry-wait last on security-01?"),
        ):
            ui.app.main.tasks.select(task)
            await ui.press("c")
            assert ui.app.screen.question == words  # type: ignore[attr-defined]
            await ui.press("n")
        for task in ("task_77aa01", "task_aa1e30", "task_re7415"):
            ui.app.main.tasks.select(task)
            await ui.press("space")
        await ui.press("c")
        assert ui.has("Cancel 3 tasks?")
        assert ui.has("  task_aa1e30, testing.run, queued")
