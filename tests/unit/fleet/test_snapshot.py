"""A fleet out of a snapshot knows the same, and learns the same from what comes next."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.snapshot import LARGEST_VALUE, SnapshotError, restored, snapshot
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.ask_bodies import Ask, AskRecorded
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.fleet.swarm import SWARM, Paper, story
from tests.unit.fleet.test_fleet_properties import MESSAGE, feed


def known(fleet: Fleet) -> dict[str, Any]:
    """All that anybody can read off a fleet."""
    agents, hosts, tasks = fleet.parts()
    return {
        "agents": dict(agents.all), "held": agents.held, "hosts": hosts.all, "panes": hosts.panes, "tasks": tasks.all,
        "by_state": {state: list(ids) for state, ids in tasks.by_state.items()}, "ended": list(tasks.ended.ids),
        "past": dict(tasks.ended.past), "counts": fleet.counts, "refusals": fleet.refusals, "alerts": fleet.alerts,
        "dispatcher": fleet.dispatcher, "halted": fleet.halted, "scale": fleet.scale, "times": fleet.times(),
        "asks": fleet.asks.open,
        "lengths": {agent.agent_id: agent.beats.maxlen for agent in agents.all.values()},
    }  # fmt: skip


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(MESSAGE, max_size=25), st.lists(MESSAGE, max_size=10))
def test_it_knows_the_same_and_goes_on_the_same(
    before: list[tuple[str, dict[str, Any], bool, float]], after: list[tuple[str, dict[str, Any], bool, float]]
) -> None:
    fleet = Fleet(SWARM)
    fleet.link(True, "", 1_800_000_000.0)
    feed(fleet, before)
    again = restored(snapshot(fleet), kept=10_000)
    assert repr(known(again)) == repr(known(fleet))
    for agent_id, agent in again.agents.items():
        assert agent.tasks is again.parts()[0].held[agent_id]
    feed(fleet, after)
    feed(again, after)
    assert repr(known(again)) == repr(known(fleet))


def test_a_large_result_is_left_out_and_a_small_one_is_not() -> None:
    for size, whole in ((100, True), (LARGEST_VALUE + 100, False)):
        paper = Paper()
        for event in story(paper, "t"):
            paper.fleet.apply(event, paper.now)
        done = b.Complete(task_id="t", agent_id="a1", attempt=9, result={"text": "x" * size})
        paper.fleet.apply(paper.event("a1", Kind.TASK_COMPLETE, done), paper.now)
        found = restored(snapshot(paper.fleet), kept=500).tasks["t"].result
        assert (found == done.result) is whole
        assert whole or "left_out" in found


def test_what_waits_for_an_answer_is_kept_and_what_was_answered_is_not() -> None:
    paper = Paper()
    for n in range(2):
        ask = Ask(ask_id=f"q{n}", task_id="t", agent_id="a1", tool="Bash", title="ls", diff="x" * LARGEST_VALUE * 2)
        paper.fleet.apply(paper.event("a1", Kind.ASK, ask, f"q{n}"), paper.now)
    recorded = AskRecorded(ask_id="q0", task_id="t", outcome="deny")
    paper.fleet.apply(paper.event("tm", Kind.ASK_RECORDED, recorded, "q0"), paper.now)
    again = restored(snapshot(paper.fleet), kept=500)
    assert list(again.asks.open) == ["q1"]
    assert len(again.asks.open["q1"].diff or "") == LARGEST_VALUE


def test_of_ended_tasks_the_newest_are_kept_and_the_others_counted() -> None:
    paper = Paper()
    for n in range(10):
        for event in story(paper, f"t{n}"):
            paper.fleet.apply(event, paper.now)
    again = restored(snapshot(paper.fleet, ended_tasks=3), kept=500)
    assert list(again.tasks) == ["t7", "t8", "t9"]
    assert again.counts_by_state() == paper.fleet.counts_by_state()
    assert again.came_badly == paper.fleet.came_badly


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"{}", msgspec.msgpack.encode([1]), msgspec.msgpack.encode("x")])
def test_what_is_no_snapshot_is_said(raw: bytes) -> None:
    with pytest.raises(SnapshotError):
        restored(raw, kept=500)


def test_another_version_is_refused() -> None:
    saved = msgspec.msgpack.decode(snapshot(Fleet(SWARM)))
    saved[0] = 99
    with pytest.raises(SnapshotError, match="version 99"):
        restored(msgspec.msgpack.encode(saved), kept=500)
