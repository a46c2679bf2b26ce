"""Other swarms on a real broker: found by what they retain, heard each by a connection of its own."""

from collections.abc import Iterator

import pytest

from swarm_tui.bus.bulk_client import unique_client_id
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import Broker
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.client_ids import Client
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.live.neighbours import Neighbours
from tests.conftest import RealBroker
from tests.wait import until


@pytest.fixture
def others(real_broker: RealBroker) -> Iterator[tuple[Broker, list[Operator]]]:
    """Two swarms with an agent each, which a broker has besides ours."""
    broker = Broker(url=f"mqtt://127.0.0.1:{real_broker.port}")
    found = []
    for swarm in ("one", "two/deep", "org/deep/down/farm/_s/2", "org/deep/down/farm/_s/10"):
        bus = MqttBus(broker, unique_client_id(Client.OPERATOR, swarm))
        operator = Operator(bus, swarm, user="ada", host="here")
        operator.start()
        assert operator.wait_link(10).up
        agent = f"of-{swarm.rpartition('/')[2]}"
        operator.act(Kind.STATUS, b.Status(agent_id="a1", status="online", incarnation="i"), agent)
        found.append(operator)
    yield broker, found
    for operator in found:
        operator.close()


def test_they_are_found_and_heard_and_left(others: tuple[Broker, list[Operator]]) -> None:
    broker, operators = others
    near = Neighbours("ours", broker)
    assert near.find("two/deep")
    assert not near.find("nobody")
    near.open()
    try:
        until(lambda: [each.swarm for each in near.look()] == ["one", "two/deep"], 10)
        until(lambda: [list(each.fleet.agents) for each in near.look()] == [["of-one"], ["of-deep"]], 10)
        assert not any(each.here for each in near.look())
        until(lambda: bool(near.unasked()), 10)
        assert near.ask("one") == [], "nobody dispatches there"
        operators[0].act(Kind.TASK_NEW, b.Task(task_id="t1", type="noop"))
        until(lambda: [len(each.fleet.tasks) for each in near.look()] == [1, 0], 10)
    finally:
        near.close()
    assert near.look() == []


def test_of_one_swarm_all_shards_are_heard_in_their_order_and_nothing_else(
    others: tuple[Broker, list[Operator]],
) -> None:
    near = Neighbours("ours", others[0])
    near.open("org/deep/down/farm")
    try:
        names = ["org/deep/down/farm/_s/2", "org/deep/down/farm/_s/10"]
        until(lambda: [each.swarm for each in near.look()] == names, 10)
        assert near.count("one") is None, "it is not heard"
    finally:
        near.close()
