"""Whom to believe when words come late, twice, out of order, or not at all; and what must not grow for ever."""

import pytest
from msgspec.structs import replace

from swarm_tui.domain.dispatch import DispatchSettings, step
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import Say
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.test_core import foreign
from tests.unit.dispatch.world import ME, OPERATOR, RULES, SWARM, World, of, offers, orders


@pytest.fixture
def world() -> World:
    return World()


def birth(world: World, agent_id: str, incarnation: str, started_at: float, *, retained: bool = False) -> None:
    body = b.Status(status="online", role="general", incarnation=incarnation, capacity=1, started_at=started_at)
    world.hear(Kind.STATUS, body, key=agent_id, sender=agent_id, retained=retained)


def test_a_birth_of_before_that_a_broker_still_retains_buries_nobody(world: World) -> None:
    birth(world, "a", "i1", 100.0)
    birth(world, "a", "i2", 200.0)
    world.start(offers(world.submit("t"))[0])
    birth(world, "a", "i1", 100.0, retained=True)
    assert world.job("t").state is TaskState.RUNNING
    # One that is said now is believed whatever its clock says: clocks are set back.
    birth(world, "a", "i3", 50.0)
    assert world.job("t").attempts[0].outcome == "lost"


def test_the_farewell_of_a_predecessor_takes_nothing_from_its_successor(world: World) -> None:
    world.agent("a", incarnation="i2")
    world.start(offers(world.submit("t"))[0])
    world.hear(Kind.SHUTDOWN, b.Shutdown(agent_id="a", incarnation="i1"), sender="a")
    assert world.job("t").state is TaskState.RUNNING
    world.hear(Kind.SHUTDOWN, b.Shutdown(agent_id="a", incarnation="i2"), sender="a")
    assert world.job("t").attempts[0].outcome == "lost"


@pytest.mark.parametrize("started", [True, False])
def test_a_decline_undoes_no_work_that_may_have_begun(world: World, started: bool) -> None:
    """What must not run twice would be given away again, unasked."""
    world.agent("a")
    offer = offers(world.submit("m", "database.migrate"))[0]
    if started:
        world.start(offer)
    world.agent("b")
    declined = b.Declined(task_id="m", agent_id="a", attempt=1, epoch=1, incarnation="i1" if started else "i2")
    assert offers(world.hear(Kind.TASK_DECLINED, declined, sender="a")) == []
    assert world.job("m").attempts[0].outcome == ""
    world.agent("a", incarnation="i2")
    assert world.job("m").state is TaskState.HELD


def test_a_successor_that_is_heard_by_its_heartbeat_first_is_one(world: World) -> None:
    world.agent("a")
    offers(world.submit("m", "database.migrate"))
    world.hear(Kind.STATUS, b.Status(status="offline", incarnation="i1"), key="a", sender="a")
    world.tick(6)
    assert offers(world.beat("a", incarnation="i2")) == []
    assert world.job("m").state is TaskState.HELD


@pytest.mark.parametrize("proved", [True, False])
@pytest.mark.parametrize("began", [150.0, None, 50.0])
def test_a_successor_is_believed_once_its_predecessor_has_been_silent(proved: bool, began: float | None) -> None:
    """Its birth may be lost, or look older than its predecessor's, whose clock was ahead; so may a death be."""
    world = World(DispatchSettings(rules=RULES, proved=proved))
    birth(world, "a", "i1", 100.0)
    world.submit("t")
    if began is not None:
        birth(world, "a", "i2", began, retained=True)
    for _ in range(4):
        world.tick(10)
        world.beat("a", incarnation="i2")
    attempt = world.job("t").current
    assert attempt is not None
    assert attempt.incarnation == world.state.agents["a"].incarnation == "i2"


def test_while_an_incarnation_beats_no_other_takes_its_work(world: World) -> None:
    birth(world, "a", "i2", 200.0)
    offer = offers(world.submit("t"))[0]
    world.start(offer)
    for _ in range(12):
        world.tick(10)
        world.beat("a", offer, incarnation="i2")
        world.beat("a", incarnation="i1")
    assert world.state.agents["a"].incarnation == "i2"
    assert world.job("t").attempts[0].outcome == ""


def test_an_offer_that_nobody_could_begin_is_no_try(world: World) -> None:
    world.agent("a")
    world.submit("t", max_attempts=1)
    world.tick(32)
    assert (world.job("t").state, world.job("t").tries) == (TaskState.QUEUED, 0)
    assert world.job("t").attempts[0].outcome == "lost"


def test_one_that_is_there_and_does_not_begin_spends_its_tries(world: World) -> None:
    """Else a task that no agent can read would be offered for ever."""
    world.agent("a")
    world.submit("t", max_attempts=2)
    for _ in range(14):
        world.tick(10)
        world.beat("a")
    assert world.job("t").state is TaskState.DEAD


