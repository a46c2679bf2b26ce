"""The day's usage over HTTP: as the dispatcher says it, asked for again once usage was told of."""

from collections.abc import Callable

from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.bus.memory import MemoryBroker
from swarm_tui.protocol.bodies import Progress
from swarm_tui.protocol.topics import Kind as K
from tests.unit.gateway.conftest import Dispatcher, Visitor, Voice
from tests.wait import until

USED = {"day": "2026-11-29", "tokens_in": 510, "tokens_out": 30, "cost": 0.25, "unpriced": 1,
        "budget": {"day": 20.0, "month": None, "spent_day": 0.25, "spent_month": 0.25, "reserved": 0.0}}  # fmt: skip


def test_the_days_usage_is_in_status_and_metrics_once_it_is_told(
    open_door: Callable[..., ApiGateway], visitor: Visitor, dispatcher: Dispatcher, broker: MemoryBroker
) -> None:
    open_door()
    assert visitor.get("/status").json["usage_today"] is None
    assert b"usage_today" not in visitor.get("/metrics").body
    dispatcher.used = [USED]
    agent = Voice(broker, "a1")
    agent.bus.start(lambda *_: None, lambda _: None)
    agent.say(K.TASK_PROGRESS, Progress(task_id="t1", agent_id="a1", usage={"tokens_in": 510, "tokens_out": 30}))
    until(lambda: visitor.get("/status").json["usage_today"], what="the day's usage")
    metrics = visitor.get("/metrics").body.decode()
    for line in (
        'swarm_usage_today_tokens{kind="in"} 510.0', "swarm_usage_today_dollars 0.25",
        "swarm_usage_today_unpriced 1.0", 'swarm_budget_dollars{of="day"} 20.0',
    ):  # fmt: skip
        assert line in metrics
    assert 'of="month"' not in metrics, "no limit is no 0"
    agent.bus.close()
