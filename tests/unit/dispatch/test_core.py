"""The core's promises, one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import DispatchSettings, TypePolicy
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.queue import MANY_STALE, LaneKey, Queue
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import OPERATOR, World, of, offers, orders

LEASE = 30.0


@pytest.fixture
def world() -> World:
    return World()


def test_a_task_is_journaled_offered_done_and_acked(world: World) -> None:
    world.agent("a")
    said = world.submit("t")
    assert [type(s.body).__name__ for s in said] == ["Queued", "Inbox", "Assigned"]
    assert all(s.durable for s in said)
    offer = offers(said)[0].body
    assert isinstance(offer, b.Inbox)
    assert (offer.attempt, offer.epoch, offer.incarnation) == (1, 1, "i1")
    assert offer.task is not None
    assert offer.task.timeout == 900.0
    world.start(offers(said)[0])
    acks = orders(world.complete(offers(said)[0], {"n": 1}), "ack")
    assert [ack.key for ack in acks] == ["a"]
    assert (world.job("t").state, world.job("t").result) == (TaskState.COMPLETE, {"n": 1})


def test_an_end_that_comes_first_tells_when_the_work_began(world: World) -> None:
    world.agent("a")
    (offer,) = offers(world.submit("t"))
    world.tick(10)
    world.complete(offer)
    steps = [(hop.what, hop.at) for hop in world.job("t").hops[-2:]]
    assert steps == [("started", world.wall - 0.005), ("complete", world.wall)]
    (offer,) = offers(world.submit("u"))
    body = b.Failed(task_id="u", agent_id="a", attempt=1, epoch=1, duration=1e300, retryable=False)
    world.hear(Kind.TASK_FAILED, body, sender="a")
    began, ended = world.job("u").hops[-2:]
    assert (began.what, ended.what) == ("started", "failed")
    # Before it was offered it cannot have begun.
    assert began.at == world.wall
    (offer,) = offers(world.submit("v"))
    world.start(offer)
    world.complete(offer)
    assert [hop.what for hop in world.job("v").hops].count("started") == 1


def test_the_same_body_again_is_a_duplicate_and_another_body_is_refused(world: World) -> None:
    world.submit("t", payload={"n": 1})
    again = of(world.submit("t", payload={"n": 1}), Kind.TASK_QUEUED)
    assert [(q.duplicate, q.state) for q in again] == [(True, "queued")]
    assert of(world.submit("t", payload={"n": 2}), Kind.TASK_REJECTED)[0].reason
    world.submit("k1", idempotency_key="key")
    same = of(world.submit("k2", idempotency_key="key"), Kind.TASK_QUEUED)
    assert [(q.task_id, q.original, q.duplicate) for q in same] == [("k2", "k1", True)]
    assert of(world.submit("k3", idempotency_key="key", payload={"x": 1}), Kind.TASK_REJECTED)
    assert world.state.open == 2


def test_an_answer_under_another_fence_is_kept_and_not_applied(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    assert isinstance(offer.body, b.Inbox)
    for wrong in ({"attempt": 2}, {"epoch": 7}, {"agent_id": "b"}):
        fence: dict[str, Any] = {"agent_id": "a", "attempt": 1, "epoch": 1} | wrong
        world.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", **fence), sender=fence["agent_id"])
        assert not world.job("t").ended, wrong
    assert len(world.job("t").late) == 3
    world.complete(offer)
    assert world.job("t").state is TaskState.COMPLETE


def test_a_late_success_counts_until_a_newer_attempt_has_started(world: World) -> None:
    world.agent("a")
    for started in (False, True):
        task_id = f"t{started}"
        first = offers(world.submit(task_id))[0]
        world.start(first)
        world.tick(LEASE - 20)
        world.beat("a")
        world.agent("b")
        world.tick(21)
        second = next(o for o in offers(world.said) if o.key == "b" and getattr(o.body, "task_id", "") == task_id)
        if started:
            world.start(second)
        said = world.complete(first, "late")
        assert orders(said, "ack")
        assert (world.job(task_id).result == "late") is (not started)
        assert bool(orders(said, "cancel")) is (not started)
        world.complete(second, "second")
        world.state.agents.pop("b")


def test_a_lease_lasts_while_heartbeats_name_it(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    world.start(offer)
    for _ in range(10):
        world.tick(10)
        world.beat("a", offer)
    assert world.job("t").attempt == 1
    for _ in range(5):
        world.tick(10)
        world.beat("a")
    assert world.job("t").tries >= 1


def test_retries_wait_with_full_jitter_and_end_dead(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    for number, ceiling in ((1, 5.0), (2, 10.0)):
        world.chance = 0.5
        retrying = of(world.fail(offer), Kind.TASK_RETRYING)[0]
        assert (retrying.attempt, retrying.delay) == (number, ceiling / 2)
        assert not offers(world.tick(ceiling / 2 - 1))
        world.beat("a")
        offer = offers(world.tick(2))[0]
    assert of(world.fail(offer), Kind.TASK_DEAD)
    assert world.job("t").state is TaskState.DEAD
    assert world.job("t").attempts[0].error == "boom"


def test_a_failure_that_is_not_retryable_ends_it(world: World) -> None:
    world.agent("a")
    world.fail(offers(world.submit("t"))[0], retryable=False)
    assert world.job("t").state is TaskState.FAILED


def test_what_must_not_run_twice_is_held_until_a_person_decides(world: World) -> None:
    world.agent("a")
    world.start(offers(world.submit("t", "database.migrate"))[0])
    held = of(world.tick(LEASE + 2), Kind.TASK_HELD)
    assert len(held) == 1
    world.beat("a")
    assert not offers(world.tick(300))
    world.beat("a")
    assert offers(world.act(Kind.TASK_REDRIVE, "t"))
    assert any(hop.by == OPERATOR for hop in world.job("t").hops)


def test_a_type_of_which_only_an_agent_speaks_is_given_to_it_while_it_lives(world: World) -> None:
    world.agent("other")
    world.agent("byhand", types=["odd.job"])
    given = offers(world.submit("u", "odd.job"))
    assert [offer.key for offer in given] == ["byhand"]
    world.complete(given[0])
    world.hear(Kind.SHUTDOWN, b.Shutdown(agent_id="byhand"), sender="byhand")
    assert of(world.submit("v", "odd.job"), Kind.TASK_FAILED)[0].error.code == "undeclared-type"


def test_a_type_of_which_only_an_agent_speaks_escapes_no_approval() -> None:
    world = World(DispatchSettings(approve=("deployment.*",)))
    world.agent("byhand", types=["deployment.odd"])
    assert not offers(world.submit("u", "deployment.odd"))
    assert world.job("u").state == "awaiting-approval"


def test_an_undeclared_type_fails_at_once_and_one_with_nobody_waits_with_an_alert(world: World) -> None:
    assert of(world.submit("u", "no.such"), Kind.TASK_FAILED)[0].error.code == "undeclared-type"
    world.submit("s", "security.scan")
    alerts = of(world.tick(5), Kind.ALERT)
    assert [a.active for a in alerts] == [True]
    world.agent("sec", role="security")
    assert [a.active for a in of(world.tick(1), Kind.ALERT)] == [False]


def test_a_task_of_a_type_that_nobody_does_is_not_run_again_and_the_reason_is_said(world: World) -> None:
    world.submit("u", "no.such")
    said = of(world.act(Kind.TASK_REDRIVE, "u"), Kind.ALERT)
    assert "neither the layout nor any live agent can do no.such; start one" in said[0].message
    assert world.job("u").state == "failed"
    world.agent("byhand", types=["no.such"])
    assert [offer.key for offer in offers(world.act(Kind.TASK_REDRIVE, "u"))] == ["byhand"]


def test_the_alert_of_a_task_for_one_agent_says_whether_that_is_away_or_does_no_such_task(world: World) -> None:
    world.agent("gen")
    world.submit("s", "security.scan", assigned_to="gen")
    world.tick(1)
    assert of(world.tick(5), Kind.ALERT)[0].message == (
        "security.scan waits: gen, for whom alone it is meant, does no security.scan"
    )
    world.submit("t", "security.scan", assigned_to="gone")
    world.tick(1)
    assert any("gone, for whom it is meant, is not there" in a.message for a in of(world.tick(5), Kind.ALERT))


def test_the_alert_says_when_those_who_could_do_the_task_drain(world: World) -> None:
    world.agent("sec", role="security")
    world.agent("sec", role="security", status="draining")
    world.submit("s", "security.scan")
    world.tick(1)
    alert = of(world.tick(5), Kind.ALERT)[0]
    assert alert.message == "security.scan waits: sec drains, and nobody else who does it is there"
    world.agent("sec", role="security")
    assert of(world.tick(1), Kind.ALERT)[0].message == "security.scan: no such task is queued any more"


def test_a_stand_in_does_a_type_only_while_its_owner_is_gone(world: World) -> None:
    world.agent("rev", role="code-review")
    assert [o.key for o in offers(world.submit("1", "security.scan"))] == ["rev"]
    world.agent("sec", role="security")
    world.agent("rev2", role="code-review")
    assert [o.key for o in offers(world.submit("2", "security.scan"))] == ["sec"]
    assert not offers(world.submit("3", "security.scan"))


def test_equal_agents_get_equal_shares(world: World) -> None:
    for n in range(4):
        world.agent(f"a{n}")
    for n in range(400):
        world.complete(offers(world.submit(f"t{n}"))[0])
    shares = [sum(job.agent_id == f"a{n}" for job in world.state.jobs.values()) for n in range(4)]
    assert max(shares) <= 110


def test_capacity_and_assigned_to_are_kept(world: World) -> None:
    world.agent("a", capacity=2)
    world.agent("b")
    assert [o.key for n in range(4) for o in offers(world.submit(f"t{n}"))] in (["a", "b", "a"], ["b", "a", "a"])
    assert len(world.state.held_by["a"]) == 2
    assert len(world.state.held_by["b"]) == 1
    world.submit("mine", assigned_to="b", priority="high")
    done = next(s for s in offers(world.said) if s.key == "a")
    assert getattr(offers(world.complete(done))[0].body, "task_id", "") == "t3"


def test_one_that_declines_is_not_asked_again_at_once(world: World) -> None:
    world.agent("a")
    world.agent("b")
    offer = offers(world.submit("t"))[0]
    assert isinstance(offer.body, b.Inbox)
    body = b.Declined(task_id="t", agent_id=offer.key, attempt=1, epoch=1, reason="busy")
    second = offers(world.hear(Kind.TASK_DECLINED, body, sender=offer.key))
    assert [s.key for s in second] == ["b" if offer.key == "a" else "a"]
    assert world.job("t").tries == 0


def test_cancel_ends_what_waits_at_once_and_asks_what_runs(world: World) -> None:
    world.submit("w")
    assert of(world.act(Kind.TASK_CANCEL, "w", reason="no"), Kind.TASK_CANCELLED)
    world.agent("a")
    offer = offers(world.submit("r"))[0]
    world.start(offer)
    assert [s.key for s in orders(world.act(Kind.TASK_CANCEL, "r"), "cancel")] == ["a"]
    world.fail(offer, retryable=False, message="cancelled", cause="cancelled")
    assert world.job("r").state is TaskState.CANCELLED
    silent = offers(world.submit("s"))[0]
    world.start(silent)
    world.act(Kind.TASK_CANCEL, "s")
    world.tick(27)
    assert world.job("s").state is TaskState.CANCELLED


def test_an_act_is_carried_out_once(world: World) -> None:
    world.agent("a")
    world.fail(offers(world.submit("t"))[0], retryable=False)
    act = b.TaskAct(task_id="t")
    world.hear(Kind.TASK_REDRIVE, act, sender=OPERATOR, message_id="x")
    world.fail(offers(world.said)[-1], retryable=False)
    world.hear(Kind.TASK_REDRIVE, act, sender=OPERATOR, message_id="x")
    assert world.job("t").state is TaskState.FAILED


def test_approval_names_the_payload_comes_in_time_and_from_an_operator(world: World) -> None:
    world.agent("a")
    world.submit("d", "deployment.deploy", payload={"v": 1})
    held = of(world.said, Kind.TASK_HELD)[0]
    right = b.TaskAct(task_id="d", payload_hash=held.payload_hash)
    assert not offers(world.act(Kind.TASK_APPROVE, "d", payload_hash="0" * 64))
    assert not offers(world.act(Kind.TASK_APPROVE, "d"))
    assert not offers(world.hear(Kind.TASK_APPROVE, right, sender="a"))
    assert offers(world.hear(Kind.TASK_APPROVE, right, sender=OPERATOR))
    world.submit("e", "deployment.deploy")
    world.wall += 3600
    world.now += 3600
    world.tick()
    assert world.job("e").state is TaskState.EXPIRED


def test_a_halt_cancels_once_and_stops_dispatch_until_it_is_lifted(world: World) -> None:
    world.agent("a")
    world.submit("before")
    world.submit("waits")
    halt = b.Halt(reason="fire")
    world.hear(Kind.HALT, halt, sender=OPERATOR, message_id="h", retained=False)
    assert world.job("waits").state is TaskState.CANCELLED
    assert not offers(world.submit("after"))
    world.hear(Kind.HALT, halt, sender=OPERATOR, message_id="h", retained=True)
    assert world.job("after").state is TaskState.QUEUED
    world.fail(offers(world.said)[0], cause="cancelled")
    assert offers(world.hear(Kind.HALT, None))


def test_two_crashes_of_its_agent_are_enough(world: World) -> None:
    for life in (1, 2):
        offer = (offers(world.agent("a", incarnation=f"i{life}")) or offers(world.submit("t")))[0]
        world.hear(Kind.HOST_STATUS, b.HostStatus(panes=[b.PaneStatus(agent_id="a", pid=life + 1)]), key="box")
        world.start(offer)
        dead = b.PaneStatus(agent_id="a", exit_signal=11)
        world.hear(Kind.HOST_STATUS, b.HostStatus(panes=[dead]), key="box")
    assert world.job("t").state is TaskState.DEAD
    assert "took their agent" in world.job("t").reason


def test_a_signal_from_outside_is_not_the_tasks_fault(world: World) -> None:
    for life in (1, 2):
        offer = (offers(world.agent("a", incarnation=f"i{life}")) or offers(world.submit("t")))[0]
        world.hear(Kind.HOST_STATUS, b.HostStatus(panes=[b.PaneStatus(agent_id="a", pid=life + 1)]), key="box")
        world.start(offer)
        dead = b.PaneStatus(agent_id="a", exit_signal=9)
        world.hear(Kind.HOST_STATUS, b.HostStatus(panes=[dead]), key="box")
    assert world.job("t").state is TaskState.QUEUED


def test_a_restart_gives_nothing_away_that_may_still_run(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    world.start(offer)
    says = world.crash()
    assert [s.key for s in orders(says, "inventory")] == ["a"]
    world.agent("a")
    world.agent("b")
    assert not offers(world.tick(LEASE - 2))
    world.complete(offer)
    assert world.job("t").state is TaskState.COMPLETE


def test_a_claim_made_without_a_dispatcher_is_adopted(world: World) -> None:
    world.hear(Kind.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a", claim="i1/1"), sender="a")
    assert not offers(world.submit("t"))
    assert orders(world.said, "accept")
    assert world.job("t").agent_id == "a"
    world.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1), sender="a")
    assert world.job("t").state is TaskState.COMPLETE


def test_what_was_claimed_and_ended_before_it_was_heard_does_not_run_again(world: World) -> None:
    """The broker forgot for a moment that there is a dispatcher; the publisher repeats until it is journaled."""
    world.agent("b")
    world.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1, result={"n": 1}), sender="a")
    assert not offers(world.submit("t"))
    assert (world.job("t").state, world.job("t").result, world.job("t").agent_id) == (TaskState.COMPLETE, {"n": 1}, "a")
    assert not world.state.ends


def test_a_slow_agent_keeps_no_work_from_a_fast_one(world: World) -> None:
    """None idles while work waits: what the slow one has is one task, and the fast one gets all the rest at once."""
    world.agent("fast")
    world.agent("slow")
    waiting = [offer for n in range(12) for offer in offers(world.submit(f"t{n}"))]
    done = 0
    while waiting:
        offer = waiting.pop(0)
        if offer.key == "fast":
            done += 1
            waiting += offers(world.complete(offer))
            assert len(world.state.queue) == 0 or set(world.state.held_by) == {"fast", "slow"}
    assert done == 11
    assert set(world.state.held_by) == {"slow"}


@pytest.mark.parametrize("heard_before", [True, False])
def test_what_a_foreign_agent_held_when_it_began_anew_is_lost(world: World, heard_before: bool) -> None:
    """It names no incarnation: that it runs for less than it has had the task is all there is to go by."""
    world.state.agents["f"] = AgentRecord(agent_id="f", foreign=True, claims=True)
    if heard_before:
        world.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id="f", uptime=500.0), sender="f")
    else:
        world.hear(Kind.REGISTER, b.Register(agent_id="f"), sender="f")
    world.submit("t")
    world.hear(Kind.TASK_STARTED, b.Started(task_id="t", agent_id="f"), sender="f")
    world.tick(9)
    world.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id="f", uptime=510.0), sender="f")
    assert world.job("t").state is TaskState.RUNNING
    world.tick(9)
    world.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id="f", uptime=3.0), sender="f")
    assert [attempt.outcome for attempt in world.job("t").attempts][:1] == ["lost"]


def foreign(world: World, *, uptime: float = 0.0) -> None:
    """An agent of the seed's, which began `uptime` seconds ago and takes the one task that there is."""
    world.state.agents["f"] = AgentRecord(agent_id="f", foreign=True, claims=True)
    world.hear(Kind.REGISTER, b.Register(agent_id="f"), sender="f")
    world.tick(uptime)
    if uptime >= 10:
        foreign_beat(world, uptime)
    world.submit("t", timeout=600.0)
    world.hear(Kind.TASK_STARTED, b.Started(task_id="t", agent_id="f"), sender="f")


