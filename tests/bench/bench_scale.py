"""A million agents, simulated: all of them, shard after shard, through the real dispatcher's engine and codec.

Each agent is born and beats, and each shard gets its share of the tasks, which are offered, done and acknowledged; what
is counted is the dispatcher's own time. Beside it what a real broker takes for a connection and a message. Run it with
`python -m tests.bench.bench_scale [SHARDS AGENTS-OF-EACH TASKS-OF-ALL]`; docs/scale.md has what follows.
"""

import os
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from swarm_tui.agent.roles.task_manager.engine import Clocks, Engine, Letter
from swarm_tui.domain.dispatch import DispatchSettings, TypePolicy
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.shards import choose, shard
from swarm_tui.protocol.topics import Kind
from tests.bench.bars import bar
from tests.bench.bench_agent import cpu_seconds
from tests.conftest import RealBroker, pick_port

SHARDS, AGENTS, TASKS = 1_000, 1_000, 20_000
#: Messages that the dispatcher's shell takes at once when they come as fast as it takes them.
BATCH = 100
CONNECTIONS, MESSAGES = 1_000, 100_000
RULES = {"noop": TypePolicy(roles=("general",))}


class Shard:
    """One dispatcher of the real make, whose bus is a list and whose journal is in memory."""

    def __init__(self, number: int, agents: int) -> None:
        self.swarm = shard("farm", number)
        self.names = [f"a{number}-{n}" for n in range(agents)]
        self.spent: Counter[str] = Counter()
        self.handled: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._offers: list[tuple[str, b.Inbox]] = []
        self._ids = 0
        self.writer = Writer(self.swarm, "tm", "task-manager", new_id=self._id, clock=time.time)
        self.journal = Journal(None)
        settings = DispatchSettings(rules=RULES, max_open=10**6)
        self.engine = Engine(
            settings, self.journal, self.writer, Clocks(time.monotonic, time.time, lambda: 0.5), log=lambda line: None
        )
        self._take(self.engine.lead(1))

    def _id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def _take(self, letters: list[Letter]) -> None:
        for message, on_ack in letters:
            if message.topic.endswith("/inbox"):
                event = decode(self.swarm, message.topic, message.payload, False, 0.0)
                if isinstance(event, Event) and isinstance(event.body, b.Inbox) and event.body.command is None:
                    self._offers.append((event.key, event.body))
            if on_ack is not None:
                on_ack()

    def hear(self, what: str, messages: Iterable[tuple[Outgoing, str]]) -> None:
        """Take messages, each with its sender, in batches; to read them and to decide is the time that counts."""
        waiting = list(messages)
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            began = time.process_time()
            events = []
            for message, sender in batch:
                event = decode(self.swarm, message.topic, message.payload, False, time.time())
                assert isinstance(event, Event)
                events.append(msgspec.structs.replace(event, sender=sender))
            letters = self.engine.hear(events)
            self.spent[what] += time.process_time() - began  # type: ignore[assignment]
            self._take(letters)
        self.handled[what] += len(waiting)

    def live(self, tasks: list[str]) -> None:
        """Births, a round of beats, then the tasks, to the end of each."""
        message = Writer(self.swarm, "agent", "general", new_id=self._id, clock=time.time).message
        births = b.Status(status="online", role="general", incarnation="i")
        self.hear("birth", ((message(Kind.STATUS, births, name), name) for name in self.names))
        beats = [
            b.Heartbeat(agent_id=name, incarnation="i", uptime=9, memory={"rss": 2**24}, cpu=1.0) for name in self.names
        ]
        self.hear("heartbeat", ((message(Kind.HEARTBEAT, beat), beat.agent_id or "") for beat in beats))
        self.hear("task", ((message(Kind.TASK_NEW, b.Task(task_id=name, type="noop")), "op") for name in tasks))
        while self._offers:
            offers, self._offers = self._offers, []
            answers = []
            for agent, offer in offers:
                assert offer.task is not None
                self.done[offer.task.task_id] += 1
                answer = b.Complete(
                    task_id=offer.task.task_id, agent_id=agent, attempt=offer.attempt, epoch=offer.epoch, result={}
                )
                answers.append((message(Kind.TASK_COMPLETE, answer), agent))
            self.hear("answer", answers)
        self._take(self.engine.flush(now=True))

    def memory(self) -> int:
        """Bytes that this process holds."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def million(shards: int, agents: int, tasks: int) -> tuple[dict[str, float], float]:
    """Live them all, one shard after another; microseconds of each kind of message, and KiB of each agent."""
    shares: list[list[str]] = [[] for _ in range(shards)]
    for number in range(tasks):
        shares[choose(shards, f"task_{number}")].append(f"task_{number}")
    sizes = sorted(map(len, shares))
    print(f"tasks of a shard: {sizes[0]} to {sizes[-1]}, {tasks / shards:.0f} on the average")
    spent: Counter[str] = Counter()
    handled: Counter[str] = Counter()
    done: Counter[str] = Counter()
    kib = 0.0
    for number in range(shards):
        one = Shard(number, agents)
        before = one.memory()
        one.live(shares[number])
        if number == 0:
            kib = (one.memory() - before) / agents / 1024
        spent.update(one.spent)
        handled.update(one.handled)
        done.update(one.done)
        one.journal.close()
    assert len(done) == tasks, f"{tasks - len(done)} tasks were never given to anybody"
    assert set(done.values()) <= {1}, "a task was given twice"
    print(f"{shards * agents:,} agents, {len(done):,} tasks, each done once; {sum(handled.values()):,} messages heard")
    return {what: spent[what] / handled[what] * 1e6 for what in handled}, kib


def connect(port: int, name: str) -> socket.socket:
    """An MQTT connection that says nothing more."""
    made = socket.create_connection(("127.0.0.1", port))
    raw = name.encode()
    made.sendall(bytes([0x10, 12 + len(raw), 0, 4]) + b"MQTT\x04\x02\x00\x00\x00" + bytes([len(raw)]) + raw)
    assert made.recv(4)[:1] == b"\x20"
    return made


def broker(folder: Path) -> tuple[float, float, float]:
    """KiB of a broker for a connection, its microseconds for a heartbeat that one hears, and bytes of that."""
    one = RealBroker(pick_port(), folder / "broker").start()
    try:
        assert one.process is not None
        pid = one.process.pid
        before = _rss(pid)
        idle = [connect(one.port, f"i{n}") for n in range(CONNECTIONS)]
        kib = (_rss(pid) - before) / CONNECTIONS / 1024
        ear, mouth = connect(one.port, "ear"), connect(one.port, "mouth")
        topic = b"farm/_s/0/agents/heartbeat"
        ear.sendall(bytes([0x82, 5 + len(topic), 0, 1, 0, len(topic)]) + topic + b"\0")
        assert ear.recv(5)[:1] == b"\x90"
        writer = Writer("farm/_s/0", "agent-000001", "general", new_id=lambda: str(uuid.uuid4()), clock=time.time)
        beat = writer.message(Kind.HEARTBEAT, b.Heartbeat(agent_id="agent-000001", uptime=9, memory={"rss": 2**24}))
        body = bytes([0, len(topic)]) + topic + beat.payload
        size = len(body)
        packet = bytes([0x30, size & 127 | 128, size >> 7]) + body
        spent = cpu_seconds(pid)
        for start in range(0, MESSAGES, 100):
            mouth.sendall(packet * min(100, MESSAGES - start))
            wanted = min(100, MESSAGES - start) * len(packet)
            while wanted:
                wanted -= len(ear.recv(wanted))
        micro = (cpu_seconds(pid) - spent) / MESSAGES * 1e6
        for each in [*idle, ear, mouth]:
            each.close()
        return kib, micro, len(packet)
    finally:
        one.stop()


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Print the figures, and what a million agents that beat every ten seconds need by them."""
    shards, agents, tasks = map(int, sys.argv[1:4]) if len(sys.argv) > 3 else (SHARDS, AGENTS, TASKS)
    with tempfile.TemporaryDirectory() as name:
        kib, micro, size = broker(Path(name))
    costs, of_agent = million(shards, agents, tasks)
    for what, cost in costs.items():
        print(f"dispatcher, a {what:<12}{cost:8.1f} us")
    print(f"dispatcher, an agent     {of_agent:8.2f} KiB")
    print(f"mosquitto, a connection  {kib:8.2f} KiB")
    print(f"mosquitto, a heartbeat   {micro:8.1f} us, {size:.0f} bytes")
    each = (costs["task"] + costs["answer"]) / 1e6
    core = agents / 10 * costs["heartbeat"] / 1e6
    print(f"a shard of {agents:,}: beats take {core:.1%} of a core; half a core besides does {0.5 / each:,.0f} tasks/s")
    return int(not bar(f"a shard of {agents} agents, beats, of a core", 100 * core, 50, "%"))


if __name__ == "__main__":
    sys.exit(main())
