"""What the broker's Unix socket saves: a swarm on it beside one over TCP, on one broker, in turn."""

import statistics
import tempfile
from pathlib import Path

from swarm_tui.config.model import Broker
from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.bench.reference import pingpong
from tests.conftest import RealBroker, pick_port

ROUNDS = 9
TASKS = 60


def main() -> None:
    """Print each transport's round trip against a bare ping-pong on the same one, and one against the other."""
    with tempfile.TemporaryDirectory(prefix="bench-transport-") as name:
        folder, path = Path(name), f"{name}/mqtt.sock"
        broker = RealBroker(pick_port(), folder / "broker", f"listener 0 {path}").start()
        ways = {"tcp": broker.broker, "unix": Broker(url=f"unix://{path}")}
        swarms: dict[str, Live] = {}
        try:
            for mark, way in ways.items():
                swarms[mark] = Live(broker, folder / mark, 3, swarm=mark, proved=True, way=way)
                swarms[mark].flood(200)
            trips: dict[str, list[float]] = {"tcp": [], "unix": []}
            pings: dict[str, list[float]] = {"tcp": [], "unix": []}
            for number in range(ROUNDS):
                for mark in ("tcp", "unix") if number % 2 else ("unix", "tcp"):
                    host = path if mark == "unix" else "127.0.0.1"
                    pings[mark].append(statistics.median(pingpong(host, broker.port, TASKS)))
                    trips[mark].append(statistics.median(swarms[mark].task() for _ in range(TASKS)))
            for mark in ("tcp", "unix"):
                print(f"{mark}: ping-pong {_ms(pings[mark])}, publish to complete {_ms(trips[mark])}")
            ratios = {m: statistics.median(t / p for t, p in zip(trips[m], pings[m], strict=True)) for m in trips}
            print(f"over TCP, publish to complete is {ratios['tcp']:.2f} ping-pongs")
            bar("noop over the Unix socket, against a ping-pong there", ratios["unix"], 3.0)
            saved = statistics.median(u / t for u, t in zip(trips["unix"], trips["tcp"], strict=True))
            bar("noop, Unix socket against TCP", saved, 1.0)
        finally:
            for swarm in swarms.values():
                swarm.close()
            broker.stop()


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.2f} ms"


if __name__ == "__main__":
    main()
