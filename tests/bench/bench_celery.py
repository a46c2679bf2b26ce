"""The task engine beside Celery, in one run: `python -m tests.bench.bench_celery`.

Needs celery[redis] and redis-server. Both sides have nine worker processes, one task each at a time, acknowledged when
it is done, and accept nothing that is not on the disk: ours by SQLite (`synchronous=FULL`), theirs by Redis
(`appendfsync always`).
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swarm_tui.config.model import Broker
from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.conftest import RealBroker, listening, pick_port

WORKERS = 9
TRIPS, FLOOD, PAIRS = 60, 600, 5


class Theirs:
    """Redis and one Celery worker with nine processes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = pick_port()
        quiet = subprocess.DEVNULL
        redis = shutil.which("redis-server")
        assert redis is not None, "redis-server is not there: apt-get install redis-server"
        argv = [redis, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        argv += ["--appendonly", "yes", "--appendfsync", "always"]
        self.redis = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet)
        wait(lambda: listening(self.port), "redis")
        os.environ["BENCH_REDIS"] = f"redis://127.0.0.1:{self.port}/0"
        argv = [sys.executable, "-m", "celery", "-A", "tests.bench.celery_tasks", "worker", "--pool", "prefork"]
        argv += ["--concurrency", str(WORKERS), "--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
        self.worker = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet)
        from tests.bench.celery_tasks import noop

        self.noop = noop
        assert self.noop.delay(0).get(timeout=60) == {"number": 0}

    def task(self) -> float:
        """Seconds from publish to the result."""
        begun = time.perf_counter()
        self.noop.delay(1).get(timeout=30, interval=0.001)
        return time.perf_counter() - begun

    def flood(self, count: int) -> float:
        """Tasks a second for `count` at once, from the first publish to the last result."""
        begun = time.perf_counter()
        results = [self.noop.delay(number) for number in range(count)]
        for result in results:
            result.get(timeout=120, interval=0.001)
        return count / (time.perf_counter() - begun)

    def close(self) -> None:
        for process in (self.worker, self.redis):
            process.terminate()
            process.wait(30)


def wait(ready: Callable[[], bool], what: str) -> None:
    """Until `ready`, at most 30 s."""
    limit = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < limit, f"{what} did not come"
        time.sleep(0.02)


def main() -> None:
    """Print both ratios: the median of the pairs."""
    with tempfile.TemporaryDirectory(prefix="bench-celery-") as name:
        # As our own broker is reached, and with keys, as `up` gives them.
        path = f"{name}/mqtt.sock"
        broker = RealBroker(pick_port(), Path(name) / "broker", f"listener 0 {path}").start()
        ours = theirs = None
        try:
            ours = Live(broker, Path(name), WORKERS, proved=True, way=Broker(url=f"unix://{path}"))
            theirs = Theirs(Path(name) / "redis")
            for _ in range(30):
                ours.task()
                theirs.task()
            faster, shorter = [], []
            for _ in range(PAIRS):
                mine = statistics.median(ours.task() for _ in range(TRIPS))
                other = statistics.median(theirs.task() for _ in range(TRIPS))
                shorter.append((mine / other, mine, other))
                rate, other_rate = ours.flood(FLOOD), theirs.flood(FLOOD)
                faster.append((rate / other_rate, rate, other_rate))
            shorter.sort()
            faster.sort()
            trip, flow = shorter[PAIRS // 2], faster[PAIRS // 2]
            print(f"round trip {trip[1] * 1000:.1f} ms, Celery's {trip[2] * 1000:.1f} ms")
            bar("noop's round trip, of Celery's with Redis", trip[0], 0.45)
            print(f"throughput, durable {flow[1]:.0f}/s, Celery's {flow[2]:.0f}/s")
            bar("durable throughput, of Celery's with Redis", flow[0], 2.8, at_least=True)
        finally:
            for side in (ours, theirs):
                if side is not None:
                    side.close()
            broker.stop()


if __name__ == "__main__":
    main()
