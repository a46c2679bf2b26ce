"""What proofs cost: a swarm whose words are proved beside one whose are not, on one broker, in turn."""

import statistics
import tempfile
from pathlib import Path

from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.conftest import RealBroker, pick_port

#: A task of each in turn, and then floods in turn: a machine is not as fast from one second to the next.
TRIPS, FLOODS, FLOOD = 2000, 24, 200


def main() -> None:
    """Print the ratios of the round trip and of the throughput, as medians of pairs."""
    with tempfile.TemporaryDirectory(prefix="bench-proofs-") as name:
        folder = Path(name)
        broker = RealBroker(pick_port(), folder / "broker").start()
        swarms: list[Live] = []
        try:
            for proved in (False, True):
                mark = "proved" if proved else "plain"
                swarms.append(Live(broker, folder / mark, 3, swarm=mark, proved=proved))
            for swarm in swarms:
                swarm.flood(200)
            times: dict[str, list[float]] = {swarm.swarm: [] for swarm in swarms}
            rates: dict[str, list[float]] = {swarm.swarm: [] for swarm in swarms}
            for number in range(TRIPS):
                for swarm in swarms if number % 2 else reversed(swarms):
                    times[swarm.swarm].append(swarm.task())
            for number in range(FLOODS):
                for swarm in swarms if number % 2 else reversed(swarms):
                    rates[swarm.swarm].append(swarm.flood(FLOOD))
            plain, proved = (statistics.median(times[name]) for name in ("plain", "proved"))
            print(f"publish to complete: plain {plain * 1000:.2f} ms, proved {proved * 1000:.2f} ms")
            bar("round trip, proved against plain", proved / plain, 1.05)
            flow = statistics.median(p / q for p, q in zip(rates["plain"], rates["proved"], strict=True))
            bar("throughput, plain against proved", flow, 1.05)
        finally:
            for swarm in swarms:
                swarm.close()
            broker.stop()


if __name__ == "__main__":
    main()
