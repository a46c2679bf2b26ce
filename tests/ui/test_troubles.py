"""What is wrong calls until somebody has seen it, and calls again when it happens anew."""

import threading

import pytest

from swarm_tui.domain.problems import Problem
from swarm_tui.protocol.bodies import Alert, HostStatus, PaneStatus, Reply, Status, TaskAct
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.model.troubles import NEWS, Troubles
from tests.ui import scenes
from tests.ui.fake import Clock
from tests.ui.harness import Seat, seated


def problem(subject: str = "task", severity: str = "warning", kind: str = "dead", at: float | None = None) -> Problem:
    return Problem(severity=severity, subject=subject, id="x-1", what="x", todo="", kind=kind, at=at)


def test_what_was_seen_is_quiet_until_it_is_over_and_comes_again() -> None:
    troubles, dead = Troubles(), problem()
    troubles.hear([dead], 0.0)
    assert troubles.calls(dead, 0.0)
    troubles.see([dead])
    troubles.hear([dead], 1.0)
    assert not troubles.calls(dead, 1.0)
    assert troubles.calls(problem(kind="held"), 1.0), "another trouble of the same task is new"
    troubles.hear([], 2.0)
    troubles.hear([dead], 3.0)
    assert troubles.calls(dead, 3.0)


def test_what_happened_calls_until_it_is_seen_and_what_is_only_so_leaves_by_itself() -> None:
    troubles, failed = Troubles(), problem(severity="info", kind="failed", at=100.0)
    foreign = problem(severity="info", kind="foreign", subject="agent")
    troubles.hear([failed, foreign], 100.0)
    assert troubles.calls(failed, 130.0)
    assert troubles.calls(foreign, 130.0)
    assert not troubles.old(failed, 130.0)
    assert troubles.old(failed, 100.0 + NEWS)
    assert troubles.calls(failed, 100.0 + NEWS)
    assert not troubles.calls(foreign, 100.0 + NEWS)
    troubles.see([failed])
    assert not troubles.calls(failed, 100.0 + NEWS)


def test_what_was_seen_stays_so_over_an_opening_of_the_screen() -> None:
    before, dead = Troubles(), problem()
    before.hear([dead], 0.0)
    before.see([dead])
    after = Troubles(before.kept)
    after.hear([], 0.0)  # Nothing is known yet.
    after.hear([dead], 1.0)
    assert not after.calls(dead, 1.0)


@pytest.mark.asyncio
async def test_seen_takes_the_first_trouble_off_the_line_and_undo_brings_it_back() -> None:
    async with seated("trouble", (80, 24)) as seat:
        assert "deployment-01 crashloop" in seat.text()[2]
        await seat.press("x")
        assert "task_c0ffee held" in seat.text()[2]
        assert "seen: deployment-01 crashloop" in seat.footer
        await seat.press("u")
        assert "deployment-01 crashloop" in seat.text()[2]


@pytest.mark.asyncio
async def test_seen_takes_what_is_under_the_cursor_where_that_is_wrong() -> None:
    async with seated("trouble", (120, 40)) as seat:
        await seat.press("tab")
        seat.app.main.tasks.select("task_d3adbf")
        await seat.press("x")
        assert "seen: task_d3adbf dead" in seat.footer
        assert "deployment-01 crashloop" in seat.text()[2]


@pytest.mark.asyncio
async def test_a_lost_broker_cannot_be_put_aside() -> None:
    async with seated("lost", (80, 24)) as seat:
        await seat.press("x")
        assert "BROKER LOST" in seat.text()[2]
        assert "stays until it is mended" in seat.footer


@pytest.mark.asyncio
async def test_failed_tasks_are_counted_on_the_line_after_a_minute_until_they_are_seen() -> None:
    async with seated("calm", (120, 40)) as seat:
        scenes.task(seat.source, seat.clock, "task_bad", "code.review", "code-review-01", end="failed", error="no file")
        await seat.settle()
        assert seat.has("! task_bad failed: no file")
        for _ in range(7):
            scenes.beat(seat.source, seat.clock, seat.clock())
            await seat.pass_(9.0)
        assert not seat.has("! task_bad failed")
        scenes.task(
            seat.source, seat.clock, "task_worse", "code.review", "code-review-01", end="failed", error="x", ago=1.0
        )
        await seat.settle()
        assert seat.has("! task_worse failed: x", "  ·  1 failed  p shows, x seen")
        for _ in range(8):
            scenes.beat(seat.source, seat.clock, seat.clock())
            await seat.pass_(9.0)
        assert seat.has("! 2 failed", "p shows, x seen")
        await seat.press("x")
        assert "seen: 2 failed" in seat.footer
        assert not seat.has("! 2 failed")
        await seat.press("u")
        assert seat.has("! 2 failed")
        await seat.press("p")
        assert seat.has("task_bad failed: no file")
        assert seat.has("→ read its error")


@pytest.mark.asyncio
async def test_the_problems_view_says_what_to_do_and_gives_the_room_back() -> None:
    async with seated("trouble", (120, 40)) as seat:
        await seat.press("p", "x")
        assert seat.has("deployment-01 crashloop", "(seen)")
        assert seat.has("→ read its last lines and its log")
        assert seat.has("AGENTS 2 !")
        await seat.press("p")
        assert seat.has("AGENTS 9")
        assert not seat.has("→ read")


