"""A bus that may be late hears what comes in bunches, and keeps nobody waiting who asked for something."""

import threading
from collections.abc import Iterator

import pytest

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.wakeup import CALM, COUNTED, Lulls, Wakeup
from swarm_tui.config.model import Broker
from swarm_tui.protocol.envelope import Outgoing
from tests.conftest import RealBroker
from tests.wait import until

LONG = 600.0
"""Seconds of a pause that no test waits for."""


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    made = Wakeup()
    yield made
    made.close()


def test_reads_wait_while_little_comes(wakeup: Wakeup) -> None:
    lulls, now = Lulls(wakeup, 0.1), 1000.0
    for _ in range(20):
        now += COUNTED / 2
        lulls.read(3, now)
        assert lulls.read_by == now + 0.1


def test_no_read_waits_in_a_flood_however_little_one_brings(wakeup: Wakeup) -> None:
    lulls, now, waited = Lulls(wakeup, 0.1), 1000.0, 0
    for _ in range(1000):
        now += 0.001
        lulls.read(1, now)
        waited += bool(lulls.read_by)
    assert waited <= CALM * COUNTED, "only at first, before it is known for a flood"
    lulls.read(1, now + 10 * COUNTED)
    assert lulls.read_by, "once it is over they wait again"


def test_without_a_pause_no_read_waits(wakeup: Wakeup) -> None:
    lulls = Lulls(wakeup)
    lulls.read(1, 1000.0)
    assert not lulls.read_by


class Talk:
    """A bus that may be late, somebody who speaks to it, and what it heard."""

    def __init__(self, broker: RealBroker, pause: float) -> None:
        way = Broker(url=broker.url)
        self.heard: list[bytes] = []
        self.bus, self.other = MqttBus(way, "late"), MqttBus(way, "speaker")
        self.bus.lulls.seconds = pause
        self.bus.subscribe("a/#")
        self.bus.start(lambda topic, payload, retained: self.heard.append(payload), lambda link: None)
        self.other.start(lambda topic, payload, retained: None, lambda link: None)
        until(lambda: self.bus.is_up() and self.other.is_up() and not self.bus._subscriptions.pending)

    def say(self, payload: bytes) -> None:
        """Publish, and wait until the broker has it."""
        has = threading.Event()
        self.other.publish(Outgoing(topic="a/b", payload=payload, qos=1), has.set)
        assert has.wait(10)


@pytest.fixture
def talk(real_broker: RealBroker, request: pytest.FixtureRequest) -> Iterator[Talk]:
    made = Talk(real_broker, request.param)
    yield made
    made.bus.close(0.1)
    made.other.close(0.1)


@pytest.mark.parametrize("talk", [LONG], indirect=True)
def test_what_we_say_ends_the_wait(talk: Talk) -> None:
    until(lambda: talk.bus.lulls.now, what="it waits, after the answer to its SUBSCRIBE")
    talk.say(b"first")
    talk.bus.publish(Outgoing(topic="b", payload=b"", qos=1))
    until(lambda: talk.heard == [b"first"])
    talk.say(b"answer")
    until(lambda: talk.heard == [b"first", b"answer"])


@pytest.mark.parametrize("talk", [0.05], indirect=True)
def test_one_read_brings_all_that_came_meanwhile(talk: Talk) -> None:
    client = talk.bus._client
    assert client is not None
    reads, read = [0], client.loop_read
    client.loop_read = lambda *more: (reads.__setitem__(0, reads[0] + 1), read(*more))[1]  # type: ignore[method-assign]
    said = [b"%d" % n for n in range(50)]
    for payload in said:
        talk.say(payload)
    until(lambda: talk.heard == said)
    assert reads[0] <= len(said) / 2
