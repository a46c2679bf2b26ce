"""What is wrong calls until somebody has seen it, and calls again when it happens anew."""

import threading

import pytest

from swarm_tui.bus.port import Link
from swarm_tui.domain.problems import Problem
from swarm_tui.protocol.bodies import Alert, HostStatus, PaneStatus, Reply, Status, TaskAct
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.seen_problems import NEWS, SeenProblems
from tests.ui import scenes
from tests.ui.fake import Clock
from tests.ui.harness import UiDriver, open_ui


def problem(subject: str = "task", severity: str = "warning", kind: str = "dead", at: float | None = None) -> Problem:
    return Problem(severity=severity, subject=subject, id="x-1", what="x", todo="", kind=kind, at=at)


def test_what_was_seen_is_quiet_until_it_is_over_and_comes_again() -> None:
    seen, dead = SeenProblems(), problem()
    seen.update([dead], 0.0)
    assert seen.is_current(dead, 0.0)
    seen.mark_seen([dead])
    seen.update([dead], 1.0)
    assert not seen.is_current(dead, 1.0)
    assert seen.is_current(problem(kind="held"), 1.0), "another trouble of the same task is new"
    seen.update([], 2.0)
    seen.update([dead], 3.0)
    assert seen.is_current(dead, 3.0)


def test_what_happened_calls_until_it_is_seen_and_what_is_only_so_leaves_by_itself() -> None:
    seen, failed = SeenProblems(), problem(severity="info", kind="failed", at=100.0)
    foreign = problem(severity="info", kind="foreign", subject="agent")
    seen.update([failed, foreign], 100.0)
    assert seen.is_current(failed, 130.0)
    assert seen.is_current(foreign, 130.0)
    assert not seen.is_old(failed, 130.0)
    assert seen.is_old(failed, 100.0 + NEWS)
    assert seen.is_current(failed, 100.0 + NEWS)
    assert not seen.is_current(foreign, 100.0 + NEWS)
    seen.mark_seen([failed])
    assert not seen.is_current(failed, 100.0 + NEWS)


def test_what_was_seen_stays_so_over_an_opening_of_the_screen() -> None:
    before, dead = SeenProblems(), problem()
    before.update([dead], 0.0)
    before.mark_seen([dead])
    after = SeenProblems(before.kept)
    after.update([], 0.0)  # Nothing is known yet.
    after.update([dead], 1.0)
    assert not after.is_current(dead, 1.0)


@pytest.mark.asyncio
async def test_seen_takes_the_first_trouble_off_the_line_and_undo_brings_it_back() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        assert "deployment-01 crashloop" in ui.text()[2]
        await ui.press("x")
        assert "task_c0ffee held" in ui.text()[2]
        assert "seen: deployment-01 crashloop" in ui.footer
        await ui.press("u")
        assert "deployment-01 crashloop" in ui.text()[2]


@pytest.mark.asyncio
async def test_seen_takes_what_is_under_the_cursor_where_that_is_wrong() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        await ui.press("tab")
        ui.app.main.tasks.select("task_d3adbf")
        await ui.press("x")
        assert "seen: task_d3adbf dead" in ui.footer
        assert "deployment-01 crashloop" in ui.text()[2]


@pytest.mark.asyncio
async def test_a_lost_broker_cannot_be_put_aside() -> None:
    async with open_ui("lost", (80, 24)) as ui:
        await ui.press("x")
        assert "BROKER LOST" in ui.text()[2]
        assert "stays until it is mended" in ui.footer