def foreign_beat(world: World, uptime: float) -> None:
    world.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id="f", uptime=uptime), sender="f")


@pytest.mark.parametrize("lived", [2.5, 10.004])
@pytest.mark.parametrize(("registers", "uptime"), [(True, 10.005), (True, 10.0), (False, 10.005)])
def test_a_foreign_agent_that_began_anew_at_once_is_told_by_its_own_clock(
    world: World, lived: float, registers: bool, uptime: float
) -> None:
    """It runs again 20 ms after it was killed, just after it had taken the task, and its first heartbeat says so."""
    foreign(world, uptime=lived)
    world.tick(0.02)
    if registers:
        world.hear(Kind.REGISTER, b.Register(agent_id="f"), sender="f")
    world.tick(10.005)
    foreign_beat(world, uptime)
    assert [attempt.outcome for attempt in world.job("t").attempts][:1] == ["lost"]


@pytest.mark.parametrize(("after", "uptime"), [(10.005, 10.305), (9.9, 10.0), (10.6, 10.0)])
def test_a_foreign_agent_that_took_a_task_as_it_began_keeps_it(world: World, after: float, uptime: float) -> None:
    """Some say their uptime in whole seconds only."""
    foreign(world, uptime=0.3)
    world.tick(after)
    foreign_beat(world, uptime)
    assert world.job("t").state is TaskState.RUNNING
    assert len(world.job("t").attempts) == 1