async def restarted(seat: Seat, agent_id: str, number: int) -> None:
    """Its supervisor starts it anew, under another incarnation."""
    role = dict(scenes.AGENTS)[agent_id]
    pane = PaneStatus(
        agent_id=agent_id, role=role, pid=5000, pane_id=f"%{number}", incarnation="inc-new", restarts=1, exit_signal=15
    )
    seat.source.say("supervisor", Kind.HOST_STATUS, HostStatus(panes=[pane], session="s"), "devbox")
    body = scenes.b.Status(status="online", role=role, incarnation="inc-new", host="devbox", pid=5000)
    seat.source.say(agent_id, Kind.STATUS, body, agent_id, role=role)
    await seat.settle()


@pytest.mark.asyncio
async def test_a_question_about_an_agent_that_came_back_anew_is_void() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("9", "r")
        assert seat.has("Restart testing-01 now?")
        await restarted(seat, "testing-01", 8)
        assert seat.has("Not any more: testing-01 was started again")
        assert not seat.has("Yes, restart")
        await seat.press("y")
        assert seat.source.acts == []
        await seat.press("enter")
        assert seat.app.screen is seat.app.main
        assert seat.source.acts == []


@pytest.mark.asyncio
async def test_a_question_is_about_whom_it_names_though_the_list_moves() -> None:
    async with seated("trouble", (120, 40)) as seat:
        await seat.press("p", "tab")
        seat.app.main.tasks.select("task_f00d11")
        await seat.press("c")
        seat.app.main.tasks.select("task_c0ffee")
        await seat.press("y")
        told = [body.task_id for _, body, _ in seat.source.acts if isinstance(body, TaskAct)]
        assert told == ["task_f00d11"]


@pytest.mark.asyncio
async def test_a_dialog_has_the_last_line_and_only_its_keys() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("9", "r")
        assert "y yes, restart" in seat.footer
        assert "n new" not in seat.footer
        await seat.press("n", "ctrl+p")
        assert "Esc close" in seat.footer
        assert "n new" not in seat.footer
        await seat.press("escape")
        assert "n new" in seat.footer
        assert seat.footer.rstrip().endswith("? help")


@pytest.mark.asyncio
async def test_an_idle_agent_restarts_and_its_return_is_told() -> None:
    async with seated("calm", (120, 40)) as seat:
        await seat.press("3", "r")
        assert "restarting database-01 (idle)" in seat.footer
        await restarted(seat, "database-01", 2)
        await seat.pass_(1.0)
        assert "database-01 is back with a new process" in seat.footer
        assert not any("was killed" in notice.text for notice in seat.app.notices.all)
        await seat.press("4", "r")
        await seat.pass_(46.0)
        assert any("deployment-01 is not back after 45 s" in notice.text for notice in seat.app.notices.all)


@pytest.mark.asyncio
async def test_answers_to_our_own_questions_are_counted_and_no_news() -> None:
    async with seated("calm", (120, 40)) as seat:
        before, shown = seat.app.model.received, seat.app.main.stream.count()
        seat.source.say("task-manager-01", Kind.REPLY, Reply(query="tasks", rows=[{"task_id": "task_77aa01"}]), "me")
        await seat.settle()
        assert seat.app.model.received == before + 1
        assert seat.app.main.stream.count() == shown
        for text, hits in (("task_77aa01", False), ("operators/#", True), ("reply", True), ("!agents", False)):
            seat.app.model.stream.filter(text)
            found = [m for m in seat.app.model.stream.shown if m.topic.endswith("/reply")]
            assert bool(found) == hits, text


@pytest.mark.asyncio
async def test_an_opening_says_what_it_waits_for_and_is_no_trouble() -> None:
    clock = Clock()
    source = scenes.build(clock)
    app = SwarmApp(source, clock=clock, timers=False)
    async with app.run_test(size=(80, 24)) as pilot:
        seat = Seat(app, pilot, source, clock)
        await seat.pass_(1.0)
        assert seat.has("◌ connecting to 127.0.0.1:1883")
        assert seat.has("Opening: waiting for the broker's answer")
        assert not seat.has("NO BROKER")
        source.link(False, "refused by 127.0.0.1:1883")
        await seat.settle()
        assert seat.has("NO BROKER", "refused by 127.0.0.1:1883")
        answered = threading.Event()
        source.query = lambda *_: answered.wait(10.0) and None  # type: ignore[method-assign]
        source.link(True)
        app.updates.drain()
        await pilot.pause()
        app.updates.tick()
        await pilot.pause()
        assert seat.has("opening: waiting for the dispatcher's list of tasks and monitoring's last hour")
        answered.set()
        await seat.settle()
        assert seat.has("No task yet")


@pytest.mark.asyncio
async def test_a_slow_connection_becomes_trouble() -> None:
    clock = Clock()
    source = scenes.build(clock)
    app = SwarmApp(source, clock=clock, timers=False)
    async with app.run_test(size=(80, 24)) as pilot:
        seat = Seat(app, pilot, source, clock)
        await seat.pass_(4.0)
        assert seat.has("NO BROKER for", "not connected yet")