@pytest.mark.asyncio
async def test_failed_tasks_are_counted_on_the_line_after_a_minute_until_they_are_seen() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad", "code.review", "code-review-01", end="failed", error="no file")
        await ui.settle()
        assert ui.has("! task_bad failed: no file")
        for _ in range(7):
            scenes.beat(ui.source, ui.clock, ui.clock())
            await ui.pass_(9.0)
        assert not ui.has("! task_bad failed")
        scenes.task(
            ui.source, ui.clock, "task_worse", "code.review", "code-review-01", end="failed", error="x", ago=1.0
        )
        await ui.settle()
        assert ui.has("! task_worse failed: x", "  ·  1 failed  p shows, x seen")
        for _ in range(8):
            scenes.beat(ui.source, ui.clock, ui.clock())
            await ui.pass_(9.0)
        assert ui.has("! 2 failed", "p shows, x seen")
        await ui.press("x")
        assert "seen: 2 failed" in ui.footer
        assert not ui.has("! 2 failed")
        await ui.press("u")
        assert ui.has("! 2 failed")
        await ui.press("p")
        assert ui.has("task_bad failed: no file")
        assert ui.has("→ read its error")


@pytest.mark.asyncio
async def test_the_problems_view_says_what_to_do_and_gives_the_room_back() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        await ui.press("p", "x")
        assert ui.has("deployment-01 crashloop", "(seen)")
        assert ui.has("→ read its last lines and its log")
        assert ui.has("AGENTS 2 !")
        await ui.press("p")
        assert ui.has("AGENTS 9")
        assert not ui.has("→ read")


async def restarted(ui: UiDriver, agent_id: str, number: int) -> None:
    """Its supervisor starts it anew, under another incarnation."""
    role = dict(scenes.AGENTS)[agent_id]
    pane = PaneStatus(
        agent_id=agent_id, role=role, pid=5000, pane_id=f"%{number}", incarnation="inc-new", restarts=1, exit_signal=15
    )
    others = [
        PaneStatus(agent_id=name, role=other, pid=4000 + n, pane_id=f"%{n}", incarnation=f"inc-{n}")
        for n, (name, other) in enumerate(scenes.AGENTS)
        if name != agent_id
    ]
    ui.source.say("supervisor", Kind.HOST_STATUS, HostStatus(panes=[*others, pane], session="s"), "devbox")
    body = scenes.b.Status(status="online", role=role, incarnation="inc-new", host="devbox", pid=5000)
    ui.source.say(agent_id, Kind.STATUS, body, agent_id, role=role)
    await ui.settle()


@pytest.mark.asyncio
async def test_a_question_about_an_agent_that_came_back_anew_is_void() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("9", "r")
        assert ui.has("Restart testing-01 now?")
        await restarted(ui, "testing-01", 8)
        assert ui.has("Not any more: testing-01 was started again")
        assert not ui.has("Yes, restart")
        await ui.press("y")
        assert ui.source.acts == []
        await ui.press("enter")
        assert ui.app.screen is ui.app.main
        assert ui.source.acts == []


@pytest.mark.asyncio
async def test_a_question_is_about_whom_it_names_though_the_list_moves() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        await ui.press("p", "tab")
        ui.app.main.tasks.select("task_f00d11")
        await ui.press("c")
        ui.app.main.tasks.select("task_c0ffee")
        await ui.press("y")
        told = [body.task_id for _, body, _ in ui.source.acts if isinstance(body, TaskAct)]
        assert told == ["task_f00d11"]


@pytest.mark.asyncio
async def test_a_dialog_has_the_last_line_and_only_its_keys() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("9", "r")
        assert "y yes, restart" in ui.footer
        assert "n new" not in ui.footer
        await ui.press("n", "ctrl+p")
        assert "Esc close" in ui.footer
        assert "n new" not in ui.footer
        await ui.press("escape")
        assert "n new" in ui.footer
        assert ui.footer.rstrip().endswith("? help")


@pytest.mark.asyncio
async def test_an_idle_agent_restarts_and_its_return_is_told() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        await ui.press("3", "r")
        assert "restarting database-01 (idle)" in ui.footer
        await restarted(ui, "database-01", 2)
        await ui.pass_(1.0)
        assert "database-01 is back with a new process" in ui.footer
        assert not any("was killed" in notice.text for notice in ui.app.notices.all)
        await ui.press("4", "r")
        await ui.pass_(46.0)
        assert any("deployment-01 is not back after 45 s" in notice.text for notice in ui.app.notices.all)


