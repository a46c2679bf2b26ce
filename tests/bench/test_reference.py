"""The yardstick itself works, and NODELAY makes the difference that it is there for."""

import statistics

from tests.bench.reference import pingpong
from tests.conftest import RealBroker


def test_a_ping_pong_takes_milliseconds(real_broker: RealBroker) -> None:
    trips = pingpong("127.0.0.1", real_broker.port, rounds=50)
    assert len(trips) == 50
    assert statistics.median(trips) < 0.03
