"""What proofs cost: a swarm whose words are proved beside one whose are not, on one broker, in turn."""

import statistics
import tempfile
from pathlib import Path

from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.conftest import RealBroker, pick_port

ROUNDS = 12


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
            trips, floods = [], []
            for number in range(ROUNDS):
                pair = {}
                for swarm in swarms if number % 2 else reversed(swarms):
                    pair[swarm.swarm] = statistics.median(swarm.task() for _ in range(60)), swarm.flood(400)
                trips.append(pair["proved"][0] / pair["plain"][0])
                floods.append(pair["plain"][1] / pair["proved"][1])
            print(f"round trips, proved against plain: {', '.join(f'{ratio:.2f}' for ratio in sorted(trips))}")
            bar("round trip, proved against plain", statistics.median(trips), 1.05)
            bar("throughput, plain against proved", statistics.median(floods), 1.05)
        finally:
            for swarm in swarms:
                swarm.close()
            broker.stop()


if __name__ == "__main__":
    main()
