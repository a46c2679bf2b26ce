"""Figures of the task engine, as ratios in one run: `python -m tests.bench.bench_engine`."""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import msgspec

from swarm_tui.agent.roles.task_manager.engine import Clocks, Engine, Letter
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import write_spec
from swarm_tui.domain.dispatch import DispatchSettings, TypePolicy
from swarm_tui.identity.keyring import GUEST, Keyring
from swarm_tui.identity.open import open_operator
from swarm_tui.identity.store import make_secret
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.bench.bars import bar
from tests.bench.reference import pingpong
from tests.conftest import RealBroker, pick_port

SWARM = "bench"
RULES = {"noop": TypePolicy(roles=("general",))}


class Shell:
    """An engine on a real journal, whose bus is a list: what it costs to decide and to journal."""

    def __init__(self, journal: Journal) -> None:
        self.offers: list[b.Inbox] = []
        self._ids = 0
        self.writer = Writer(SWARM, "tm", "task-manager", new_id=self._id, clock=time.time)
        clocks = Clocks(time.monotonic, time.time, lambda: 0.5)
        self.engine = Engine(DispatchSettings(rules=RULES, max_open=10**6), journal, self.writer, clocks, log=print)

    def _id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def publish(self, letters: list[Letter]) -> None:
        for message, on_ack in letters:
            if message.topic.endswith("/inbox"):
                event = decode(SWARM, message.topic, message.payload, False, 0.0)
                if isinstance(event, Event) and isinstance(event.body, b.Inbox) and event.body.command is None:
                    self.offers.append(event.body)
            if on_ack is not None:
                on_ack()

    def event(self, kind: Kind, body: b.Body, key: str = "", sender: str = "x") -> Event:
        message = self.writer.message(kind, body, key)
        event = decode(SWARM, message.topic, message.payload, False, time.time())
        assert isinstance(event, Event)
        return msgspec.structs.replace(event, sender=sender)

    def agents(self, count: int) -> None:
        body = b.Status(status="online", role="general", incarnation="i1")
        self.publish(self.engine.hear([self.event(Kind.STATUS, body, f"w{n}", f"w{n}") for n in range(count)]))

    def fill(self, count: int) -> None:
        for start in range(0, count, 5000):
            tasks = [b.Task(task_id=f"q{n}", type="noop") for n in range(start, min(count, start + 5000))]
            self.publish(self.engine.hear([self.event(Kind.TASK_NEW, task) for task in tasks]))

    def dispatch(self, rounds: int) -> float:
        """Seconds for each (complete, next offer), one at a time."""
        begun = time.perf_counter()
        for _ in range(rounds):
            offer = self.offers.pop(0)
            assert offer.task is not None
            answer = b.Complete(
                task_id=offer.task.task_id, agent_id="w0", attempt=offer.attempt, epoch=offer.epoch, result={}
            )
            self.publish(self.engine.hear([self.event(Kind.TASK_COMPLETE, answer, sender="w0")]))
        return (time.perf_counter() - begun) / rounds


def queue_length(folder: Path) -> None:
    """Dispatch with 100,000 queued against 100, five pairs; and a restart with them."""
    short, long = Journal(folder / "short.db"), Journal(folder / "long.db")
    shells = Shell(short), Shell(long)
    for shell, count in zip(shells, (100, 100_000), strict=True):
        shell.publish(shell.engine.lead(1))
        shell.fill(count)
        shell.agents(1)
    ratios = []
    for _ in range(5):
        few = shells[0].dispatch(90)
        many = shells[1].dispatch(90)
        ratios.append(many / few)
        tasks = [b.Task(task_id=f"r{uuid.uuid4().hex}", type="noop") for _ in range(90)]
        shells[0].publish(shells[0].engine.hear([shells[0].event(Kind.TASK_NEW, task) for task in tasks]))
    bar("dispatch at 100,000 queued, against at 100", statistics.median(ratios), 2.0)
    shells[1].engine.flush(now=True)
    long.close()
    begun = time.perf_counter()
    again = Journal(folder / "long.db")
    shell = Shell(again)
    shell.engine.restore()
    shell.publish(shell.engine.lead(2))
    bar(f"restart with {len(shell.engine.state.queue):,} queued", time.perf_counter() - begun, 3.0, "s")
    again.close()
    short.close()


