"""Three real dispatchers, each of a shard, on one broker: what is published is done once, whichever of them dies."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.shards import choose, shard
from tests.conftest import RealBroker
from tests.faults.engine_swarm import FaultySwarm
from tests.faults.producer import pause
from tests.wait import until

COUNT, TASKS = 3, 300


@pytest.fixture
def shards(make_broker: Callable[..., RealBroker], tmp_path: Path) -> Iterator[list[FaultySwarm]]:
    broker, made = make_broker(), []
    for number in range(COUNT):
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(FaultySwarm(broker, folder, workers=2, swarm=shard("farm", number), seed=number))
    yield made
    for one in made:
        one.close()


def publish(shards: list[FaultySwarm], number: int) -> None:
    """To the shard that it belongs to; the same again is the same task."""
    shards[choose(COUNT, f"t{number}")].publish(f"t{number}", 0.02 * (number % 2))


@pytest.mark.drill
@pytest.mark.parametrize("point", ["at any time", "after-commit", "before-commit", "after-publish"])
def test_three_dispatchers_lose_and_double_nothing_when_one_is_killed(shards: list[FaultySwarm], point: str) -> None:
    for one in shards:
        until(lambda one=one: one.led, 60, "each dispatcher to lead")
    victim = shards[1]
    for number in range(TASKS):
        publish(shards, number)
        if number % 75 == 74:
            victim.kill("tm") if point == "at any time" else victim.kill_at(point)
            for again in range(number - 5, number):
                # As a client does that has heard nothing.
                publish(shards, again)
        victim.revive()
        pause(0.02)
    jobs: list[dict[str, Job]] = [one.settle(120) for one in shards]
    kept = Counter(task_id for each in jobs for task_id in each)
    print(
        {point: [len(each) for each in jobs]},
        victim.kills,
        {n: one.figures(j) for n, (one, j) in enumerate(zip(shards, jobs, strict=True))},
    )
    assert kept == Counter(f"t{number}" for number in range(TASKS))
    for each in jobs:
        for job in each.values():
            assert job.state is TaskState.COMPLETE, f"{job.task_id}: {job.state}: {job.reason}"
            assert sum(attempt.outcome == "complete" for attempt in job.attempts) == 1


@pytest.mark.drill
def test_the_others_work_on_while_one_has_no_dispatcher(shards: list[FaultySwarm]) -> None:
    for one in shards:
        until(lambda one=one: one.led, 60, "each dispatcher to lead")
    shards[1].kill("tm")
    for number in range(60):
        publish(shards, number)
    for one in (shards[0], shards[2]):
        assert {job.state for job in one.settle(60).values()} == {TaskState.COMPLETE}
    assert not any(publication.accepted for publication in shards[1].publications)
    shards[1].revive()
    jobs = [one.settle(120) for one in shards]
    assert sum(map(len, jobs)) == 60
