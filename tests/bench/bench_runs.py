"""Figures of runs of workflows against the same tasks published bare: `python -m tests.bench.bench_runs`."""

import os
import statistics
import tempfile
import time
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

from swarm_tui.protocol.run_bodies import RunNew
from swarm_tui.protocol.topics import Kind
from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.conftest import RealBroker, pick_port

#: Runs of ten steps in each of the pairs; SWARM_BENCH_RUNS=1000 for the whole of it.
RUNS = int(os.environ.get("SWARM_BENCH_RUNS", "200"))
STEPS, PAIRS = 10, 4
CHAIN: dict[str, Any] = {f"s{n}": {"type": "noop", **({"needs": [f"s{n - 1}"]} if n else {})} for n in range(STEPS)}


def begin(swarm: Live) -> str:
    """Publish a run of a chain; its id."""
    run_id = f"r{uuid.uuid4().hex}"
    workflow = {"workflow": "chain", "steps": CHAIN}
    swarm.bus.publish(swarm.writer.message(Kind.RUN_NEW, RunNew(run_id=run_id, workflow=workflow)))
    return run_id


def runs(swarm: Live, count: int) -> float:
    """Steps a second for so many runs at once."""
    before, begun = len(swarm.ends), time.perf_counter()
    for _ in range(count):
        begin(swarm)
    with swarm.ended:
        done = swarm.ended.wait_for(lambda: len(swarm.ends) >= before + count * STEPS, 300)
    assert done, f"{len(swarm.ends) - before} of {count * STEPS} steps ended"
    return count * STEPS / (time.perf_counter() - begun)


def chain(swarm: Live) -> float:
    """Seconds from the end of a step to the end of the next one, in a chain: the median."""
    run_id = begin(swarm)
    last = f"{run_id}.s{STEPS - 1}"
    with swarm.ended:
        assert swarm.ended.wait_for(lambda: last in swarm.ends, 30), f"{last} did not end"
    ends = [swarm.ends[f"{run_id}.s{n}"] for n in range(STEPS)]
    return statistics.median(after - before for before, after in pairwise(ends))


def pair(swarm: Live, *, first: bool) -> tuple[float, float]:
    """Bare tasks and steps a second; `first`: the steps are done first, so that no load that grows wrongs one side."""
    steps = runs(swarm, RUNS) if first else 0.0
    bare = swarm.flood(RUNS * STEPS)
    return bare, steps or runs(swarm, RUNS)


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory(prefix="bench-runs-") as name:
        broker = RealBroker(pick_port(), Path(name) / "broker").start()
        try:
            swarm = Live(broker, Path(name))
            try:
                for _ in range(30):
                    swarm.task()
                times = [(statistics.median(swarm.task() for _ in range(STEPS)), chain(swarm)) for _ in range(15)]
                ratio = statistics.median(step / bare for bare, step in times)
                bar("a step after its need's end, against a bare task", ratio, 1.5)
                pairs = [pair(swarm, first=number % 2 == 1) for number in range(PAIRS)]
                print(f"tasks/s, bare and as steps: {', '.join(f'{bare:.0f} {steps:.0f}' for bare, steps in pairs)}")
                ratio = statistics.median(steps / bare for bare, steps in pairs)
                bar(f"{RUNS} runs of {STEPS} steps, against bare tasks", ratio, 0.8, at_least=True)
            finally:
                swarm.close()
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