class Live:
    """Nine agents and a dispatcher as processes, and a client that publishes and listens."""

    def __init__(
        self,
        broker: RealBroker,
        folder: Path,
        workers: int = 9,
        *,
        swarm: str = SWARM,
        proved: bool = False,
        way: Broker | None = None,
    ) -> None:
        """Start them, and wait until each is there; `proved`: they have keys, as `up` gives them.

        `way`: they reach the broker otherwise than by its URL.
        """
        self.swarm = swarm
        way = way or broker.broker
        state = StateDir(folder / "state").create()
        keys: Keyring = GUEST
        if proved:
            make_secret(state, "box")
            keys = open_operator(state, "bench@box")
        types = {"noop": TypeRule(roles=["general"])}
        self.processes = []
        self.ends: dict[str, float] = {}
        self.by: Counter[str] = Counter()
        self.ready: set[str] = set()
        self.echo = threading.Event()
        self.ended = threading.Condition()
        self.writer = Writer(
            swarm, "operator:bench@box", "", new_id=lambda: str(uuid.uuid4()), clock=time.time, prove=keys.prove
        )
        self.bus = MqttBus(way, f"bench-client-{swarm}")
        for pattern in ("tasks/complete", "dispatcher", "agents/heartbeat", "broadcast"):
            self.bus.subscribe(f"{swarm}/{pattern}")
        self.bus.start(self._hear, lambda link: None)
        for agent_id in ["tm", *(f"w{n}" for n in range(workers))]:
            role = "task-manager" if agent_id == "tm" else "general"
            spec = RunSpec(
                agent_id=agent_id, role=role, swarm=swarm, broker=way, host="box",
                workdir=str(folder), state_dir=str(state.root), types=types,
                leaderless=not proved, own=["tm", *(f"w{n}" for n in range(workers))] if proved else [],
                handlers={} if role == "task-manager" else {"noop": HandlerSpec()},
            )  # fmt: skip
            write_spec(state.spec(agent_id), spec)
            argv = [sys.executable, "-m", "swarm_tui", "agent", "--role", role, "--agent-id", agent_id]
            argv += ["--swarm", swarm, "--spec", str(state.spec(agent_id))]
            quiet = subprocess.DEVNULL
            self.processes.append(subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet))
        limit = time.monotonic() + 60
        while len(self.ready) < workers + 2 and time.monotonic() < limit:
            time.sleep(0.05)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        at = time.perf_counter()
        if full.endswith("/broadcast"):
            self.echo.set()
            return
        event = decode(self.swarm, full, raw, retained, 0.0)
        if not isinstance(event, Event):
            return
        if isinstance(event.body, b.Complete):
            with self.ended:
                self.ends[event.body.task_id] = at
                self.by[event.body.agent_id] += 1
                self.ended.notify_all()
        elif event.kind is Kind.DISPATCHER or event.kind is Kind.HEARTBEAT:
            self.ready.add(event.sender if event.kind is Kind.HEARTBEAT else "leader")

    def task(self) -> float:
        """publish to complete of one noop."""
        task_id = uuid.uuid4().hex
        begun = time.perf_counter()
        self.bus.publish(self.writer.message(Kind.TASK_NEW, b.Task(task_id=task_id, type="noop")))
        with self.ended:
            assert self.ended.wait_for(lambda: task_id in self.ends, 30), f"{task_id} did not end; heard {self.ready}"
        return self.ends[task_id] - begun

    def flood(self, count: int, seconds: float = 0.0) -> float:
        """Tasks a second for `count` noops at once."""
        before, begun = len(self.ends), time.perf_counter()
        self.by.clear()
        for _ in range(count):
            task = b.Task(task_id=uuid.uuid4().hex, type="noop", payload={"seconds": seconds} if seconds else {})
            self.bus.publish(self.writer.message(Kind.TASK_NEW, task))
        with self.ended:
            self.ended.wait_for(lambda: len(self.ends) >= before + count, 120)
        return count / (time.perf_counter() - begun)

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(15)
        self.bus.close()


def live(folder: Path) -> None:
    """Latency against a ping-pong, its spread, throughput and balance."""
    broker = RealBroker(pick_port(), folder / "broker").start()
    try:
        swarm = Live(broker, folder)
        try:
            for _ in range(50):
                swarm.task()
            ratios, times = [], []
            for _ in range(5):
                pings = statistics.median(pingpong("127.0.0.1", broker.port, 60))
                tasks = [swarm.task() for _ in range(60)]
                times += tasks
                ratios.append(statistics.median(tasks) / pings)
            times.sort()
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            print(f"noop, publish to complete: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
            bar("noop, publish to complete, against a QoS 1 ping-pong", statistics.median(ratios), 4.0)
            bar("noop, p99 against p50", p99 / p50, 10.0)
            print(f"throughput, 9 agents, durable: {swarm.flood(1000):.0f} tasks/s")
            swarm.flood(450, 0.05)
            mean = sum(swarm.by.values()) / 9
            bar("balance: the busiest against the mean", max(swarm.by.values()) / mean, 1.1)
        finally:
            swarm.close()
    finally:
        broker.stop()


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as name:
        queue_length(Path(name))
        live(Path(name))


if __name__ == "__main__":
    main()
