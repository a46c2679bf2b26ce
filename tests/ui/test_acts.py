"""What the keys do to agents and tasks."""

from contextlib import nullcontext

import pytest

from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import Heartbeat, HostControl, HostStatus, PaneStatus, Status, TaskAct, TaskVerdict
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui import scenes
from tests.ui.harness import seated


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
        # It runs, and its cancel has not landed: that is not undone by a word.
        assert seat.has("task_77aa01 cannot be kept from stopping, and runs again once it has stopped")


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


@pytest.mark.asyncio
async def test_what_is_asked_for_is_not_told_as_done() -> None:
    async with seated("trouble") as seat:
        await seat.press("tab")
        for key, says in (("y", "asked to approve task_f00d11"), ("N", "asked to deny task_f00d11")):
            seat.app.main.tasks.select("task_f00d11")
            await seat.press(key, "y")
            assert says in seat.footer
        gone = Status(status="offline", role="docs", incarnation="inc-x")
        seat.source.say("old-01", Kind.STATUS, gone, "old-01")
        await seat.settle()
        await seat.press("shift+tab")
        seat.app.main.agents.select("old-01")
        await seat.press("X", "y")
        assert "asked to forget old-01" in seat.footer


@pytest.mark.asyncio
async def test_an_approval_shows_what_it_lets_run() -> None:
    async with seated("trouble", (80, 24)) as seat:
        payload = {
            "target": "production",
            "steps": {"a": [1, 2]},
            "note": "x" * 90,
            **{f"more{n}": n for n in range(5)},
        }
        scenes.task(
            seat.source, seat.clock, "task_big", "deployment.deploy", end="approve", error="asks", payload=payload
        )
        await seat.settle()
        await seat.press("tab")
        tasks = seat.app.main.tasks
        tasks.select("task_big")
        await seat.press("y")
        assert seat.has("target: production")
        assert seat.has('steps: {"a":[1,2]}')
        assert seat.has("xxx…")
        assert seat.has("and 2 more: enter on the task shows all")
        assert seat.has("Yes, approve (y)")
        await seat.press("n", "space")
        tasks.select("task_f00d11")
        await seat.press("space", "y")
        assert seat.has("Approve 2 tasks")
        assert seat.has('task_f00d11: {"path":"."}')


@pytest.mark.asyncio
@pytest.mark.parametrize("scene_key", ["r", "s"])
async def test_marked_agents_of_which_one_works_are_named_with_its_task(scene_key: str) -> None:
    async with seated("calm") as seat:
        await seat.press("4", "space", "9", "space", scene_key)
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert "deployment-01, testing-01" in seat.app.screen.question
        assert "testing-01 is at task_77aa01" in seat.app.screen.question


@pytest.mark.asyncio
async def test_an_agent_that_says_it_works_is_asked_for_though_its_task_is_not_known() -> None:
    async with seated("calm") as seat:
        beat = Heartbeat(agent_id="database-01", state="busy", active=1, incarnation="inc-2")
        seat.source.say("database-01", Kind.HEARTBEAT, beat)
        await seat.settle()
        await seat.press("3", "r")
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert "a task that is not known here" in seat.app.screen.question


@pytest.mark.asyncio
async def test_an_undo_that_would_break_work_begun_since_asks() -> None:
    async with seated("trouble") as seat:
        await seat.press("4", "s")
        await seat.press("tab")
        seat.app.main.tasks.select("task_d3adbf")
        await seat.press("t")
        seat.app.model.fleet.agents["deployment-01"].task_id = "task_new"
        seat.app.model.fleet.tasks["task_d3adbf"].state = TaskState.RUNNING
        sent = len(seat.source.acts)
        for words in ("Cancel task_d3adbf? What runs is ended.", "Stop deployment-01? It is at task_new"):
            await seat.press("u")
            assert isinstance(seat.app.screen, ConfirmScreen)
            assert words in seat.app.screen.question
            assert len(seat.source.acts) == sent
            await seat.press("y")
            sent += 1
            assert len(seat.source.acts) == sent


@pytest.mark.asyncio
async def test_a_tasks_page_restarts_its_agent_after_a_yes_that_names_it() -> None:
    async with seated("calm", (80, 24)) as seat:
        for task, words in (("task_77aa01", "It is at task_77aa01"), ("task_10f3a9c1", "Restart code-review-01 now?")):
            seat.app.pages.open_task(task)
            await seat.settle()
            await seat.press("r")
            assert isinstance(seat.app.screen, ConfirmScreen)
            assert words in seat.app.screen.question
            await seat.press("y", "escape")
        seat.app.pages.open_task("task_77aa01")
        await seat.settle()
        await seat.press("R")
        assert seat.has("Restart testing-01 as soon as it has no task?")
        await seat.press("y", "escape")
        told = [(body.when_idle, body.agent_id) for _, body, _ in seat.source.acts if isinstance(body, HostControl)]
        assert told == [(False, "testing-01"), (False, "code-review-01"), (True, "testing-01")]
        seat.app.pages.open_task("task_bb7c12")
        await seat.settle()
        await seat.press("r")
        assert "no agent has had this task yet" in seat.footer


@pytest.mark.asyncio
async def test_a_cancel_says_what_it_ends() -> None:
    async with seated("trouble", (80, 24)) as seat:
        await seat.press("tab")
        for task, words in (
            ("task_77aa01", "Cancel task_77aa01, testing.run, running on testing-01?"),
            ("task_aa1e30", "Cancel task_aa1e30, testing.run, queued?"),
            ("task_re7415", "Cancel task_re7415, security.audit, retry-wait last on security-01?"),
        ):
            seat.app.main.tasks.select(task)
            await seat.press("c")
            assert seat.app.screen.question == words  # type: ignore[attr-defined]
            await seat.press("n")
        for task in ("task_77aa01", "task_aa1e30", "task_re7415"):
            seat.app.main.tasks.select(task)
            await seat.press("space")
        await seat.press("c")
        assert seat.has("Cancel 3 tasks?")
        assert seat.has("  task_aa1e30, testing.run, queued")
