"""The pace that a broker asks for is kept whenever messages come."""

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.bus.broker_address import keeps_aws_limits
from swarm_tui.bus.send_queue import Pace
from swarm_tui.config.model import Broker


@given(st.integers(1, 20), st.lists(st.floats(0.0, 0.5), max_size=200))
def test_no_window_holds_more_than_it_may_and_nobody_waits_longer_than_one(most: int, gaps: list[float]) -> None:
    pace, now, sent = Pace(most, 1.0), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait = pace.wait(now)
        assert 0.0 <= wait <= 1.0
        now += wait
        assert pace.wait(now) < 1e-9
        pace.sent(now)
        sent.append(now)
    for at in sent:
        assert sum(at <= other < at + 1.0 - 1e-9 for other in sent) <= most


def test_it_is_kept_for_aws_and_where_the_layout_says_so() -> None:
    aws = "mqtts://abc-ats.iot.eu-west-1.amazonaws.com"
    assert keeps_aws_limits(Broker(url=aws))
    assert not keeps_aws_limits(Broker(url=aws, profile="plain"))
    assert not keeps_aws_limits(Broker())
    assert keeps_aws_limits(Broker(profile="aws"))
    assert not keeps_aws_limits(Broker(url="gopher://nowhere"))
