"""What the broker's Unix socket saves: a swarm on it beside one over TCP, on one broker, in turn."""

import statistics
import tempfile
from pathlib import Path

from swarm_tui.config.model import Broker
from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.bench.reference import PingPong
from tests.conftest import RealBroker, pick_port

#: A trip of each takes its turn with all the others, for how fast two threads wake each other changes by the second.
ROUNDS = 600


def main() -> None:
    """Print each transport's round trip against a bare ping-pong on the same one, and one against the other."""
    with tempfile.TemporaryDirectory(prefix="bench-transport-") as name:
        folder, path = Path(name), f"{name}/mqtt.sock"
        broker = RealBroker(pick_port(), folder / "broker", f"listener 0 {path}").start()
        ways = {"tcp": broker.broker, "unix": Broker(url=f"unix://{path}")}
        swarms: dict[str, Live] = {}
        pairs: dict[str, PingPong] = {}
        try:
            for mark, way in ways.items():
                swarms[mark] = Live(broker, folder / mark, 3, swarm=mark, proved=True, way=way)
                swarms[mark].flood(200)
            pairs |= {"tcp": PingPong("127.0.0.1", broker.port), "unix": PingPong(path, broker.port)}
            found: dict[str, list[float]] = {f"{what} {mark}": [] for what in ("ping", "task") for mark in ways}
            for number in range(ROUNDS):
                for mark in ("tcp", "unix") if number % 2 else ("unix", "tcp"):
                    found[f"ping {mark}"].append(pairs[mark].trip())
                    found[f"task {mark}"].append(swarms[mark].task())
            trip = {name: statistics.median(times) for name, times in found.items()}
            for mark in ways:
                ping, task = trip[f"ping {mark}"] * 1000, trip[f"task {mark}"] * 1000
                print(f"{mark}: ping-pong {ping:.2f} ms, publish to complete {task:.2f} ms, {task / ping:.2f} of them")
            bar("noop over the Unix socket, against a ping-pong there", trip["task unix"] / trip["ping unix"], 3.0)
            bar("noop, Unix socket against TCP", trip["task unix"] / trip["task tcp"], 1.0)
        finally:
            for one in (*pairs.values(), *swarms.values()):
                one.close()
            broker.stop()


if __name__ == "__main__":
    main()
