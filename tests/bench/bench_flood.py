"""A good task while a guest says 20,000 messages a second, of each kind: `python -m tests.bench.bench_flood`."""

import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.topics import Kind
from tests.bench.bars import bar
from tests.bench.bench_engine import Live
from tests.conftest import RealBroker, pick_port

SWARM = "bench"
RATE, SECONDS, MOST = 20_000.0, 6.0, 2.0


def floods() -> dict[str, Outgoing]:
    """What is said, by its name: good and forged, to the dispatcher, to an agent and to all."""
    writer = Writer(SWARM, "w0", "general", new_id=lambda: str(uuid.uuid4()), clock=time.time)
    proof = b',"proof":"operator:bench@box swarm=' + b"A" * 22 + b'"}'
    said = {
        "a task": writer.message(Kind.TASK_NEW, b.Task(task_id="evil", type="noop", payload={"echo": "x" * 200})),
        "progress": writer.message(Kind.TASK_PROGRESS, b.Progress(task_id="evil", agent_id="w0", attempt=1, epoch=1)),
        "a heartbeat": writer.message(Kind.HEARTBEAT, b.Heartbeat(agent_id="w0", incarnation="evil")),
        "an offer": writer.message(Kind.INBOX, b.Inbox(task_id="evil", task=b.Task(task_id="evil", type="noop")), "w0"),
        "a query": writer.message(Kind.QUERY, b.Query(query="tasks"), "evil"),
    }
    task = said["a task"]
    said["a forged proof"] = Outgoing(task.topic, task.payload[:-1] + proof)
    said["garbage"] = Outgoing(f"{SWARM}/tasks/new", b"\xff" * 100)
    return said


def worst(swarm: Live, port: int, message: Outgoing) -> tuple[float, int]:
    """Seconds of the slowest good task during a flood, and how many messages a second the flood had."""
    argv = [sys.executable, "-m", "tests.bench.flooder", str(port), message.topic, str(RATE), str(SECONDS)]
    flooder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert flooder.stdin is not None
    flooder.stdin.write(message.payload)
    flooder.stdin.close()
    time.sleep(1.0)
    slowest = 0.0
    while flooder.poll() is None:
        slowest = max(slowest, swarm.task())
        time.sleep(0.1)
    assert flooder.stdout is not None
    said = int(flooder.stdout.read())
    flooder.stdout.close()
    while swarm.task() > 0.5:
        # What of it still waits somewhere is not the next flood's.
        time.sleep(0.5)
    return slowest, int(said / SECONDS)


def main() -> None:
    """Print each flood's slowest good task, in a swarm of two agents."""
    with tempfile.TemporaryDirectory(prefix="bench-flood-") as name:
        folder = Path(name)
        broker = RealBroker(pick_port(), folder / "broker").start()
        swarm = Live(broker, folder, 2, proved=True)
        try:
            # The client that measures is not to be flooded itself.
            for pattern in ("agents/heartbeat", "broadcast", "dispatcher"):
                swarm.bus.unsubscribe(f"{SWARM}/{pattern}")
            for _ in range(5):
                swarm.task()
            for what, message in floods().items():
                slowest, rate = worst(swarm, broker.port, message)
                bar(f"a good task while a guest says {what} {rate:,} times a second", slowest, MOST, "s")
        finally:
            swarm.close()
            broker.stop()


if __name__ == "__main__":
    main()