def test_a_foreign_agents_clock_may_be_far_off(world: World) -> None:
    world.state.agents["f"] = AgentRecord(agent_id="f", foreign=True, claims=True)
    world.hear(Kind.REGISTER, b.Register(agent_id="f"), sender="f")
    world.submit("t")
    world.wall -= 4000.0
    world.hear(Kind.TASK_STARTED, b.Started(task_id="t", agent_id="f"), sender="f")
    world.tick(11)
    foreign_beat(world, 500.0)
    assert world.job("t").state is TaskState.RUNNING
    world.tick(11)
    foreign_beat(world, 10.0)
    assert world.job("t").attempts[0].outcome == "lost"


@pytest.mark.parametrize("monotonic", [60.0, 0.0])
def test_a_foreign_agent_keeps_its_task_over_a_sleep_of_the_machine(world: World, monotonic: float) -> None:
    """All stood still for longer than a lease, and so did the dispatcher; in a real sleep even the monotonic clocks."""
    foreign(world, uptime=11.0)
    foreign_beat(world, 11.0)
    world.now += monotonic
    world.wall += 60.0
    world.tick(2)
    world.hear(Kind.REGISTER, b.Register(agent_id="f"), sender="f")
    foreign_beat(world, 13.0 + monotonic)
    assert world.job("t").state is TaskState.RUNNING
    assert len(world.job("t").attempts) == 1