@pytest.mark.asyncio
async def test_answers_to_our_own_questions_are_counted_and_no_news() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        before, shown = ui.app.model.received, ui.app.main.stream.count()
        ui.source.say("task-manager-01", Kind.REPLY, Reply(query="tasks", rows=[{"task_id": "task_77aa01"}]), "me")
        await ui.settle()
        assert ui.app.model.received == before + 1
        assert ui.app.main.stream.count() == shown
        for text, hits in (("task_77aa01", False), ("operators/#", True), ("reply", True), ("!agents", False)):
            ui.app.model.stream.filter(text)
            found = [m for m in ui.app.model.stream.shown if m.topic.endswith("/reply")]
            assert bool(found) == hits, text


@pytest.mark.asyncio
async def test_an_opening_says_what_it_waits_for_and_is_no_trouble() -> None:
    clock = Clock()
    source = scenes.build(clock)
    app = SwarmApp(source, clock=clock, timers=False)
    async with app.run_test(size=(80, 24)) as pilot:
        ui = UiDriver(app, pilot, source, clock)
        await ui.pass_(1.0)
        assert ui.has("◌ connecting to 127.0.0.1:1883")
        assert ui.has("Opening: waiting for the broker's answer")
        assert not ui.has("NO BROKER")
        source.link(False, "refused by 127.0.0.1:1883")
        await ui.settle()
        assert ui.has("NO BROKER", "refused by 127.0.0.1:1883")
        answered = threading.Event()
        source.query = lambda *_: answered.wait(10.0) and None  # type: ignore[method-assign]
        source.link(True)
        app.updates.drain()
        await pilot.pause()
        app.updates.tick()
        await pilot.pause()
        assert ui.has("opening: waiting for the dispatcher's list of tasks and monitoring's last hour")
        answered.set()
        await ui.settle()
        assert ui.has("No task yet")


def test_an_opening_waits_for_nobody_who_is_not_in_the_swarm() -> None:
    model = Model("dev", Clock())
    model.feed([Link(True)], 0.0)
    model.pending = {"tasks": "the dispatcher's list of tasks", "history": "monitoring's last hour"}
    assert model.waiting() == "the dispatcher's list of tasks and monitoring's last hour"
    writer = Writer("dev", "x", "general", new_id=lambda: "id", clock=lambda: 1.0)
    for role, waits in (("general", ""), ("monitoring", "monitoring's last hour")):
        out = writer.message(Kind.STATUS, Status(status="online", role=role), f"{role}-1")
        event = decode("dev", out.topic, out.payload, True, 1.0)
        assert isinstance(event, Event)
        model.feed([event], 1.0)
        assert model.waiting() == waits


@pytest.mark.asyncio
async def test_a_slow_connection_becomes_trouble() -> None:
    clock = Clock()
    source = scenes.build(clock)
    app = SwarmApp(source, clock=clock, timers=False)
    async with app.run_test(size=(80, 24)) as pilot:
        ui = UiDriver(app, pilot, source, clock)
        await ui.pass_(4.0)
        assert ui.has("NO BROKER for", "not connected yet")


@pytest.mark.asyncio
async def test_a_task_that_waits_for_one_who_drains_is_gone_to() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for status in ("online", "draining"):
            body = Status(status=status, role="testing", incarnation="inc-8", capabilities=["testing.run"])
            ui.source.say("testing-01", Kind.STATUS, body, "testing-01")
            await ui.settle()
            await ui.pass_(1.0)
            await ui.press("p")
            assert ("nothing is wrong" in ui.footer) == (status == "online")
        assert ui.app.main.panel == "tasks"
        assert ui.app.main.tasks.current() == "task_aa1e30"
        assert ui.has("→ undrain testing-01")
        assert ui.has("task_aa1e30", "testing-01 drains")
        assert ui.app.main.agents.rows.ids() == ["testing-01"]
        await ui.press("enter")
        assert ui.has("nobody takes it")
        assert ui.has("waits     testing-01 drains, and no other does testing.run")
        assert ui.has("→ undrain testing-01, or start another that does testing.run")
        await ui.press("escape", "shift+tab")
        assert "d undrain" in ui.footer


