"""Seeded swarms under trouble: what was accepted ends, once, and is recorded; what must not run twice does not."""

import os

import pytest

from tests.examples import examples
from tests.sim import truths
from tests.sim.swarm import Swarm

SEEDS = examples(200)
#: Swarms with a liar, and the tests that share them.
LIARS, LIARS_SHARDS = examples(40), 4
#: The seeds run in so many tests, so that the workers of a test run share them evenly.
SHARDS = 20
#: Swarms in which happens what the first ones lack: an offer that was declined comes again; a dispatcher stands still
#: while another follows; one that was followed comes back while its follower is dead; what an agent read is written by
#: one that is followed, and by nobody else; one that stands by is never told that the newer one is back;
#: mail is heard by one that does not lead yet; what was claimed is stopped by mistake, before it is offered too.
RARE = [2920, 3060, 1917, 8231, 8649, 20_474, 24_098, 35_310]
#: Of those with a liar: a dispatcher dies as soon as it brought a message to one who came after it was sent; its clock
#: was ahead, and is set back; it was behind when it took a liar's copy of a message that expires soon.
#: Behind what it left on a retained topic it says what the topic's owner had said.
RARE_WITH_A_LIAR = [50_019, 50_265, 61_563, 70_231]
DRILL_SEEDS = 10_000


def live(seed: int, *, liar: bool = False) -> Swarm:
    """One swarm's whole life; what must be true of it is looked at on the way and at its end."""
    swarm = Swarm(seed, liar=liar)
    try:
        with truths.of_each_move():
            swarm.run()
    finally:
        swarm.close()
    return swarm


def _seeds(count: int, rare: list[int]) -> list[int]:
    """Return the seeds to run; SWARM_SIM_SEED=n replays one."""
    one = os.environ.get("SWARM_SIM_SEED")
    return [int(one)] if one else [*range(count), *(seed for seed in rare if seed >= count)]


def _run(seeds: list[int], *, liar: bool = False) -> None:
    second_runs = 0
    for seed in seeds:
        try:
            swarm = live(seed, liar=liar)
        except Exception as error:  # noqa: BLE001 - any failure must name its seed
            pytest.fail(f"seed {seed} (replay it with SWARM_SIM_SEED={seed}): {type(error).__name__}: {error}")
        tasks = {ran.task_id for ran in swarm.ran}
        second_runs += len(swarm.ran) - len(tasks)
    print(f"{len(seeds)} swarms, {second_runs} second runs")


@pytest.mark.parametrize("shard", range(SHARDS))
def test_swarms_under_trouble(shard: int) -> None:
    _run(_seeds(SEEDS, RARE)[shard::SHARDS])


@pytest.mark.parametrize("shard", range(LIARS_SHARDS))
def test_swarms_with_a_liar(shard: int) -> None:
    _run(_seeds(LIARS, RARE_WITH_A_LIAR)[shard::LIARS_SHARDS], liar=True)


@pytest.mark.drill
def test_many_swarms_with_a_liar() -> None:
    _run(_seeds(DRILL_SEEDS // 5, RARE_WITH_A_LIAR), liar=True)


@pytest.mark.drill
def test_many_swarms_under_trouble() -> None:
    _run(_seeds(DRILL_SEEDS, RARE))