@pytest.mark.asyncio
async def test_a_task_that_waits_for_one_who_drains_is_gone_to() -> None:
    async with seated("calm", (80, 24)) as seat:
        for status in ("online", "draining"):
            body = Status(status=status, role="testing", incarnation="inc-8", capabilities=["testing.run"])
            seat.source.say("testing-01", Kind.STATUS, body, "testing-01")
            await seat.settle()
            await seat.pass_(1.0)
            await seat.press("p")
            assert ("nothing is wrong" in seat.footer) == (status == "online")
        assert seat.app.main.panel == "tasks"
        assert seat.app.main.tasks.current() == "task_aa1e30"
        assert seat.has("→ undrain testing-01")
        assert seat.has("task_aa1e30", "testing-01 drains")
        assert seat.app.main.agents.rows.ids() == ["testing-01"]
        await seat.press("enter")
        assert seat.has("nobody takes it")
        assert seat.has("waits     testing-01 drains, and no other does testing.run")
        assert seat.has("→ undrain testing-01, or start another that does testing.run")
        await seat.press("escape", "shift+tab")
        assert "d undrain" in seat.footer


@pytest.mark.asyncio
async def test_a_task_that_nobody_can_be_given_says_what_the_dispatcher_says_of_it() -> None:
    async with seated("calm", (120, 40)) as seat:
        alert = Alert(severity="warning", name="nobody:testing.run", message="nobody here does testing.run")
        seat.source.say("task-manager-01", Kind.ALERT, alert)
        await seat.settle()
        await seat.pass_(1.0)
        assert seat.has("task_aa1e30", "nobody here does testing.run")
        assert not seat.has("task_bb7c12", "nobody")


@pytest.mark.asyncio
async def test_the_form_says_why_what_it_sent_waits() -> None:
    async with seated("calm", (80, 24)) as seat:
        body = Status(status="draining", role="testing", incarnation="inc-8", capabilities=["testing.coverage"])
        seat.source.say("testing-01", Kind.STATUS, body, "testing-01")
        await seat.settle()
        await seat.press("n")
        await seat.type("testing.coverage")
        await seat.press("enter", "ctrl+s")
        task, sent, changed = seat.source.submitted[0]
        sent.stage = "queued"
        scenes.task(seat.source, seat.clock, task.task_id, task.type, ago=1.0)
        changed()
        await seat.settle()
        await seat.pass_(1.0)
        assert seat.has("● queued: testing-01 drains, and no other does testing.co")


@pytest.mark.asyncio
async def test_who_looks_at_the_problems_is_led_back_to_the_panel_that_had_the_keys() -> None:
    async with seated("trouble", (80, 24)) as seat:
        main = seat.app.main
        for keys, back in ((["p", "escape"], "stream"), (["p", "p"], "stream"), (["p", "tab", "escape"], None)):
            main.focus_panel("stream")
            await seat.press(keys[0])
            led_to = main.panel
            assert led_to in ("agents", "tasks")
            await seat.press(*keys[1:])
            assert main.panel == back if back else main.panel not in ("stream", led_to)


async def fail_badly(seat: Seat, count: int) -> None:
    for n in range(count):
        scenes.task(seat.source, seat.clock, f"task_bad{n}", "testing.run", "testing-01", end="badly", ago=50.0 - 5 * n)
    await seat.settle()


@pytest.mark.asyncio
async def test_problems_say_the_same_advice_once_the_newest_first_and_leave_room_for_the_rows() -> None:
    async with seated("calm", (80, 24)) as seat:
        await fail_badly(seat, 5)
        await seat.press("p")
        lines = seat.text()
        assert sum("open it to see what failed" in line for line in lines) == 1
        assert lines[2].startswith(" ! task_bad4 came out failed")
        assert seat.has("→ +2 more: open it to see what failed")
        rows = [line for line in lines if "✗ complete" in line]
        assert ["task_bad4" in rows[0], len(rows)] == [True, 5]


@pytest.mark.asyncio
async def test_problems_that_were_seen_stand_after_those_that_were_not() -> None:
    async with seated("calm", (80, 24)) as seat:
        await fail_badly(seat, 2)
        await seat.press("x", "p")
        assert seat.text()[2].startswith(" ! task_bad0 came out failed")
        assert seat.has("task_bad1", "(seen)")
        assert sum("open it to see what failed" in line for line in seat.text()) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_problems_views_headings_are_whole(size: tuple[int, int]) -> None:
    async with seated("trouble", size) as seat:
        await seat.press("p")
        assert seat.has("AGENTS 2 ! ", " AGENT ", " DOES ", " BEATS ")
        assert seat.has("TASKS 4 ! ", " TASK ", " TYPE ", " AGENT ", " HOW IT GOES ")
        assert "p show all" in seat.footer
        await seat.press("p")
        assert "show all" not in seat.footer
        await seat.press("tab", "right_square_bracket")
        assert not seat.has("TASKS", "open T")