def test_a_foreign_agent_that_connects_again_keeps_its_task(world: World) -> None:
    foreign(world, uptime=0.3)
    world.hear(Kind.REGISTER, b.Register(agent_id="f"), sender="f")
    for uptime in (10.3, 20.3, 30.3, 40.3):
        world.tick(10)
        foreign_beat(world, uptime)
    assert len(world.job("t").attempts) == 1


def test_what_a_foreign_agent_never_ends_is_lost_at_its_timeout_after_a_restart_too(world: World) -> None:
    foreign(world)
    world.crash()
    world.state.agents["f"] = AgentRecord(agent_id="f", foreign=True, claims=True)
    world.lead()
    for second in range(599, 0, -10):
        assert world.job("t").state is TaskState.RUNNING, second
        world.tick(10)
        foreign_beat(world, 1000.0 + 600 - second)
    world.tick(10)
    assert world.job("t").attempts[0].outcome == "lost"
    assert "within its timeout" in world.job("t").attempts[0].error


def test_a_foreign_agents_success_is_written_at_once(world: World) -> None:
    """It says it once only, so that the write waits for no company."""
    world.agent("a")
    ours = offers(world.submit("ours"))[0]
    world.complete(ours)
    assert world.saves[-1].soon
    world.hear(Kind.SHUTDOWN, b.Shutdown(agent_id="a"), sender="a")
    foreign(world)
    world.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="f"), sender="f")
    assert world.job("t").state is TaskState.COMPLETE
    assert not world.saves[-1].soon


