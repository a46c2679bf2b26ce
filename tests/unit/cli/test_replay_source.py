"""A recording as the screen's source: what was, asked for as of a swarm that runs."""

import pytest

from swarm_tui.cli.recording import Line
from swarm_tui.cli.replay_source import ReplayClock, ReplaySource
from swarm_tui.cli.span_file import read_span
from swarm_tui.client.past import Past
from swarm_tui.domain.fleet.snapshot import restored, snapshot
from swarm_tui.domain.problems import problems
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Heartbeat
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.model.source import Facts
from tests.ui.fake import Clock
from tests.ui.harness import UiDriver
from tests.unit.cli.test_export import FIXTURES


def test_no_broker_is_lost_at_a_moment_of_a_recording() -> None:
    writer = codec.Writer("s", "a", "docs", new_id=lambda: "1", clock=lambda: 100.0)
    out = writer.message(Kind.HEARTBEAT, Heartbeat(agent_id="a"))
    lines = [Line(at=at, topic=out.topic, payload=out.payload) for at in (100.0, 110.0)]
    facts = Facts(swarm="s", broker="recording r", recording=True, recorded=(100.0, 110.0))
    source = ReplaySource(facts, lines, lambda: 100.0)
    moment = Past(lambda query, args, _: source.query(query, args), "s", kept=9).moment(105.0)
    assert moment.fleet.broker_up
    assert problems(moment.fleet, 105.0) == []


@pytest.mark.asyncio
async def test_a_replay_has_the_page_of_what_changed_of_the_layout_too() -> None:
    span = read_span(FIXTURES / "asks.swarm")
    known, first, last = restored(span.snapshot, kept=500), span.lines[0].at, span.lines[-1].at
    facts = Facts(swarm=span.swarm, broker="recording asks", recording=True, recorded=(first, last), printed=True)
    source = ReplaySource(facts, span.lines, lambda: last, known=snapshot(known), panes=span.panes)
    app = SwarmApp(source, clock=lambda: last, read_only=True, known=known, timers=False)
    async with app.run_test(size=(80, 24)) as pilot:
        ui = UiDriver(app, pilot, source, Clock())  # type: ignore[arg-type]
        await ui.settle()
        await ui.press("T", "1", "m", "L", "C")
        assert ui.has("CHANGES", "differences")
        assert ui.has("── layout")
        assert ui.has("docs docs-01", "entry: agents 1 → gone")
        assert ui.has("policy", "new entry: approve deployment.*; budget day 5")
        assert ui.has("revision: "), "who had it run so, and when"


def test_after_its_end_the_time_of_a_recording_passes_as_any_other() -> None:
    now = [50.0]
    slow, fast = (ReplayClock(1000.0, 1020.0, speed, lambda: now[0]) for speed in (2.0, 1e9))
    assert (slow(), fast()) == (1000.0, 1000.0)
    now[0] += 5.0
    assert slow() == 1010.0
    assert fast() == pytest.approx(1025.0)
    now[0] += 10.0
    assert slow() == 1025.0
