"""Simulated agents and tasks in great numbers: `python -m tests.bench.size_publishers PORT SWARM AGENTS TASKS RATE`.

One connection a host of 250 agents, raw packets. First all is told once, at most so many messages a second, then it
prints `told N`; from then on every agent beats, its host tells of its panes, and tasks end and begin, until standard
input closes; then it prints how many messages it said in all.
"""

import select
import socket
import sys
import time
from collections.abc import Iterator
from itertools import count

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.host_bodies import HostStatus, PaneStatus
from swarm_tui.protocol.topics import Kind

OF_HOST = 250
ROLES = ("general", "testing", "code-review", "security", "docs", "database", "deployment", "research")
TYPES = ("testing.run", "code.review", "security.scan", "documentation.generate", "noop")
BEAT, HOST_EVERY, TURNS = 10.0, 30.0, 20.0
#: What part of the tasks runs (one an agent), and what part has ended; the rest waits.
ENDED_PART = 0.08


def agent_name(n: int) -> str:
    """The name of agent `n`."""
    return f"{ROLES[n % len(ROLES)]}-{n:05d}"


class Publishers:
    """The connections, and what is said over them."""

    def __init__(self, port: int, swarm: str, agents: int, tasks: int) -> None:
        self.agents, self.tasks, self.said = agents, tasks, 0
        self._links = [connected(port, f"{swarm}-host-{n}") for n in range(-(-agents // OF_HOST))]
        ids = (f"m{n}" for n in count())
        self._swarm, self._new_id = swarm, lambda: next(ids)
        self._writers: dict[str, Writer] = {}

    def _packet(self, who: str, role: str, kind: Kind, body: b.Body, key: str = "") -> bytes:
        writer = self._writers.get(who)
        if writer is None:
            writer = self._writers[who] = Writer(self._swarm, who, role, new_id=self._new_id, clock=time.time)
        out = writer.message(kind, body, key)
        topic = out.topic.encode()
        body_ = len(topic).to_bytes(2, "big") + topic + out.payload
        length, head = len(body_), bytearray([0x31 if out.retain else 0x30])
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes(head) + bytes([length]) + body_

    def _agent(self, n: int, kind: Kind, body: b.Body, key: str = "") -> tuple[int, bytes]:
        return n // OF_HOST, self._packet(agent_name(n), ROLES[n % len(ROLES)], kind, body, key)

    def _boss(self, kind: Kind, body: b.Body) -> tuple[int, bytes]:
        return 0, self._packet("boss", "task-manager", kind, body)

    def host(self, n: int) -> tuple[int, bytes]:
        """A host's word of its panes."""
        mine = range(n * OF_HOST, min(self.agents, (n + 1) * OF_HOST))
        panes = [
            PaneStatus(agent_id=agent_name(k), role=ROLES[k % len(ROLES)], pid=1000 + k, pane_id=f"%{k}") for k in mine
        ]
        body = HostStatus(panes=panes, session="s", socket="x", pid=99)
        return n, self._packet(f"host-{n:02d}", "supervisor", Kind.HOST_STATUS, body, f"host-{n:02d}")

    def beat(self, n: int) -> tuple[int, bytes]:
        """A heartbeat of agent `n`."""
        memory = {"rss": (20 + n % 40) << 20}
        body = b.Heartbeat(
            agent_id=agent_name(n), uptime=100.0, cpu=float(n % 90), memory=memory, incarnation=f"i{n}",
            state="busy", capacity=1, active=1, task_id=f"task_{n:06d}",
        )  # fmt: skip
        return self._agent(n, Kind.HEARTBEAT, body)

    def begin(self, n: int, agent: int) -> Iterator[tuple[int, bytes]]:
        """Task `n` begins on an agent."""
        task_id, who = f"task_{n:06d}", agent_name(agent)
        yield self._boss(Kind.TASK_ASSIGNED, b.Assigned(task_id=task_id, agent_id=who, attempt=1, epoch=1, lease=30.0))
        yield self._agent(agent, Kind.TASK_STARTED, b.Started(task_id=task_id, agent_id=who, attempt=1, epoch=1))
        progress = b.Progress(task_id=task_id, agent_id=who, attempt=1, progress=float(n % 100), message="at work")
        yield self._agent(agent, Kind.TASK_PROGRESS, progress)

    def end(self, n: int, agent: int) -> tuple[int, bytes]:
        """Task `n` ends."""
        body = b.Complete(
            task_id=f"task_{n:06d}", agent_id=agent_name(agent), attempt=1, epoch=1, duration=1200.0,
            result={"passed": 4, "failed": 0},
        )  # fmt: skip
        return self._agent(agent, Kind.TASK_COMPLETE, body)

    def once(self) -> Iterator[tuple[int, bytes]]:
        """Say all there is, once: every agent, then every task as far as it went."""
        yield self._boss(Kind.DISPATCHER, b.Dispatcher(instance="i", epoch=1, agent_id="boss"))
        for n in range(self.agents):
            status = b.Status(
                status="busy", role=ROLES[n % len(ROLES)], incarnation=f"i{n}", host=f"host-{n // OF_HOST:02d}",
                pid=1000 + n, started_at=time.time() - 100, capacity=1, active=1,
            )  # fmt: skip
            yield self._agent(n, Kind.STATUS, status, agent_name(n))
            yield self.beat(n)
        for n in range(len(self._links)):
            yield self.host(n)
        ended = self.tasks - int(self.tasks * ENDED_PART)
        for n in range(self.tasks):
            task_id, agent = f"task_{n:06d}", n % self.agents
            task = b.Task(task_id=task_id, type=TYPES[n % len(TYPES)], payload={"path": f"src/part{n % 97}"})
            yield 0, self._packet("operator:ada@box", "operator", Kind.TASK_NEW, task)
            yield self._boss(Kind.TASK_QUEUED, b.Queued(task_id=task_id, attempt=1))
            if n < self.agents or n >= ended:
                yield from self.begin(n, agent)
            if n >= ended:
                yield self.end(n, agent)

    def say(self, packets: Iterator[tuple[int, bytes]], rate: float) -> None:
        """Say these, so many a second at most."""
        start, first = time.perf_counter(), self.said
        for link, packet in packets:
            self._links[link].sendall(packet)
            self.said += 1
            if self.said % 100 == 0:
                ahead = (self.said - first) / rate - (time.perf_counter() - start)
                if ahead > 0.002:
                    time.sleep(ahead)

    def go_on(self) -> Iterator[tuple[int, bytes]]:
        """Heartbeats of all in each `BEAT`, the hosts' words, and `TURNS` tasks a second that end, others beginning."""
        start, beats, hosts, turns = time.perf_counter(), 0, 0, 0
        fresh = range(self.agents, self.tasks - int(self.tasks * ENDED_PART))
        while not select.select([sys.stdin], [], [], 0)[0]:
            passed = time.perf_counter() - start
            for k in range(beats, int(passed * self.agents / BEAT)):
                yield self.beat(k % self.agents)
            beats = max(beats, int(passed * self.agents / BEAT))
            for k in range(hosts, int(passed * len(self._links) / HOST_EVERY)):
                yield self.host(k % len(self._links))
            hosts = max(hosts, int(passed * len(self._links) / HOST_EVERY))
            for k in range(turns, int(passed * TURNS)):
                agent = k % self.agents
                yield self.end(k if k < self.agents else fresh[k - self.agents], agent)
                if k < len(fresh):
                    yield from self.begin(fresh[k], agent)
            turns = max(turns, int(passed * TURNS))
            time.sleep(0.01)


def connected(port: int, name: str) -> socket.socket:
    """A guest's connection, by hand: a client's own work would be the limit."""
    connect = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name.encode()
    link = socket.create_connection(("127.0.0.1", port))
    link.sendall(b"\x10" + bytes([len(connect)]) + connect)
    assert link.recv(4)[3] == 0
    return link


def main(argv: list[str]) -> None:
    """Say it."""
    port, swarm, agents, tasks, rate = int(argv[0]), argv[1], int(argv[2]), int(argv[3]), float(argv[4])
    publishers = Publishers(port, swarm, agents, tasks)
    publishers.say(publishers.once(), rate)
    print(f"told {publishers.said}", flush=True)
    publishers.say(publishers.go_on(), 1e9)
    print(publishers.said)


if __name__ == "__main__":
    main(sys.argv[1:])