def test_an_offer_lost_with_a_broker_is_said_again_as_soon_as_both_are_back(world: World) -> None:
    world.agent("a")
    first = offers(world.submit("t"))
    world.link(False)
    world.tick(2)
    assert of(offers(world.link(True)), Kind.INBOX) == of(first, Kind.INBOX)
    world.tick(1)
    assert of(offers(world.agent("a")), Kind.INBOX) == of(first, Kind.INBOX), "it came back after us"
    world.start(first[0])
    assert not offers(world.agent("a"))


def test_an_offer_lost_with_an_agents_connection_is_said_again_when_it_is_back(world: World) -> None:
    world.agent("a")
    first = offers(world.submit("t"))
    assert not offers(world.agent("a")), "it only says its state again"
    world.hear(Kind.STATUS, b.Status(status="offline", incarnation="i1"), key="a", sender="a")
    assert of(offers(world.agent("a")), Kind.INBOX) == of(first, Kind.INBOX)


def test_a_foreign_agent_is_never_told_twice_of_one_attempt(world: World) -> None:
    """It would run it twice: it knows of no attempts."""
    foreign(world)
    world.link(False)
    assert not offers(world.link(True))


def test_the_wish_for_scale_rises_by_two_and_sinks_slowly() -> None:
    rules = {"noop": TypePolicy(roles=("general",))}
    world = World(DispatchSettings(rules=rules, scale={"general": (1, 5)}))
    world.agent("a")
    for n in range(6):
        world.submit(f"t{n}")
    targets = [body.desired for body in of(world.tick(61), Kind.SCALE)]
    assert targets == [3, 5]
    for n in range(6):
        world.act(Kind.TASK_CANCEL, f"t{n}")
    sinking = of(world.tick(700), Kind.SCALE)
    assert [body.desired for body in sinking] == [4, 3, 2, 1]