def test_while_the_broker_stands_still_nobody_is_charged_with_silence(world: World) -> None:
    """Our own agent's heartbeats go the same way, and do not come either."""
    world.agent(ME, role="task-manager")
    world.beat(ME)
    world.agent("a")
    world.start(offers(world.submit("m", "database.migrate"))[0])
    world.tick(40)
    assert world.job("m").state is TaskState.RUNNING
    for _ in range(4):
        world.beat(ME)
        world.tick(9)
    assert world.job("m").state is TaskState.HELD


def test_a_standstill_without_end_is_the_agents_own(world: World) -> None:
    world.agent(ME, role="task-manager")
    world.beat(ME)
    world.agent("a")
    world.start(offers(world.submit("t"))[0])
    world.tick(200)
    assert world.job("t").attempts[0].outcome == "lost"


def test_a_cancel_is_waited_for_as_long_after_a_restart(world: World) -> None:
    foreign(world)
    world.act(Kind.TASK_CANCEL, "t")
    world.crash()
    world.state.agents["f"] = AgentRecord(agent_id="f", foreign=True, claims=True)
    for _ in range(4):
        world.tick(10)
        world.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id="f"), sender="f")
    assert world.job("t").state is TaskState.CANCELLED


def test_an_act_that_expired_while_it_waited_to_be_read_is_refused(world: World) -> None:
    world.agent("a")
    world.fail(offers(world.submit("t"))[0], retryable=False)
    event = replace(act_of(world), expires_at=world.wall - 1)
    said = [a for a in step(world.state, event, world.moment()) if isinstance(a, Say)]
    assert world.job("t").state is TaskState.FAILED
    assert "expired" in of(said, Kind.ALERT)[0].message


def act_of(world: World) -> Event:
    writer = Writer(SWARM, OPERATOR, "operator", new_id=lambda: "act", clock=lambda: world.wall)
    message = writer.message(Kind.TASK_REDRIVE, b.TaskAct(task_id="t"))
    event = decode(SWARM, message.topic, message.payload, False, world.wall)
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize(("role", "pinned"), [("task-manager", False), ("operator", True), ("", True)])
def test_only_a_persons_wish_stands(role: str, pinned: bool) -> None:
    world = World(DispatchSettings(rules=RULES, scale={"general": (1, 5)}))
    world.hear(Kind.SCALE, b.Scale(desired=3), key="general", sender="other", role=role, retained=True)
    assert world.state.targets["general"].pinned is pinned


@pytest.mark.parametrize("jump", [-5000.0, 5000.0])
def test_a_delay_is_a_length_of_time_whatever_the_clock_is_set_to(world: World, jump: float) -> None:
    world.agent("a")
    world.fail(offers(world.submit("t"))[0])
    assert world.job("t").retry_at == pytest.approx(world.wall + 2.5)
    world.wall += jump
    world.tick(1)
    assert world.job("t").state is TaskState.RETRY_WAIT
    world.tick(3)
    assert world.job("t").state is TaskState.ASSIGNED


def test_a_task_that_is_always_declined_grows_no_record_and_is_told_of(world: World) -> None:
    world.agent("a")
    world.submit("t")
    for _ in range(300):
        declined = b.Declined(task_id="t", agent_id="a", attempt=world.job("t").attempt, epoch=1, reason="cannot")
        world.hear(Kind.TASK_DECLINED, declined, sender="a")
        world.tick(5.1)
        world.beat("a")
    assert len(world.job("t").attempts) <= 100
    assert world.job("t").attempt == 301
    assert [alert.task_id for alert in of(world.said, Kind.ALERT)] == ["t"]


def test_none_idles_behind_a_task_that_it_may_not_have_yet(world: World) -> None:
    world.agent("a")
    world.start(offers(world.submit("first"))[0])
    world.submit("behind", priority="low")
    world.tick(31)
    world.beat("a")
    said = world.tick()
    assert "behind" in {offer.body.task_id for offer in offers(world.said) if isinstance(offer.body, b.Inbox)}, said


def test_timers_of_what_ended_are_let_go() -> None:
    world = World()
    world.agent("a")
    for number in range(1200):
        world.complete(offers(world.submit(f"t{number}", expires_at=world.wall + 86_400))[0])
    world.tick(40)
    assert len(world.state.timers) <= 1001


