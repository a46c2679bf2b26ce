"""All shards of a swarm on one page, with who leads each, its tasks as its dispatcher counts them, and the sums."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.source import Neighbour
from swarm_tui.ui.screens.shards import EVERY, SETTLED
from tests.ui.harness import UiDriver, open_ui
from tests.ui.test_swarms import FakeNeighbours
from tests.unit.fleet.swarm import Paper


def shard(number: int, *, online: bool = True) -> Neighbour:
    """A shard of two agents, one of which leads, or did."""
    paper, name = Paper(), f"farm/_s/{number}"
    paper.birth("a1")
    paper.birth("tm")
    leader = b.Dispatcher(instance=f"i{number}", epoch=7, online=online, agent_id="tm")
    paper.say("tm", Kind.DISPATCHER, leader)
    return Neighbour(swarm=name, broker="mqtt://127.0.0.1:1883", here=True, fleet=paper.fleet)


@asynccontextmanager
async def farm(size: tuple[int, int], *others: Neighbour) -> AsyncIterator[tuple[UiDriver, FakeNeighbours]]:
    """The screen of the first of four shards, others of which are heard."""
    async with open_ui("calm", size) as ui:
        ui.source.facts = replace(ui.source.facts, swarm="farm/_s/0", shards=4, layout="/home/ada/farm.yml")
        ui.source.replies["counts"] = b.Reply(query="counts", rows=[{"queued": 3, "running": 2, "complete": 234_567}])
        ui.source.neighbours = near = FakeNeighbours(*others)
        near.counts["farm/_s/1"] = {"queued": 5, "dead": 2, "held": 1, "complete": 10_000}
        yield ui, near


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_each_shard_has_a_line_with_what_its_dispatcher_counts_and_all_are_summed(size: tuple[int, int]) -> None:
    async with farm(size, shard(1), shard(2, online=False)) as (ui, near):
        await ui.press("V")
        await ui.pass_(1)
        assert near.whole == "farm"
        assert ui.has("SHARDS farm", "2 of 4 led")
        assert ui.has("▸", "_s/0", "task-manager-01", "9/9", " 3 ", " 2 ", "234k" if size[0] < 200 else "234,567")
        assert ui.has("_s/1", "tm", "2/2", " 5 ", "10k" if size[0] < 100 else "10,000")
        assert ui.has("_s/2", "away: tm", "?")
        assert ui.has("the dispatcher is away: tasks wait")
        assert ui.has("all 3", "2 lead", "13/13", " 8 ", "244k" if size[0] < 200 else "244,567")
        assert not ui.has("_s/3"), "it may yet be found"
        await ui.pass_(SETTLED)
        assert ui.has("_s/3", "not heard of: `swarm-tui up farm.yml --swarm farm/_s/3`")
        assert ui.has("all 4", "2 lead")
        near.counts["farm/_s/1"] = {"complete": 10_008}
        await ui.pass_(EVERY)
        assert ui.has("_s/1", "10k" if size[0] < 100 else "10,008")
        await ui.press("V")
        assert not near.opened, "nobody looks: nothing is heard"


@pytest.mark.asyncio
async def test_enter_turns_to_a_shard_and_its_own_line_comes_back() -> None:
    async with farm((80, 24), shard(1)) as (ui, _):
        await ui.press("V", "enter")
        assert ui.app.screen is ui.app.main
        await ui.press("V", "j", "enter")
        assert ui.app.swarm_wanted == "farm/_s/1"


@pytest.mark.asyncio
async def test_a_swarm_that_is_no_shard_says_so() -> None:
    async with open_ui("calm") as ui:
        await ui.press("V")
        assert "this is a recording: there is no other shard" in ui.footer
        ui.source.neighbours = FakeNeighbours()
        await ui.press("V")
        assert "opencto-dev is no shard: `policy.shards` of its layout divides a swarm" in ui.footer
