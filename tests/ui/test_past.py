"""The last hour is an hour, whatever heartbeats came, and what came while the broker was lost is filled in."""

from typing import Any

import pytest
from msgspec import structs

from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.past import HOUR, NEWEST, OVERLAP, TRIES, history, messages_since
from swarm_tui.ui.look.message_line import summary
from swarm_tui.ui.look.text import clock as told_clock
from swarm_tui.ui.model.stream import Stream, is_problem
from tests.ui import scenes
from tests.ui.fake import START, SWARM, Clock
from tests.ui.harness import UiDriver, open_ui


def row(at: float, topic: str, text: str) -> dict[str, object]:
    return {"at": at, "topic": f"{SWARM}/{topic}", "payload": f'{{"id":"{text}","payload":{{"text":"{text}"}}}}'}


def test_heartbeats_crowd_out_no_news_of_the_hour() -> None:
    beats = [row(START - 500 + n, "agents/heartbeat", f"beat-{n}") for n in range(NEWEST)]
    asked: list[dict[str, Any]] = []

    def query(name: str, args: dict[str, Any]) -> Reply:
        asked.append(args)
        if "topics" not in args:
            return Reply(query=name, rows=beats)
        old = row(START - 3000, "alerts", "of old")
        return Reply(query=name, rows=[old] if f"{SWARM}/alerts" in args["topics"] else [])

    source = scenes.build(Clock())
    source.query = query  # type: ignore[method-assign]
    found = messages_since(source, SWARM, START - HOUR, START)
    assert len(found) == NEWEST + 1
    assert {args["since"] for args in asked} == {START - HOUR}
    assert {args.get("until") for args in asked[1:]} == {START - 500}
    stream = Stream(SWARM)
    stream.load(found)
    stream.load(found)
    assert len(stream.all) == NEWEST + 1
    assert stream.all[0].topic.endswith("alerts"), "each at its time"


@pytest.mark.asyncio
async def test_what_came_while_the_broker_was_lost_is_asked_for_and_takes_its_place() -> None:
    async with open_ui("calm") as ui:
        silent = [True, True]
        asked: list[dict[str, Any]] = []
        ui.source.replies["history"] = Reply(query="history", rows=[row(START - 60, "broadcast", "before")])

        def query(name: str, args: dict[str, Any]) -> Reply | None:
            if name != "history":
                return None
            asked.append(args)
            return None if silent and silent.pop() else ui.source.replies["history"]

        ui.app.model.past_loaded = True
        ui.source.query = query  # type: ignore[method-assign]
        ui.source.link(False, "gone")
        await ui.settle()
        await ui.pass_(100.0)
        ui.source.replies["history"] = Reply(query="history", rows=[row(START + 50, "broadcast", "meanwhile")])
        ui.source.link(True)
        await ui.settle()
        assert asked[0]["since"] == START - OVERLAP
        assert len(asked) == 3 <= TRIES, "who answers may need a moment to come back"
        scenes.beat(ui.source, ui.clock, ui.clock())
        await ui.settle()
        texts = [message.topic.rsplit("/", 1)[1] for message in ui.app.model.stream.all]
        assert texts.index("broadcast") < len(texts) - len(scenes.AGENTS)
        times = [message.received for message in ui.app.model.stream.all][-len(scenes.AGENTS) - 1 :]
        assert times[0] == START + 50


@pytest.mark.asyncio
async def test_the_end_of_a_recording_is_told_as_that_and_time_stands_still() -> None:
    clock = Clock()
    source = scenes.build(clock)
    source.facts = structs.replace(source.facts, broker="recording incident.jsonl", recording=True)
    app = SwarmApp(source, clock=clock, timers=False, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        ui = UiDriver(app, pilot, source, clock)
        scenes.calm(source, clock)
        await ui.settle()
        await ui.pass_(1.0)
        assert ui.has(f"▶ {told_clock(clock())} recording incident.jsonl"), "the time of what is played"
        source.link(False, "the recording is over")
        await ui.settle()
        ended = app.model.ended
        assert "the recording ended" in ui.footer
        await ui.pass_(7.0)
        assert ui.has(f"■ {told_clock(ended)} end of recording incident.jsonl")
        assert ui.has("THE RECORDING ENDED")
        before = ui.text()[3:]
        await ui.pass_(50.0)
        assert ui.text()[3:] == before
        app.main.act("problems")
        await ui.settle()
        app.pages.open_task("task_77aa01")
        await ui.settle()
        assert ui.has("THE RECORDING ENDED")
        assert not any("broker" in line.lower() for line in ui.text())
    assert not any("broker" in notice.text for notice in app.notices.all)


@pytest.mark.parametrize("sender", ["docs-01", "ada@devbox", ""])
def test_what_the_record_cut_is_its_beginning_and_no_refusal(sender: str) -> None:
    head = f'"agent_id":"{sender}","payload":' if sender else '"payload":'
    text = '{"id":"i",' + head + '{"task_id":"task_long","agent_id":"docs-01","result":{"a":"' + "x" * 9000
    rows = [{"at": START - 5, "topic": f"{SWARM}/tasks/complete", "payload": text, "cut": True}]
    (message,) = history(SWARM, Reply(query="history", rows=rows), START)
    assert isinstance(message, Event)
    assert not is_problem(message)
    assert (message.sender, message.payload["task_id"], message.kind) == (
        sender or "docs-01",
        "task_long",
        Kind.TASK_COMPLETE,
    )
    assert message.payload["beginning"] == text
    assert f"{len(text):,} characters" in summary(message)


@pytest.mark.asyncio
async def test_no_refusal_is_told_of_since_when() -> None:
    async with open_ui() as ui:
        await ui.press("E")
        assert "no message was refused since this screen opened" in ui.footer