def test_dates_follow_the_wall_clock_when_it_is_set(world: World) -> None:
    world.agent("a")
    world.submit("later", not_before=world.wall + 100)
    world.submit("soon", not_before=world.wall + 100, expires_at=world.wall + 50)
    assert not offers(world.tick(10))
    assert world.job("later").reason.startswith("not before 2023-11-14T22:15:00")
    world.beat("a")
    world.wall += 95
    assert [getattr(o.body, "task_id", "") for o in offers(world.tick())] == ["later"]
    assert world.job("later").reason == ""
    assert world.job("soon").state is TaskState.EXPIRED


@given(
    st.lists(st.tuples(st.sampled_from(["low", "medium", "high"]), st.floats(0, 2000)), min_size=1, max_size=30),
    st.floats(2000, 4000),
)
def test_the_queue_orders_by_priority_aged_and_then_age(waiting: list[tuple[str, float]], now: float) -> None:
    queue = Queue()
    for seq, (priority, since) in enumerate(waiting):
        queue.push(f"t{seq}", LaneKey("noop", ""), priority, since, seq)
    level = {"low": 0, "medium": 1, "high": 2}
    expected = sorted(
        range(len(waiting)),
        key=lambda n: (-(level[waiting[n][0]] + (now - waiting[n][1]) // 300), waiting[n][1], n),
    )
    taken = []
    while (head := queue.head(LaneKey("noop", ""), now)) is not None:
        taken.append(head.task_id)
        queue.remove(head.task_id)
    assert taken == [f"t{n}" for n in expected]


def test_a_result_that_did_not_come_is_asked_for(world: World) -> None:
    world.agent("a")
    offer = offers(world.submit("t"))[0]
    world.start(offer)
    world.tick(6)
    assert [o.body for o in offers(world.beat("a", finished=(offer,)))] == [offer.body]
    world.complete(offer)
    assert orders(world.beat("a", finished=(offer,)), "ack")


def test_what_an_agent_lacks_a_program_for_goes_to_another_and_fails_where_all_lack_it() -> None:
    world = World()
    world.agent("a1")
    world.agent("a2")
    (offer,) = offers(world.submit("t1", max_attempts=1))
    lacks = {"retryable": False, "code": "missing-tool", "message": "claude is not installed here"}
    (other,) = offers(world.fail(offer, **lacks))
    assert {offer.key, other.key} == {"a1", "a2"}
    job = world.job("t1")
    assert (job.tries, job.attempts[0].outcome, job.hops[-2].what) == (0, "declined", "declined")
    assert offers(world.tick(10.0)) == []
    world.fail(other, **lacks)
    assert (job.state, job.error) == (TaskState.FAILED, "claude is not installed here")


def test_what_is_meant_for_one_agent_alone_fails_where_that_lacks_the_program() -> None:
    world = World()
    world.agent("a1")
    world.agent("a2")
    (offer,) = offers(world.submit("t1", assigned_to="a1"))
    assert offers(world.fail(offer, retryable=False, code="missing-tool")) == []
    assert world.job("t1").state is TaskState.FAILED


def test_a_queue_holds_no_more_than_what_waits_in_it() -> None:
    """Whatever was taken out behind one that waits on is let go."""
    queue, key = Queue(), LaneKey("noop", "")
    queue.push("first", key, "low", 0.0, 0)
    for number in range(1, 5000):
        queue.push(f"t{number}", key, "low", float(number), number)
        if number > 100:
            queue.remove(f"t{number}")
    assert len(queue) == 101
    assert sum(map(len, queue.lanes[key].buckets)) < 2 * MANY_STALE
    order = []
    while (head := queue.head(key, 10_000.0)) is not None:
        order.append(head.task_id)
        queue.remove(head.task_id)
    assert order == ["first", *(f"t{number}" for number in range(1, 101))]
