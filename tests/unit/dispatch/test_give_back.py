"""A task with which its agents leave: no fault of its own, unless it happens again and again."""

import pytest

from swarm_tui.domain.dispatch.outcomes import GIVE_BACKS
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import World, of, offers


def leave(world: World, life: int, *, word: bool) -> list[object]:
    """The agent's next life begins the task and is told to leave. With its `word` the work says that it was ended."""
    incarnation = f"i{life}"
    offer = offers(world.agent("a", incarnation=incarnation))[-1]
    world.start(offer)
    if word:
        beat = b.Heartbeat(agent_id="a", incarnation=incarnation, state="draining", tasks=[])
        world.hear(Kind.HEARTBEAT, beat, sender="a")
        said = world.fail(offer, message="its agent was told to stop", cause="interrupted")
    else:
        said = []
    return [*said, *world.hear(Kind.SHUTDOWN, b.Shutdown(agent_id="a", incarnation=incarnation), sender="a")]


@pytest.mark.parametrize("word", [True, False])
def test_a_task_with_which_agents_leave_again_and_again_ends(word: bool) -> None:
    world = World()
    world.submit("t")
    for life in range(GIVE_BACKS):
        leave(world, life, word=word)
        assert (world.job("t").state, world.job("t").tries) == (TaskState.QUEUED, 0)
    for tries in (1, 2):
        leave(world, GIVE_BACKS + tries, word=word)
        assert (world.job("t").state, world.job("t").tries) == (TaskState.QUEUED, tries)
    leave(world, GIVE_BACKS + 3, word=word)
    job = world.job("t")
    assert job.state is TaskState.DEAD
    assert f"agents left {GIVE_BACKS + 3} times with it in hand" in job.reason
    assert of(world.said, Kind.TASK_DEAD)[0].reason == job.reason
    assert sum(hop.what == "counted" for hop in job.hops) == 3


def test_what_had_not_begun_when_its_agent_left_ends_nobody() -> None:
    world = World()
    world.submit("t")
    for life in range(3 * GIVE_BACKS):
        world.agent("a", incarnation=f"i{life}")
        world.hear(Kind.SHUTDOWN, b.Shutdown(agent_id="a", incarnation=f"i{life}"), sender="a")
    assert (world.job("t").state, world.job("t").tries, world.job("t").given_back) == (TaskState.QUEUED, 0, 0)


def test_a_redrive_begins_to_count_anew_and_a_restart_does_not() -> None:
    world = World()
    world.submit("t")
    for life in range(GIVE_BACKS + 1):
        leave(world, life, word=False)
    world.crash()
    assert (world.job("t").tries, world.job("t").given_back) == (1, GIVE_BACKS + 1)
    world.act(Kind.TASK_CANCEL, "t")
    world.act(Kind.TASK_REDRIVE, "t")
    assert (world.job("t").tries, world.job("t").given_back) == (0, 0)


def test_a_redrive_that_is_refused_is_no_step_of_the_record() -> None:
    world = World()
    world.submit("t", expires_at=world.wall + 5.0)
    world.tick(10.0)
    before = [hop.what for hop in world.job("t").hops]
    (alert,) = of(world.act(Kind.TASK_REDRIVE, "t"), Kind.ALERT)
    assert "its expires_at has passed" in alert.message
    assert [hop.what for hop in world.job("t").hops] == before
