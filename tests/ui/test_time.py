"""Back in time: the same screen as it was, what happens now taken in unseen, and nothing sent from there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swarm_tui.agent.roles.monitoring.history import answer, args_of
from swarm_tui.agent.roles.monitoring.keyframes import QUERIES, time_reply
from swarm_tui.journal.recorder_port import MemoryRecorder, recorded_of
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import JsonObject, Reply
from swarm_tui.protocol.topics import Kind
from tests.ui.fake import SWARM
from tests.ui.harness import UiDriver, open_ui

TASK = "task_old"


class Keeper:
    """Records what the fake swarm says, and answers for it as monitoring does."""

    def __init__(self, ui: UiDriver) -> None:
        self.recorder = MemoryRecorder()
        self.away = False
        self._raw = ui.source.raw
        self._ui = ui
        ui.source.raw = self.raw  # type: ignore[method-assign]
        ui.source.query = self.query  # type: ignore[method-assign]

    def raw(self, topic: str, payload: bytes, at: float | None = None) -> None:
        now = self._ui.clock() if at is None else at
        event = codec.decode(SWARM, topic, payload, False, now)
        assert event is not None
        self.recorder.add(recorded_of(event, topic, payload, now))
        self._raw(topic, payload, at)

    def query(self, query: str, args: JsonObject) -> Reply | None:
        if self.away or (query != "history" and query not in QUERIES):
            return None
        named: dict[str, Any] = {"request": "r", "source": "m"}
        if query == "history":
            pages = list(answer(self.recorder.history(args_of(args)), None, **named))
        else:
            pages = list(time_reply(query, args, self.recorder, **named))
        return Reply(query=query, rows=[row for page in pages for row in page.rows], error=pages[-1].error)


@asynccontextmanager
async def told(size: tuple[int, int] = (120, 40), **options: Any) -> AsyncIterator[tuple[UiDriver, Keeper]]:
    """A task that ran, a minute a step: published, assigned, started, complete; then two quiet minutes."""
    async with open_ui("start", size, **options) as ui:
        keeper = Keeper(ui)
        await ui.pass_(5)
        steps: list[tuple[str, Kind, b.Body]] = [
            ("ada", Kind.TASK_NEW, b.Task(task_id=TASK, type="testing.run", payload={"path": "."})),
            ("task-manager-01", Kind.TASK_ASSIGNED, b.Assigned(task_id=TASK, agent_id="testing-01", attempt=1)),
            ("testing-01", Kind.TASK_STARTED, b.Started(task_id=TASK, agent_id="testing-01", attempt=1)),
            ("testing-01", Kind.TASK_COMPLETE, b.Complete(task_id=TASK, agent_id="testing-01", attempt=1, result={})),
        ]
        for sender, kind, body in steps:
            ui.source.say(sender, kind, body)
            await ui.settle()
            ui.clock.pass_(60)
        ui.clock.pass_(60)
        await ui.settle()
        yield ui, keeper


def state(ui: UiDriver) -> str:
    return next((line for line in ui.text() if TASK in line), "no such task").split(TASK)[0].split()[-1]


@pytest.mark.asyncio
async def test_the_screen_turns_back_and_to_now_again() -> None:
    async with told() as (ui, _):
        assert state(ui) == "complete"
        await ui.press("T")
        assert ui.has("◀")
        assert ui.has("event", "minute", "live")
        seen = []
        for key in ["left_curly_bracket"] * 3 + ["right_curly_bracket", "left_parenthesis", "right_parenthesis"]:
            await ui.press(key)
            seen.append(state(ui))
        assert seen == ["complete", "running", "assigned", "running", "assigned", "running"]
        ui.source.say("ada", Kind.TASK_NEW, b.Task(task_id="task_new", type="testing.run"))
        await ui.settle()
        assert not ui.has("task_new"), "what happens now does not show"
        await ui.press("L")
        assert (state(ui), ui.has("◀"), ui.has("task_new")) == ("complete", False, True)


@pytest.mark.asyncio
async def test_a_page_shows_what_was_known_then() -> None:
    async with told() as (ui, _):
        await ui.press("T", "left_curly_bracket", "left_curly_bracket", "tab", "enter")
        assert ui.has("running", "◀")
        assert ui.has("tasks/started")
        assert not ui.has("complete")
        await ui.press("L")
        assert ui.has("tasks/complete")
        assert not ui.has("◀")


@pytest.mark.asyncio
async def test_a_page_that_was_open_before_goes_back_with_the_rest() -> None:
    async with told() as (ui, _):
        await ui.press("tab", "enter")
        assert ui.has("tasks/complete"), "the record told all of it"
        await ui.press("T", "left_curly_bracket", "left_curly_bracket")
        assert ui.has("tasks/started")
        assert not ui.has("tasks/complete")


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["n", "r", "d", "c", "t", "H", "s", "plus", "y"])
async def test_nothing_is_sent_from_the_past_and_why_is_said(key: str) -> None:
    async with told() as (ui, _):
        before = (len(ui.source.acts), len(ui.source.submitted))
        await ui.press("T", "left_curly_bracket", "left_curly_bracket")
        if key in "cty":
            await ui.press("tab")
        await ui.press(key)
        assert "how it was at" in ui.footer or "works on" in ui.footer, ui.footer
        assert (len(ui.source.acts), len(ui.source.submitted)) == before


@pytest.mark.asyncio
async def test_digits_jump_along_the_line_and_a_click_goes_there() -> None:
    async with told() as (ui, _):
        await ui.press("T")
        await ui.settle()
        since, until = ui.app.time.span
        await ui.press("1")
        assert abs(ui.app.time.at - (since + (until - since) / 10)) < 1
        await ui.press("9")
        assert ui.app.time.at > since + (until - since) / 2
        bar = ui.app.main.time_bar
        await ui.pilot.click(bar, offset=(bar.size.width // 2, 0))
        await ui.settle()
        assert abs(ui.app.time.at - (since + until) / 2) < (until - since) / 50


@pytest.mark.asyncio
async def test_the_line_shows_what_people_look_for() -> None:
    async with told((80, 24)) as (ui, _):
        ui.source.say("testing-01", Kind.TASK_FAILED, b.Failed(task_id="x", error=b.ErrorInfo(message="broke")))
        ui.clock.pass_(60)
        await ui.press("T")
        line = ui.text()[-3]
        assert "✗" in line
        assert any(height in line for height in "▁▂▃▄▅▆▇█")
        assert len(ui.text()[-2].rstrip()) <= 80
        assert "live" in ui.text()[-2]


@pytest.mark.asyncio
async def test_where_nobody_answers_it_is_now_again_and_said() -> None:
    async with told() as (ui, keeper):
        keeper.away = True
        await ui.press("T")
        assert "nobody who keeps the record answers" in ui.footer
        assert not ui.app.time.on
        assert state(ui) == "complete"
        keeper.away = False
        await ui.press("T", "left_curly_bracket", "left_curly_bracket")
        keeper.away = True
        await ui.press("right_curly_bracket")
        assert "nobody who keeps the record answers" in ui.footer
        assert ui.app.time.on, "the moment that shows stays"
        assert state(ui) == "running"


@pytest.mark.asyncio
async def test_the_ends_of_the_record_are_ends() -> None:
    async with told() as (ui, _):
        await ui.press("T", *["left_curly_bracket"] * 8)
        assert "the record begins here" in ui.footer
        await ui.press("right_parenthesis", "L", "T", "right_curly_bracket")
        assert "nothing happened after that" in ui.footer
        await ui.press("right_parenthesis")
        assert ui.app.time.at <= ui.clock()


@pytest.mark.asyncio
async def test_there_is_no_way_back_without_a_broker_and_no_time_key_now() -> None:
    async with told() as (ui, _):
        await ui.press("left_curly_bracket")
        assert "this is now" in ui.footer
        ui.source.link(False, "gone")
        await ui.settle()
        await ui.press("T")
        assert "nobody answers for the past" in ui.footer


@pytest.mark.asyncio
async def test_there_is_no_way_back_where_nobody_keeps_the_record() -> None:
    async with told() as (ui, _):
        ui.source.say("monitoring-01", Kind.STATUS, b.Status(status="offline", role="monitoring"), "monitoring-01")
        await ui.settle()
        await ui.press("T")
        assert "an agent of the role monitoring does" in ui.footer


@pytest.mark.asyncio
async def test_escape_in_the_past_tells_the_way_to_now() -> None:
    async with told() as (ui, _):
        await ui.press("T", "escape")
        assert "L goes back to now" in ui.footer


@pytest.mark.asyncio
async def test_marks_filters_and_what_was_seen_of_now_stay() -> None:
    async with told() as (ui, _):
        await ui.press("tab", "asterisk", "T")
        assert not ui.app.model.marks["tasks"]
        await ui.press("tab", "slash")
        await ui.type("started")
        await ui.press("enter")
        assert len(ui.app.model.stream.shown) == 1
        await ui.press("L")
        assert ui.app.model.marks["tasks"] == {TASK}
        assert ui.app.model.stream.pattern.text == "started"
        assert f"{SWARM}/tasks/started" in {message.topic for message in ui.app.model.stream.shown}
        assert f"{SWARM}/tasks/complete" not in {message.topic for message in ui.app.model.stream.shown}


@pytest.mark.asyncio
async def test_panes_show_what_was_in_them_then() -> None:
    async with open_ui("start", (200, 50)) as ui:
        keeper = Keeper(ui)
        pane = b.PaneStatus(agent_id="docs-01", role="docs", pid=1, pane_id="%7", incarnation="i")
        ui.source.say("supervisor", Kind.HOST_STATUS, b.HostStatus(panes=[pane], session="opencto", pid=2), "devbox")
        start = ui.clock()
        ui.source.panes_at["docs-01"] = [(start + 10, ["\x1b[31mof then\x1b[0m"]), (start + 70, ["of later"])]
        ui.source.panes.screens["%7"] = ["of now"]
        ui.clock.pass_(100)
        ui.source.say("ada", Kind.BROADCAST, b.Broadcast(text="x"))
        await ui.settle()
        assert keeper.recorder.stats().stored == 2
        await ui.press("T", "left_parenthesis")
        assert ui.has("of then")
        await ui.press("right_parenthesis")
        assert ui.has("of later")
        await ui.press("w")
        assert ui.has("of later")
        await ui.press("a")
        assert "how it was at" in ui.footer
        assert not ui.source.panes.attached
        await ui.press("escape", "L")
        assert not ui.has("of later")


@pytest.mark.asyncio
async def test_what_changed_between_two_moments_is_a_page() -> None:
    async with told() as (ui, _):
        await ui.press("C")
        assert "goes back in time" in ui.footer, "now alone is not two moments"
        await ui.press("T", *["left_curly_bracket"] * 4)
        await ui.press("C")
        assert ui.has("CHANGES", "→ now")
        assert ui.has("tasks 1")
        assert ui.has(TASK, "testing.run: queued → complete by testing-01")
        await ui.press("escape", "m")
        assert ui.has("◆"), "the mark is on the line of time"
        await ui.press("right_curly_bracket", "right_curly_bracket")
        await ui.press("C")
        assert ui.has(TASK, "queued → running by testing-01")
        await ui.press("left_curly_bracket")
        assert ui.has(TASK, "queued → assigned by testing-01"), "the page follows the moment that shows"
        await ui.press("G", "enter")
        assert ui.has(" TASK ", TASK)


@pytest.mark.asyncio
async def test_a_mark_outlives_the_way_back_to_now_and_can_be_taken_away() -> None:
    async with told() as (ui, _):
        await ui.press("m")
        assert "this is now" in ui.footer
        await ui.press("T", *["left_curly_bracket"] * 3)
        await ui.press("m", "L", "C")
        assert ui.has("CHANGES", "→ now")
        assert ui.has(TASK, "assigned by testing-01 → complete by testing-01")
        ui.source.say("ada", Kind.TASK_NEW, b.Task(task_id="task_new", type="testing.run"))
        await ui.settle()
        await ui.pass_(1)
        assert ui.has("task_new", "new testing.run: queued"), "now goes on"
        await ui.press("C")
        assert not ui.has("CHANGES"), "once more comes back"
        await ui.press("T")
        await ui.press("m")
        await ui.press("m")
        assert "no moment is marked" in ui.footer
        assert not ui.has("◆")