@pytest.mark.asyncio
async def test_a_task_that_nobody_can_be_given_says_what_the_dispatcher_says_of_it() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        alert = Alert(severity="warning", name="nobody:testing.run", message="nobody here does testing.run")
        ui.source.say("task-manager-01", Kind.ALERT, alert)
        await ui.settle()
        await ui.pass_(1.0)
        assert ui.has("task_aa1e30", "nobody here does testing.run")
        assert not ui.has("task_bb7c12", "nobody")


@pytest.mark.asyncio
async def test_the_form_says_why_what_it_sent_waits() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        body = Status(status="draining", role="testing", incarnation="inc-8", capabilities=["testing.coverage"])
        ui.source.say("testing-01", Kind.STATUS, body, "testing-01")
        await ui.settle()
        await ui.press("n")
        await ui.type("testing.coverage")
        await ui.press("enter", "ctrl+s")
        task, sent, changed = ui.source.submitted[0]
        sent.stage = "queued"
        scenes.task(ui.source, ui.clock, task.task_id, task.type, ago=1.0)
        changed()
        await ui.settle()
        await ui.pass_(1.0)
        assert ui.has("● queued: testing-01 drains, and no other does testing.co")


@pytest.mark.asyncio
async def test_who_looks_at_the_problems_is_led_back_to_the_panel_that_had_the_keys() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        main = ui.app.main
        for keys, back in ((["p", "escape"], "stream"), (["p", "p"], "stream"), (["p", "tab", "escape"], None)):
            main.focus_panel("stream")
            await ui.press(keys[0])
            led_to = main.panel
            assert led_to in ("agents", "tasks")
            await ui.press(*keys[1:])
            assert main.panel == back if back else main.panel not in ("stream", led_to)


async def fail_badly(ui: UiDriver, count: int) -> None:
    for n in range(count):
        scenes.task(ui.source, ui.clock, f"task_bad{n}", "testing.run", "testing-01", end="badly", ago=50.0 - 5 * n)
    await ui.settle()


@pytest.mark.asyncio
async def test_problems_say_the_same_advice_once_the_newest_first_and_leave_room_for_the_rows() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await fail_badly(ui, 5)
        await ui.press("p")
        lines = ui.text()
        assert sum("open it to see what failed" in line for line in lines) == 1
        assert lines[2].startswith(" ! task_bad4 came out failed")
        assert ui.has("→ +2 more: open it to see what failed")
        rows = [line for line in lines if "✗ complete" in line]
        assert ["task_bad4" in rows[0], len(rows)] == [True, 5]


@pytest.mark.asyncio
async def test_problems_that_were_seen_stand_after_those_that_were_not() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await fail_badly(ui, 2)
        await ui.press("x", "p")
        assert ui.text()[2].startswith(" ! task_bad0 came out failed")
        assert ui.has("task_bad1", "(seen)")
        assert sum("open it to see what failed" in line for line in ui.text()) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_problems_views_headings_are_whole(size: tuple[int, int]) -> None:
    async with open_ui("trouble", size) as ui:
        await ui.press("p")
        assert ui.has("AGENTS 2 ! ", " AGENT ", " DOES ", " BEATS ")
        assert ui.has("TASKS 4 ! ", " TASK ", " TYPE ", " AGENT ", " HOW IT GOES ")
        assert "p show all" in ui.footer
        await ui.press("p")
        assert "show all" not in ui.footer
        await ui.press("tab", "right_square_bracket")
        assert not ui.has("TASKS", "open T")
