"""Plain tasks that need others: blocked until those have succeeded, skipped when one has not."""

import pytest

from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import World, of, offers

S = TaskState


def test_a_task_waits_for_those_that_it_needs() -> None:
    world = World()
    world.agent("a", capacity=2)
    first, second = offers(world.submit("x") + world.submit("y"))
    says = world.submit("z", needs=["x", "y"])
    assert (of(says, Kind.TASK_QUEUED)[0].state, offers(says)) == ("blocked", [])
    assert offers(world.complete(first)) == []
    assert [say.body.task_id for say in offers(world.complete(second))] == ["z"]


@pytest.mark.parametrize("crashes", [False, True])
def test_one_is_skipped_when_what_it_needs_fails_and_so_is_what_needs_it(crashes: bool) -> None:
    world = World()
    world.agent("a")
    (offer,) = offers(world.submit("x"))
    world.submit("y", needs=["x"])
    world.submit("z", needs=["y"])
    if crashes:
        world.crash()
    says = world.fail(offer, retryable=False)
    assert [job.state for job in map(world.job, "xyz")] == [S.FAILED, S.SKIPPED, S.SKIPPED]
    assert [body.state for body in of(says, Kind.TASK_CANCELLED)] == ["skipped", "skipped"]
    assert world.state.open == 0


def test_one_that_comes_late_begins_or_is_skipped_at_once() -> None:
    world = World()
    world.agent("a")
    world.complete(offers(world.submit("good"))[0])
    world.complete(offers(world.submit("bad"))[0], {"verdict": "failed"})
    assert [say.body.task_id for say in offers(world.submit("x", needs=["good"]))] == ["x"]
    world.submit("y", needs=["good", "bad"])
    assert world.job("y").state is S.SKIPPED
    assert "verdict is failed" in world.job("y").reason


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        (["gone"], "no task gone is known"),
        (["z"], "no task z is known"),
        (["a b"], "not a task id"),
        (["x"] * 101, "at most 100"),
    ],
)
def test_needs_that_cannot_be_are_refused(needs: list[str], says: str) -> None:
    world = World()
    (refused,) = of(world.submit("z", needs=needs), Kind.TASK_REJECTED)
    assert says in refused.reason


def test_a_blocked_task_expires_and_is_cancelled_as_any_that_waits() -> None:
    world = World()
    world.submit("x")
    world.submit("y", needs=["x"], expires_at=world.wall + 5)
    world.submit("z", needs=["x"])
    world.tick(6)
    world.act(Kind.TASK_CANCEL, "z")
    assert [world.job(name).state for name in "yz"] == [S.EXPIRED, S.CANCELLED]


def test_a_redrive_waits_again_for_what_is_open_and_is_refused_for_what_failed() -> None:
    world = World()
    world.submit("x")
    world.submit("y", needs=["x"])
    world.act(Kind.TASK_CANCEL, "x")
    assert world.job("y").state is S.SKIPPED
    (alert,) = of(world.act(Kind.TASK_REDRIVE, "y"), Kind.ALERT)
    assert "it needs x, which is cancelled" in alert.message
    world.act(Kind.TASK_REDRIVE, "x")
    world.act(Kind.TASK_REDRIVE, "y")
    assert world.job("y").state is S.BLOCKED
    says = world.agent("a")
    assert [say.body.task_id for say in offers(world.complete(offers(says)[0]))] == ["y"]


def test_what_was_accepted_before_there_were_needs_is_the_same_task_now() -> None:
    world = World()
    world.submit("x")
    assert world.job("x").digest == "5f78c70bbb7ff304cb20a707732ecc4344b99518cb3060f7ee4c4e6a2f61a1cc"
