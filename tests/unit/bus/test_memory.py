"""The broker in memory, moved by hand: the same seed gives the same run; faults stay within what MQTT allows."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.bus.memory import Faults, MemoryBroker, MemoryBus
from swarm_tui.bus.port import Link
from swarm_tui.protocol.envelope import Outgoing
from tests.examples import examples


class Listener:
    def __init__(self, broker: MemoryBroker, name: str, *, clean: bool = True) -> None:
        self.heard: list[bytes] = []
        self.links: list[Link] = []
        self.bus = MemoryBus(broker, name, clean=clean)
        self.bus.subscribe("s/#")
        self.bus.start(lambda topic, payload, retained: self.heard.append(payload), self.links.append)


def test_by_hand_nothing_moves_by_itself() -> None:
    broker = MemoryBroker(step=True)
    listener, sender = Listener(broker, "ear"), MemoryBus(broker, "sender")
    sender.start(lambda *_: None, lambda _: None)
    sender.publish(Outgoing("s/1", b"1"))
    sender.publish(Outgoing("s/2", b"2"))
    assert (listener.heard, broker.pending()) == ([], 2)
    assert broker.step()
    assert listener.heard == [b"1"]
    assert broker.run() == 1
    assert not broker.step()
    assert listener.heard == [b"1", b"2"]


def run(seed: int, faults: Faults) -> tuple[list[bytes], list[bytes], int]:
    broker = MemoryBroker(step=True, faults=faults, rng=random.Random(seed))
    clean, keeper = Listener(broker, "clean"), Listener(broker, "keeper", clean=False)
    sender = MemoryBus(broker, "sender")
    sender.start(lambda *_: None, lambda _: None)
    chance = random.Random(seed)
    for number in range(60):
        sender.publish(Outgoing("s/n", str(number).encode()))
        match chance.randrange(8):
            case 0:
                broker.step()
            case 1:
                keeper.bus.drop()
            case 2:
                keeper.bus.restore()
            case 3:
                broker.stop()
                broker.start()
                for bus in (clean.bus, keeper.bus, sender):
                    bus.restore()
    keeper.bus.restore()
    broker.run()
    return clean.heard, keeper.heard, len(broker.published)


@settings(max_examples=examples(60))
@given(st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_persistent_session_loses_nothing_and_a_seed_replays(
    seed: int, loss: float, duplicate: float, reorder: float
) -> None:
    faults = Faults(loss=loss, duplicate=duplicate, reorder=reorder)
    clean, keeper, published = run(seed, faults)
    assert published == 60
    assert set(keeper) == {str(number).encode() for number in range(60)}
    assert set(clean) <= set(keeper)
    assert run(seed, faults) == (clean, keeper, published)


def test_loss_and_duplicates_happen() -> None:
    clean, keeper, _ = run(1, Faults(loss=0.3, duplicate=0.3, reorder=0.3))
    assert len(set(clean)) < 60
    assert len(keeper) > 60
    assert keeper != sorted(keeper, key=int)


def test_a_client_that_dies_while_it_hears_hears_it_again() -> None:
    broker = MemoryBroker()
    bus, heard = MemoryBus(broker, "keeper", clean=False), []

    def on_message(topic: str, payload: bytes, retained: bool) -> None:
        heard.append(payload)
        if len(heard) == 1:
            bus.drop()

    bus.subscribe("s/#")
    bus.start(on_message, lambda link: None)
    sender = MemoryBus(broker, "sender")
    sender.start(lambda *_: None, lambda _: None)
    sender.publish(Outgoing("s/n", b"1"))
    assert heard == [b"1"]
    bus.restore()
    assert heard == [b"1", b"1"]


def test_a_lost_session_holds_nothing() -> None:
    broker = MemoryBroker()
    keeper, sender = Listener(broker, "keeper", clean=False), MemoryBus(broker, "sender")
    sender.start(lambda *_: None, lambda _: None)
    keeper.bus.drop()
    sender.publish(Outgoing("s/n", b"1"))
    broker.lose_session("keeper")
    keeper.bus.restore()
    assert keeper.heard == []


def test_while_the_broker_is_away_messages_wait_and_say_why() -> None:
    broker = MemoryBroker()
    listener, sender = Listener(broker, "ear"), Listener(broker, "sender")
    broker.stop()
    assert not sender.bus.restore()
    assert "nothing listens" in sender.links[-1].reason
    sender.bus.publish(Outgoing("s/n", b"1"))
    sender.bus.publish(Outgoing("s/n", b"0", qos=0))
    broker.start(lose_retained=True, lose_sessions=True)
    assert listener.bus.restore()
    assert sender.bus.restore()
    assert listener.heard == [b"1"]
    assert sender.bus.dropped == 1