def test_a_halt_that_was_lifted_and_is_said_again_is_another() -> None:
    """Also without an id of its own, where the same bytes make the same one."""
    world = World()
    world.agent("a")

    def halt(raw: bytes) -> None:
        event = decode(SWARM, f"{SWARM}/halt", raw, True, world.wall)
        assert isinstance(event, Event)
        step(world.state, event, world.moment())

    halt(b'{"reason":"fire"}')
    halt(b"")
    world.submit("t")
    halt(b'{"reason":"fire"}')
    assert world.job("t").state is TaskState.ASSIGNED
    assert world.job("t").cancelling == "halt: fire"


def test_progress_is_written_now_and_then_for_whoever_asks_the_journal(world: World) -> None:
    world.agent("a")
    world.start(offers(world.submit("t"))[0])
    world.saves.clear()
    for percent in range(0, 50, 10):
        world.tick(0.4)
        body = b.Progress(task_id="t", agent_id="a", attempt=1, epoch=1, progress=float(percent))
        world.hear(Kind.TASK_PROGRESS, body, sender="a")
    saved = [save for save in world.saves if save.task_id == "t"]
    assert 1 <= len(saved) <= 2
    assert all(save.lazy for save in saved)


def test_while_our_own_link_is_down_no_lease_runs_out(world: World) -> None:
    world.agent("a")
    world.start(offers(world.submit("t"))[0])
    world.link(False)
    world.tick(100)
    assert world.job("t").state is TaskState.RUNNING
    world.link(True)
    world.tick(31)
    assert world.job("t").attempts[0].outcome == "lost"


def test_an_agent_that_is_heard_again_goes_on_with_what_was_counted_as_lost(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    world.start(offer)
    world.tick(31)
    assert world.job("t").state is TaskState.QUEUED
    world.beat("a", offer)
    assert (world.job("t").state, world.job("t").attempt, world.job("t").tries) == (TaskState.RUNNING, 1, 0)
    world.complete(offer)
    assert world.job("t").state is TaskState.COMPLETE


def test_who_claims_what_another_was_given_is_told_to_stop(world: World) -> None:
    world.agent("a")
    world.start(offers(world.submit("t"))[0])
    said = world.hear(Kind.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="z"), sender="z")
    assert [(order.key, order.body.task_id) for order in orders(said, "cancel") if isinstance(order.body, b.Inbox)] == [
        ("z", "t")
    ]
    assert world.job("t").agent_id == "a"


def test_an_offer_that_its_agents_heartbeat_does_not_name_is_said_again(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    assert offers(world.beat("a")) == []
    world.tick(6)
    assert [again.body for again in offers(world.beat("a"))] == [offer.body]
    world.start(offer)
    world.tick(6)
    assert offers(world.beat("a", offer)) == []


@pytest.mark.parametrize(("comes", "words"), [(True, "somebody is there again"), (False, "no such task is queued")])
def test_an_alert_ends_with_what_is_true(world: World, comes: bool, words: str) -> None:
    for task_id in ("t", "u"):
        world.submit(task_id)
    world.tick(5)
    assert of(world.said, Kind.ALERT)[0].message == "noop waits: no agent does noop"
    if comes:
        # It has room for one, so the other still waits, but somebody does it.
        world.agent("a")
    else:
        world.act(Kind.TASK_CANCEL, "t")
        world.act(Kind.TASK_CANCEL, "u")
    world.tick(2)
    last = of(world.said, Kind.ALERT)[-1]
    assert last.active is False
    assert words in last.message


@pytest.mark.parametrize("cause", ["timeout", "interrupted", "killed", "crashed", "silent"])
def test_after_an_end_of_which_nobody_knows_what_was_done_nothing_is_run_twice_by_itself(
    world: World, cause: str
) -> None:
    world.agent("a")
    said = world.fail(offers(world.submit("m", "database.migrate"))[0], cause=cause)
    assert of(said, Kind.TASK_HELD)
    assert "must not run twice" in world.job("m").reason
    world.tick(700.0)
    world.agent("b")
    assert world.job("m").state is TaskState.HELD
    assert world.job("m").attempt == 1
    # One that may run twice is only tried again.
    world.agent("a", incarnation="i2")
    world.fail(offers(world.submit("n"))[0], cause=cause)
    assert world.job("n").state is not TaskState.HELD


def test_no_wait_outlasts_a_clock_that_was_wrong_when_it_began(world: World) -> None:
    world.agent("a")
    world.wall += 5000.0
    world.fail(offers(world.submit("t"))[0], retryable=True)
    world.submit("d", "deployment.deploy")
    assert world.job("t").state == "retry-wait"
    world.wall -= 5000.0
    world.crash()
    world.agent("a")
    settings = world.state.settings
    assert (world.job("t").retry_at or 0.0) <= world.wall + settings.retry_max
    assert (world.job("d").approve_by or 0.0) <= world.wall + settings.approve_within
    world.tick(settings.retry_max + 1.0)
    assert world.job("t").state != "retry-wait"
