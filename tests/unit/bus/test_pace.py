"""The pace that a broker asks for is kept whenever messages come."""

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.bus.broker_address import keeps_aws_limits
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.send_queue import Pace
from swarm_tui.config.model import Broker
from swarm_tui.protocol.envelope import Outgoing
from tests.conftest import RealBroker
from tests.wait import until


@given(st.integers(1, 20), st.lists(st.floats(0.0, 0.5), max_size=200))
def test_no_window_holds_more_than_it_may_and_nobody_waits_longer_than_one(most: int, gaps: list[float]) -> None:
    pace, now, sent = Pace(most, 1.0), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait = pace.wait(now)
        assert 0.0 <= wait <= 1.0 + 1e-6
        now += wait
        assert pace.wait(now) < 1e-6
        pace.sent(now)
        sent.append(now)
    for at in sent:
        assert sum(at <= other < at + 1.0 - 1e-6 for other in sent) <= most


def test_it_is_kept_for_aws_and_where_the_layout_says_so() -> None:
    aws = "mqtts://abc-ats.iot.eu-west-1.amazonaws.com"
    assert keeps_aws_limits(Broker(url=aws))
    assert not keeps_aws_limits(Broker(url=aws, profile="plain"))
    assert not keeps_aws_limits(Broker())
    assert keeps_aws_limits(Broker(profile="aws"))
    assert not keeps_aws_limits(Broker(url="gopher://nowhere"))


def test_what_one_connection_may_not_say_yet_others_say_and_orders_go_first(
    real_broker: RealBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_tui.bus.mqtt.AWS_RATE", (20, 0.3))
    heard: list[str] = []
    acked: list[int] = []
    ear = MqttBus(real_broker.broker, "ear")
    ear.subscribe("s/#")
    ear.start(lambda topic, payload, retained: heard.append(topic), lambda link: None)
    mouth = MqttBus(msgspec.structs.replace(real_broker.broker, profile="aws"), "mouth")
    mouth.start(lambda *_: None, lambda link: None)
    until(lambda: ear.is_up() and mouth.is_up())
    began = time.monotonic()
    for number in range(480):
        mouth.publish(Outgoing(f"s/n/{number}", b"{}", 1), lambda: acked.append(1))
    mouth.publish(Outgoing("s/agents/a/inbox", b"{}", 1))
    until(lambda: len(heard) == 481 and len(acked) == 480, limit=15, what=f"all of them: {len(heard)}, {len(acked)}")
    took = time.monotonic() - began
    assert took > 0.5, "no connection says more than its part in a second"
    assert heard.index("s/agents/a/inbox") < 400, "an order waits for the pace, and for nothing else"
    mouth.close()
    ear.close()
