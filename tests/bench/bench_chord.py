"""A fan-out with a reducer beside Celery's chord, in one run: `python -m tests.bench.bench_chord`.

Needs celery[redis] and redis-server. Both sides are durable and have nine worker processes, as `bench_celery` has them.
"""

import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from celery import chord

from swarm_tui.protocol.run_bodies import new_run
from swarm_tui.protocol.topics import Kind
from tests.bench.bars import bar
from tests.bench.bench_celery import WORKERS, Theirs
from tests.bench.bench_engine import Live
from tests.conftest import RealBroker, pick_port

ITEMS, PAIRS = 100, 7
WORKFLOW: dict[str, Any] = {
    "workflow": "chord",
    "inputs": {"items": {"type": "array"}},
    "steps": {
        "each": {"type": "noop", "each": "{inputs.items}", "payload": {"echo": "{item}"}},
        "all": {"type": "noop", "needs": ["each"], "payload": {"echo": "{each.result.echo}"}},
    },
}


def ours(swarm: Live) -> float:
    """Seconds from the run's being asked for to the reducer's end."""
    run_id = f"r{uuid.uuid4().hex}"
    begun = time.perf_counter()
    run = new_run(run_id, WORKFLOW, {"items": list(range(ITEMS))})
    swarm.bus.publish(swarm.writer.message(Kind.RUN_NEW, run))
    with swarm.ended:
        assert swarm.ended.wait_for(lambda: f"{run_id}.all" in swarm.ends, 60), "the reducer did not end"
    return swarm.ends[f"{run_id}.all"] - begun


def theirs(side: Theirs) -> float:
    """Seconds from the chord's being asked for to its result."""
    from tests.bench.celery_tasks import gather

    begun = time.perf_counter()
    result = chord(side.noop.s(number) for number in range(ITEMS))(gather.s())
    assert result.get(timeout=60, interval=0.001) == {"count": ITEMS}
    return time.perf_counter() - begun


def main() -> None:
    """Print the ratio: the median of the pairs."""
    with tempfile.TemporaryDirectory(prefix="bench-chord-") as name:
        broker = RealBroker(pick_port(), Path(name) / "broker").start()
        swarm = side = None
        try:
            swarm, side = Live(broker, Path(name), WORKERS), Theirs(Path(name) / "redis")
            ours(swarm)
            theirs(side)
            pairs = [(ours(swarm), theirs(side)) for _ in range(PAIRS)]
            mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"{ITEMS} items and a reducer: {mine * 1000:.0f} ms, Celery's chord {other * 1000:.0f} ms")
            bar("a fan-out with a reducer, of Celery's chord", statistics.median(m / o for m, o in pairs), 0.5)
        finally:
            for each in (swarm, side):
                if each is not None:
                    each.close()
            broker.stop()


if __name__ == "__main__":
    main()
