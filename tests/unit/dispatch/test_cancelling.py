"""A task that is asked to stop and has not yet: since when, how long it may take, and what taking that back does."""

import pytest

from swarm_tui.domain.dispatch.task_rows import row
from swarm_tui.domain.states import CANCEL_WITHIN, TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import World, of, offers, orders


def cancelling(task_type: str = "noop", *, started: bool = True) -> World:
    """A world in which task `t` of agent `a` is asked to stop."""
    world = World()
    world.agent("a")
    (offer,) = offers(world.submit("t", task_type))
    if started:
        world.start(offer)
    assert orders(world.act(Kind.TASK_CANCEL, "t"), "cancel")
    return world


def stopped(world: World) -> None:
    world.fail(offers(world.said)[-1], retryable=False, message="cancelled", cause="cancelled")


def test_it_tells_since_when_and_how_long_it_may_take() -> None:
    world = cancelling()
    shown = row(world.job("t"))
    assert (shown.state, shown.cancel_requested_at, shown.cancel_within) == ("running", world.wall, CANCEL_WITHIN)
    world.crash()
    assert row(world.job("t")).cancel_requested_at == world.wall
    stopped(world)
    shown = row(world.job("t"))
    assert (shown.state, shown.cancel_requested_at, shown.cancel_within) == ("cancelled", None, None)


def test_taken_back_it_stops_and_runs_again() -> None:
    world = cancelling()
    assert of(world.act(Kind.TASK_REDRIVE, "t"), Kind.ALERT) == []
    assert row(world.job("t")).runs_again
    world.crash()
    world.agent("a")
    stopped(world)
    job = world.job("t")
    assert (job.state, job.attempt, job.tries) == (TaskState.ASSIGNED, 2, 0)
    steps = [hop.what for hop in job.hops]
    assert steps[-7:] == ["cancelling", "withdrawn", "failed", "cancelled", "redriven", "queued", "assigned"]
    assert job.hops[-3].by == job.hops[-6].by == "operator:ann@box"
    assert not row(job).runs_again


def test_what_succeeds_though_it_was_asked_to_stop_does_not_run_again() -> None:
    world = cancelling()
    world.act(Kind.TASK_REDRIVE, "t")
    world.complete(offers(world.said)[-1])
    assert world.job("t").state is TaskState.COMPLETE
    assert len(offers(world.said)) == 1


def test_a_cancel_after_that_is_the_last_word() -> None:
    world = cancelling()
    world.act(Kind.TASK_REDRIVE, "t")
    world.act(Kind.TASK_CANCEL, "t")
    stopped(world)
    assert world.job("t").state is TaskState.CANCELLED


@pytest.mark.parametrize(("started", "state"), [(True, TaskState.HELD), (False, TaskState.QUEUED)])
def test_what_must_not_run_twice_by_itself_waits_for_a_person_once_it_had_begun(
    started: bool, state: TaskState
) -> None:
    world = cancelling("database.migrate", started=started)
    world.act(Kind.TASK_REDRIVE, "t")
    if started:
        stopped(world)
    else:
        offer = offers(world.said)[-1].body
        assert isinstance(offer, b.Inbox)
        declined = b.Declined(task_id="t", agent_id="a", attempt=offer.attempt, epoch=offer.epoch)
        world.hear(Kind.TASK_DECLINED, declined, sender="a")
    assert world.job("t").state is state
    assert ("must not run twice" in world.job("t").reason) is started


@pytest.mark.parametrize("back", [False, True])
def test_a_sleep_of_the_dispatchers_own_takes_none_of_the_time_to_stop(back: bool) -> None:
    world = cancelling()
    if back:
        world.act(Kind.TASK_REDRIVE, "t")
    world.now += 400.0
    world.wall += 400.0
    world.tick()
    assert world.job("t").state is TaskState.RUNNING
    world.tick(CANCEL_WITHIN + 1.0)
    assert world.job("t").attempts[0].outcome == "cancelled"


def test_what_may_have_begun_unheard_waits_for_a_person_too() -> None:
    world = cancelling("database.migrate", started=False)
    world.act(Kind.TASK_REDRIVE, "t")
    world.tick(CANCEL_WITHIN + 1.0)
    job = world.job("t")
    assert (job.state, len(offers(world.said))) == (TaskState.HELD, 1)
    assert "it may have begun" in job.reason


def test_what_ends_since_we_told_it_to_by_mistake_was_cancelled_by_nobody() -> None:
    """It was claimed while nobody could be heard to lead, and taken for another's; then it was heard to go on."""
    world = World()
    world.agent("a")
    (offer,) = offers(world.submit("t", "database.migrate"))
    world.start(offer)
    world.agent("a", incarnation="i2")
    assert world.job("t").state is TaskState.HELD
    claim = b.Assigned(task_id="t", agent_id="a", claim="i2/1")
    assert orders(world.hear(Kind.TASK_ASSIGNED, claim, sender="a"), "cancel")
    beat = b.Heartbeat(agent_id="a", incarnation="i2", tasks=[{"task_id": "t", "attempt": 1}])
    world.hear(Kind.HEARTBEAT, beat, sender="a")
    assert world.job("t").state is TaskState.RUNNING
    tries = world.job("t").tries
    stopped(world)
    assert (world.job("t").state, world.job("t").tries) == (TaskState.HELD, tries)


@pytest.mark.parametrize(("task_type", "state"), [("noop", TaskState.RETRY_WAIT), ("database.migrate", TaskState.HELD)])
def test_what_an_agent_calls_cancelled_though_nobody_wished_it_is_not(task_type: str, state: TaskState) -> None:
    """It was told so of the claim that it had before, or by one that does not lead."""
    world = World()
    world.agent("a")
    (offer,) = offers(world.submit("t", task_type, max_attempts=2))
    world.start(offer)
    stopped(world)
    job = world.job("t")
    assert (job.state, job.tries) == (state, 1)
