"""Whoever asks for a task that waits is told why: nobody does it, all who do are busy or away, or it was declined."""

import pytest

from swarm_tui.domain.dispatch.waiting_reasons import WaitingReasons
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import OPERATOR, World, offers


@pytest.fixture
def world() -> World:
    return World()


def why(world: World, task_id: str) -> str:
    return WaitingReasons(world.state, world.moment()).of(world.state.jobs[task_id])


def test_nobody_does_it(world: World) -> None:
    world.submit("t")
    assert why(world, "t") == "no agent does noop"


def test_those_who_do_it_are_away(world: World) -> None:
    world.agent("a")
    world.agent("b")
    for name in ("a", "b"):
        world.agent(name, status="offline")
    world.submit("t")
    assert why(world, "t") == "a, b, who do it, are away"


def test_all_who_do_it_are_busy_until_one_is_not(world: World) -> None:
    world.agent("a")
    (first,) = offers(world.submit("t"))
    assert why(world, "t") == "", "it is given"
    world.submit("u")
    assert why(world, "u") == "a, who alone does it, is busy"
    for name in ("b", "c", "d"):
        world.agent(name)
        world.submit(f"of-{name}")
    assert why(world, "of-d") == "all who do it are busy: a, b, c and 1 more"
    world.complete(first)
    assert why(world, "of-d") == ""


def test_the_one_whom_it_is_meant_for(world: World) -> None:
    world.agent("a")
    world.agent("sec", role="security")
    world.submit("t", assigned_to="a")
    world.submit("u", assigned_to="a")
    assert why(world, "u") == "a, for whom it is meant, is busy"
    world.submit("v", assigned_to="sec")
    assert why(world, "v") == "sec, for whom alone it is meant, does no noop"
    world.submit("w", assigned_to="gone")
    assert why(world, "w") == "gone, for whom it is meant, is not there"


def test_those_who_do_it_drain_or_declined_it_or_the_swarm_is_halted(world: World) -> None:
    world.agent("a")
    (offer,) = offers(world.submit("t"))
    assert isinstance(offer.body, b.Inbox)
    declined = b.Declined(task_id="t", agent_id="a", attempt=1, epoch=offer.body.epoch, reason="not now")
    world.hear(Kind.TASK_DECLINED, declined, sender="a")
    assert why(world, "t") == "a did not take it just now; it is offered again soon"
    world.agent("a", status="draining")
    assert why(world, "t") == "a drains, and nobody else who does it is there"
    world.hear(Kind.HALT, b.Halt(reason="stop"), sender=OPERATOR)
    world.submit("u")
    assert why(world, "u") == "the swarm is halted: nothing is given out"
