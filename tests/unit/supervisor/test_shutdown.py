"""Who else uses a broker that is left behind."""

from typing import Any

from swarm_tui.config.model import Broker
from swarm_tui.config.running import Running
from swarm_tui.supervisor.shutdown import sharing


def running(swarm: str, port: int, **more: Any) -> Running:
    return Running(
        **{
            "swarm": swarm, "session": f"s-{swarm}", "socket": "x", "layout_path": "", "host": "h", "version": "1",
            "broker": Broker(url=f"mqtt://127.0.0.1:{port}"), "started_at": 0.0, "embedded": True, **more,
        }
    )  # fmt: skip


def test_only_a_swarm_on_the_same_embedded_broker_inherits_it() -> None:
    others = [
        running("own", 1001),
        running("same", 1001),
        running("another-port", 1002),
        running("foreign-broker", 1001, embedded=False),
        running("nonsense", 1, broker=Broker(url="nonsense")),
    ]
    assert sharing(1001, "own", others) == ["s-same"]
