"""Schedules in the dispatcher's core: each time fires once, whatever befalls the dispatcher and its clock."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import DispatchSettings
from swarm_tui.domain.dispatch.task_rows import schedule_rows
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.domain.workflows.schedule import Schedule, last_due, next_time, problem, stamp
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.run_bodies import ScheduleAct
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.world import OPERATOR, RULES, World, of, offers

BERLIN = "Europe/Berlin"
WORKFLOW = msgspec.convert({"workflow": "w", "steps": {"a": {"type": "noop"}}}, Workflow)


def world(at: str = "2026-11-29T03:00:10+00:00", **more: Any) -> World:
    schedule = Schedule(**{"name": "s", "cron": "0 * * * *", "type": "noop", **more})
    made = World(DispatchSettings(rules=RULES, schedules=(schedule,)), leading=False)
    made.wall = datetime.fromisoformat(at).timestamp()
    made.lead()
    made.tick()
    return made


def pass_to(made: World, at: str) -> None:
    """Let time pass up to then, in steps."""
    end = datetime.fromisoformat(at).timestamp()
    while made.wall < end:
        jump = min(30.0, end - made.wall)
        made.now += jump
        made.wall += jump
        made.tick()


def fired(made: World) -> list[str]:
    return sorted(task_id for task_id in made.state.jobs if task_id.startswith("s:"))


def test_a_schedule_begins_a_task_at_each_of_its_times() -> None:
    made = world()
    made.agent("a")
    for hour in (4, 5):
        pass_to(made, f"2026-11-29T0{hour}:00:01+00:00")
        made.complete(offers(made.said)[-1])
    assert fired(made) == ["s:20261129T040000Z", "s:20261129T050000Z"]
    job = made.job("s:20261129T040000Z")
    assert (job.task.idempotency_key, job.by) == ("s@2026-11-29T04:00:00.000Z", "schedule:s")


def test_a_schedule_begins_a_run_with_its_inputs() -> None:
    made = world(type=None, workflow=WORKFLOW)
    pass_to(made, "2026-11-29T04:00:01+00:00")
    assert made.state.runs["s-20261129T040000Z"].plan.by == "schedule:s"
    assert "s-20261129T040000Z.a" in made.state.jobs


@pytest.mark.parametrize(
    ("overlap", "states", "skipped"),
    [
        ("skip", ["queued"], 1),
        ("queue", ["queued"], 0),
        ("replace", ["cancelled", "queued"], 0),
    ],
)
def test_a_firing_while_the_one_before_is_open(overlap: str, states: list[str], skipped: int) -> None:
    made = world(overlap=overlap)
    pass_to(made, "2026-11-29T05:00:01+00:00")
    assert [made.job(name).state.value for name in fired(made)] == states
    assert made.state.schedules["s"].skipped == skipped
    if overlap == "queue":
        made.act(Kind.TASK_CANCEL, "s:20261129T040000Z")
        made.tick(1.0)
        assert fired(made) == ["s:20261129T040000Z", "s:20261129T050000Z"]


def test_a_firing_that_waits_for_the_one_before_waits_for_the_end_of_a_pause_too() -> None:
    made = world(overlap="queue")
    pass_to(made, "2026-11-29T05:00:01+00:00")
    act(made, "pause")
    made.act(Kind.TASK_CANCEL, "s:20261129T040000Z")
    made.tick(1.0)
    assert fired(made) == ["s:20261129T040000Z"]
    act(made, "resume")
    made.tick(1.0)
    assert fired(made) == ["s:20261129T040000Z", "s:20261129T050000Z"]


@pytest.mark.parametrize(("missed", "count"), [("one", 1), ("none", 0)])
def test_times_that_were_missed_are_made_up_for_once_or_not_at_all(missed: str, count: int) -> None:
    made = world(missed=missed)
    made.now += 5 * 3600 + 1800
    made.wall += 5 * 3600 + 1800
    made.crash()
    made.tick()
    assert fired(made) == ["s:20261129T080000Z"][:count]
    pass_to(made, "2026-11-29T09:00:01+00:00")
    assert len(fired(made)) == count + (missed == "none")


def test_who_leads_with_the_right_time_finds_the_times_of_a_clock_that_was_ahead() -> None:
    made = world("2027-11-29T03:00:10+00:00", cron="0 4 29 11 *")
    made.wall = datetime.fromisoformat("2026-11-29T03:59:00+00:00").timestamp()
    made.crash()
    pass_to(made, "2026-11-29T04:00:01+00:00")
    assert fired(made) == ["s:20261129T040000Z"]


def test_nobody_takes_the_id_of_a_firing_before_it_fires() -> None:
    made = world()
    refused = made.submit("s:20261129T040000Z") + made.submit("mine", idempotency_key="s@2026-11-29T04:00:00.000Z")
    assert ["of a firing of the schedule s" in said.reason for said in of(refused, Kind.TASK_REJECTED)] == [True, True]
    pass_to(made, "2026-11-29T04:00:01+00:00")
    assert made.job("s:20261129T040000Z").by == "schedule:s"
    made = world(type=None, workflow=WORKFLOW)
    (said,) = of(made.run("s-20261129T040000Z", {"a": {"type": "noop"}}), Kind.RUN_REJECTED)
    assert said.reason == "that id is of a firing of the schedule s"
    made.submit("s-20261129T040000Z.a")
    pass_to(made, "2026-11-29T04:00:01+00:00")
    assert made.state.runs["s-20261129T040000Z"].plan.by == "schedule:s", made.state.schedules["s"].reason


def test_a_halted_swarm_fires_nothing_and_makes_up_for_it() -> None:
    made = world()
    made.hear(Kind.HALT, b.Halt(reason="stop"), sender=OPERATOR)
    pass_to(made, "2026-11-29T04:30:00+00:00")
    assert fired(made) == []
    made.hear(Kind.HALT, None, sender=OPERATOR)
    made.tick()
    assert fired(made) == ["s:20261129T040000Z"]


def act(made: World, word: str, name: str = "s") -> list[Any]:
    body = msgspec.convert({"name": name, "act": word}, ScheduleAct)
    return of(made.hear(Kind.SCHEDULE_ACT, body, sender=OPERATOR), Kind.ALERT)


def test_one_is_paused_resumed_and_fired_by_hand() -> None:
    made = world()
    act(made, "pause")
    pass_to(made, "2026-11-29T04:30:00+00:00")
    assert fired(made) == []
    act(made, "resume")
    made.tick()
    assert fired(made) == []
    act(made, "fire")
    assert fired(made) == ["s:20261129T043000Z"]
    assert "it has fired at 2026-11-29T04:30:00" in act(made, "fire")[0].message
    assert made.state.schedules["s"].fired == 1
    assert "the layout has none" in act(made, "fire", "other")[0].message


def test_a_pause_outlives_a_crash_and_other_times_in_the_layout_count_from_now() -> None:
    made = world()
    act(made, "pause")
    made.crash()
    assert made.state.schedules["s"].paused
    made.settings = DispatchSettings(rules=RULES, schedules=(Schedule(name="s", cron="30 * * * *", type="noop"),))
    act(made, "resume")
    made.crash()
    pass_to(made, "2026-11-29T03:30:01+00:00")
    assert fired(made) == ["s:20261129T033000Z"]


def test_what_cannot_begin_is_said_and_the_next_time_comes_all_the_same() -> None:
    made = world(
        type=None, workflow=msgspec.convert({"workflow": "w", "steps": {"a": {"type": "nobody.does"}}}, Workflow)
    )
    pass_to(made, "2026-11-29T05:00:01+00:00")
    assert "nobody.does" in made.state.schedules["s"].reason
    assert len([alert for alert in of(made.said, Kind.ALERT) if alert.name == "schedule:s"]) == 2


@pytest.mark.parametrize(
    ("cron", "timezone", "says"),
    [
        ("0 0 31 2 *", "UTC", "never fires"),
        ("0 0 30 2 *", "UTC", "never fires"),
        ("0 3 * *", "UTC", "five fields"),
        ("* * * * * *", "UTC", "five fields"),
        ("61 * * * *", "UTC", "bad minute"),
        ("@daily", "UTC", "five fields"),
        ("0 3 * * *", "Mars/Olympus", "no timezone"),
        ("0 3 * * *", "../../etc/passwd", "no timezone"),
        ("0 3 * * *", "", "no timezone"),
    ],
)
def test_a_cron_that_never_fires_and_an_unknown_timezone_are_said(cron: str, timezone: str, says: str) -> None:
    assert says in problem(cron, timezone)


@pytest.mark.parametrize(
    ("cron", "first", "times"),
    [
        # 02:30 is left out in March: it comes right after the hour that is.
        ("30 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        # and in October it is there twice: it comes once.
        ("30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("*/30 * * * *", "2026-03-29T01:29", ["2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"]),
        (
            "0 * * * *",
            "2026-10-25T01:59",
            ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"],
        ),
    ],
)
def test_both_changes_of_the_clock_are_right(cron: str, first: str, times: list[str]) -> None:
    schedule = Schedule(name="s", cron=cron, timezone=BERLIN, type="noop")
    at = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(BERLIN)).timestamp()
    for wanted in times:
        found = next_time(schedule, at)
        assert found is not None
        assert datetime.fromtimestamp(found, UTC) == datetime.fromisoformat(wanted)
        at = found


CRONS = st.sampled_from(["*/5 * * * *", "0 * * * *", "30 2 * * *", "0 3 * * 1", "15,45 */2 * * *"])
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
#: Around both changes of 2026 in each of these zones.
STARTS = st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"])


@given(CRONS, ZONES, STARTS, st.lists(st.integers(1, 4000), min_size=1, max_size=30))
@settings(max_examples=examples(60), deadline=None)
def test_times_grow_whenever_somebody_looks(cron: str, zone: str, start: str, looks: list[int]) -> None:
    schedule = Schedule(name="s", cron=cron, timezone=zone, type="noop")
    at = datetime.fromisoformat(f"{start}T00:00+00:00").timestamp() - 7200
    first = next_time(schedule, at)
    assert first is not None
    wall = at
    for seconds in looks:
        wall += seconds
        if wall >= first:
            due = last_due(schedule, first, wall)
            following = next_time(schedule, due)
            assert first <= due <= wall
            assert following is not None
            assert following > wall
            first = following


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([1.0, 59.0, 600.0, 3600.0, 7300.0])),
        st.tuples(st.just("clock"), st.sampled_from([-7200.0, -3600.0, -61.0, 61.0, 3600.0, 90000.0])),
        st.tuples(st.just("crash"), st.sampled_from([0.0, 0.0, 3600.0, -90000.0, -400 * 86400.0])),
    ),
    max_size=25,
)


@given(MOVES, st.sampled_from(["one", "none"]), st.sampled_from(["UTC", BERLIN]), STARTS)
@settings(max_examples=examples(60), deadline=None)
def test_no_time_fires_twice_whatever_befalls(moves: Any, missed: str, zone: str, start: str) -> None:
    made = world(f"{start}T00:30:00+00:00", timezone=zone, missed=missed, overlap="replace")
    begun: list[str] = []
    for what, seconds in moves:
        if what == "crash":
            # Who leads next has another clock, maybe.
            made.wall += seconds
            made.crash()
            made.tick()
        elif what == "clock":
            made.wall += seconds
            made.tick()
        else:
            made.now += seconds
            made.wall += seconds
            made.tick()
        begun += [say.body.task_id for say in made.said if say.kind is Kind.TASK_QUEUED and not say.body.duplicate]
        made.said.clear()
    assert len(begun) == len(set(begun)), "a time fired twice"
    open_ones = [name for name in fired(made) if made.job(name).state is not TaskState.CANCELLED]
    assert len(open_ones) <= 1
    following = next_time(made.settings.schedules[0], made.wall)
    assert following is not None
    made.now += following - made.wall
    made.wall = following
    made.tick()
    assert f"s:{stamp(following)}" in made.state.jobs, "the next time is not left out"


def test_a_schedule_of_a_type_that_nobody_does_says_so_before_it_fires() -> None:
    steps = {"a": {"type": "noop"}, "b": {"type": "nobody.does"}}
    workflow = msgspec.convert({"workflow": "w", "steps": steps}, Workflow)
    for more in ({"type": "nobody.does"}, {"type": None, "workflow": workflow}):
        made = world(**more)
        (row,) = schedule_rows(made.state)
        assert row.reason == "nobody does nobody.does: neither the layout nor an agent that is there"
        made.agent("late", types=["nobody.does"])
        assert schedule_rows(made.state)[0].reason == ""
    assert schedule_rows(world().state)[0].reason == ""


def test_the_task_of_a_firing_is_told_with_its_type_which_nobody_published() -> None:
    made = world()
    made.agent("a")
    pass_to(made, "2026-11-29T04:00:01+00:00")
    assert [(told.type, told.run_id) for told in of(made.said, Kind.TASK_QUEUED)] == [("noop", None)]
