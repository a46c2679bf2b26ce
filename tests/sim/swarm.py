"""A whole swarm in one thread and virtual time: the dispatcher's engine and journal, the workers' own decisions, and a
broker in memory that loses, repeats and reorders. Everything that happens follows from the seed."""

import random
import sqlite3
from collections.abc import Callable

from msgspec import Struct

from swarm_tui.agent.roles.task_manager.engine import Engine
from swarm_tui.bus.memory import Faults, MemoryBroker, MemoryBus
from swarm_tui.bus.port import Link
from swarm_tui.domain.dispatch.model import Job, LinkDown, LinkUp, Rule, Settings, Tick
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.worker import Me, Worker
from swarm_tui.domain.worker.actions import Answer, Beat, Ignore, Lease, Listen, Run, Save, Say, Stop
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.names import dispatcher_client_id
from swarm_tui.protocol.topics import Kind, topic

SWARM = "sim"
START = 1_700_000_000.0
RULES = {
    "noop": Rule(roles=("general",), max_attempts=50),
    "database.migrate": Rule(roles=("general",), idempotent=False, max_attempts=50),
}
HEARD = (
    Kind.TASK_NEW, Kind.TASK_ASSIGNED, Kind.TASK_STARTED, Kind.TASK_DECLINED, Kind.TASK_PROGRESS, Kind.TASK_COMPLETE,
    Kind.TASK_FAILED, Kind.TASK_CANCEL, Kind.TASK_REDRIVE, Kind.HEARTBEAT, Kind.SHUTDOWN, Kind.HALT, Kind.DISPATCHER,
)  # fmt: skip


class Died(Exception):
    """The dispatcher's process ends here."""


class Clock:
    """Virtual seconds, the same for all."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return START + self.now


class Ran(Struct):
    """One run of a task's work."""

    task_id: str
    agent_id: str
    attempt: int
    epoch: int | None
    """None: claimed while the swarm seemed to have no dispatcher, of which nothing is promised."""


class SimWorker:
    """One agent: the real worker's decisions, a journal that outlives it, and work that takes virtual time."""

    def __init__(self, swarm: "Swarm", agent_id: str) -> None:
        self.swarm, self.agent_id, self.rng = swarm, agent_id, swarm.rng
        self.owed: dict[tuple[str, int], Answer] = {}
        self.life = 0
        self.alive = False
        self.begin()

    def begin(self) -> None:
        self.life += 1
        self.alive = True
        self.incarnation = f"{self.agent_id}-{self.life}"
        me = Me(agent_id=self.agent_id, role="general", incarnation=self.incarnation, types=frozenset(RULES))
        self.core = Worker(me, self.swarm.new_id)
        self.core.owe(self.owed.values())
        self.work: dict[str, tuple[float, Lease]] = {}
        self.writer = Writer(SWARM, self.agent_id, "general", new_id=self.swarm.new_id, clock=self.swarm.clock.wall)
        self.bus = MemoryBus(self.swarm.broker, f"sim-{self.agent_id}")
        self.bus.set_will(self.writer.message(Kind.STATUS, self._status("offline"), self.agent_id))
        for kind, key in ((Kind.INBOX, self.agent_id), (Kind.DISPATCHER, ""), (Kind.HALT, "")):
            self.bus.subscribe(topic(SWARM, kind, key))
        self.next_beat = 0.0
        self.settle_at: float | None = None
        self.bus.start(self._hear, self._link)

    def _status(self, status: str) -> b.Status:
        return b.Status(status=status, role="general", incarnation=self.incarnation, capacity=1)

    def _link(self, link: Link) -> None:
        now = self.swarm.clock.now
        self.carry_out(self.core.on_link(link.up, now))
        if link.up:
            self.bus.publish(self.writer.message(Kind.STATUS, self._status("online"), self.agent_id))
            self.settle_at, self.next_beat = now + 2.0, now

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.swarm.clock.wall())
        if isinstance(event, Event) and self.alive:
            self.carry_out(self.core.on_event(event, self.swarm.clock.now))

    def carry_out(self, actions: list[object]) -> None:
        for action in actions:
            match action:
                case Say(kind, body, message_id):
                    self.bus.publish(self.writer.message(kind, body, message_id=message_id))
                case Beat():
                    self.beat()
                case Listen():
                    for kind in (Kind.TASK_NEW, Kind.TASK_ASSIGNED, Kind.TASK_QUEUED, Kind.TASK_COMPLETE):
                        self.bus.subscribe(topic(SWARM, kind))
                case Ignore():
                    for kind in (Kind.TASK_NEW, Kind.TASK_ASSIGNED, Kind.TASK_QUEUED, Kind.TASK_COMPLETE):
                        self.bus.unsubscribe(topic(SWARM, kind))
                case Run(lease):
                    self.swarm.ran.append(Ran(lease.task_id, self.agent_id, lease.attempt, lease.epoch))
                    length = self.rng.choice([0.1, 1.0, 8.0, 45.0])
                    self.work[lease.task_id] = (self.swarm.clock.now + length, lease)
                case Stop(task_id) if task_id in self.work:
                    _, lease = self.work.pop(task_id)
                    self.finish(lease, cancelled=True)
                case Save(what="answer", answer=answer) if answer is not None:
                    self.owed[answer.key] = answer
                case Save(what="done", task_id=task_id, attempt=attempt):
                    self.owed.pop((task_id, attempt), None)

    def finish(self, lease: Lease, *, cancelled: bool = False) -> None:
        lease = self.core.running.get(lease.task_id, lease)
        about = {
            "task_id": lease.task_id, "agent_id": self.agent_id, "attempt": lease.attempt, "epoch": lease.epoch,
        }  # fmt: skip
        answer: b.Complete | b.Failed
        if cancelled:
            answer = b.Failed(**about, error=b.ErrorInfo(message="cancelled"), retryable=False, cause="cancelled")
        elif self.rng.random() < 0.1:
            answer = b.Failed(**about, error=b.ErrorInfo(message="boom"), retryable=True)
            self.swarm.told.add((lease.task_id, lease.attempt))
        else:
            answer = b.Complete(**about, result={"by": self.agent_id})
        self.carry_out(self.core.finished(lease.task_id, answer, self.swarm.clock.now))

    def beat(self) -> None:
        body = b.Heartbeat(
            agent_id=self.agent_id,
            incarnation=self.incarnation,
            capacity=1,
            state="busy" if self.core.running else "online",
            tasks=[lease.names() for lease in self.core.running.values()],
            finished=[answer.names() for answer in self.core.owed],
        )
        self.bus.publish(self.writer.message(Kind.HEARTBEAT, body))

    def tick(self, now: float) -> None:
        if not self.alive:
            return
        if self.bus.is_up() and self.next_beat <= now:
            self.next_beat = now + 10.0
            self.beat()
        if self.settle_at is not None and self.settle_at <= now:
            self.settle_at = None
            self.carry_out(self.core.settled(now))
        for task_id in [t for t, (end, _) in self.work.items() if end <= now]:
            self.finish(self.work.pop(task_id)[1])
        self.carry_out(self.core.tick(now))

    def kill(self) -> None:
        self.alive = False
        self.bus.drop("killed")
        self.bus.close()


class SimDispatcher:
    """The dispatcher's engine over the journal that outlives it, and the swarm's only persistent session."""

    def __init__(self, swarm: "Swarm") -> None:
        self.swarm = swarm
        self.journal = Journal(None)
        self.alive = False
        self.dies_at: str | None = None
        self.begin()

    def begin(self) -> None:
        swarm = self.swarm
        self.alive, self.leading = True, False
        self.heard: list[Event | LinkUp | LinkDown] = []
        self.instance = f"box/{swarm.new_id()}"
        self.retained_epoch = 0
        writer = Writer(SWARM, "tm", "task-manager", new_id=swarm.new_id, clock=swarm.clock.wall)
        self.writer = writer
        self.engine = Engine(
            Settings(rules=RULES), self.journal, writer, self.publish,
            log=lambda line: None, monotonic=swarm.clock.monotonic, wall=swarm.clock.wall, chance=swarm.rng.random,
        )  # fmt: skip
        self.engine.restore()
        self.epoch = int(self.journal.meta("epoch") or 0) + 1
        self.bus = MemoryBus(swarm.broker, dispatcher_client_id(SWARM), clean=False)
        self.bus.set_will(self.presence(online=False))
        for kind in HEARD:
            self.bus.subscribe(topic(SWARM, kind))
        self.bus.subscribe(topic(SWARM, Kind.STATUS, "+"))
        self.bus.subscribe(topic(SWARM, Kind.INBOX, "tm"))
        self.marked = False
        self.bus.start(self._hear, self._link)

    def presence(self, *, online: bool) -> Outgoing:
        body = b.Dispatcher(instance=self.instance, epoch=self.epoch, online=online, agent_id="tm")
        return self.writer.message(Kind.DISPATCHER, body)

    def publish(self, message: Outgoing, on_ack: Callable[[], None] | None) -> None:
        if self.dies_at == "before publish":
            raise Died
        self.bus.publish(message, on_ack)

    def _link(self, link: Link) -> None:
        self.heard.append(LinkUp() if link.up else LinkDown())
        if link.up:
            ping = b.Inbox(command="ping", reason=self.instance)
            self.bus.publish(self.writer.message(Kind.INBOX, ping, "tm"))
            if self.leading:
                self.bus.publish(self.presence(online=True))

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.swarm.clock.wall())
        if isinstance(event, Event):
            if event.kind is Kind.INBOX and isinstance(event.body, b.Inbox) and event.body.reason == self.instance:
                self.marked = True
            self.heard.append(event)

    def tick(self) -> None:
        if not self.alive:
            return
        batch, self.heard = self.heard, []
        try:
            self.engine.hear([*batch, Tick()])
            if self.marked and not self.leading:
                self.leading = True
                self.bus.publish(self.presence(online=True))
                self.engine.lead(self.epoch)
        except Died:
            self.kill()

    def kill(self) -> None:
        """SIGKILL: what was not committed is gone, what was not said is unsaid."""
        self.alive, self.dies_at = False, None
        self.bus.drop("killed")
        self.bus.close()


class Publisher:
    """Repeats each task until it hears that it is journaled, or refused."""

    def __init__(self, swarm: "Swarm", tasks: list[b.Task]) -> None:
        self.swarm = swarm
        self.waiting = {task.task_id: task for task in tasks}
        self.due = {task.task_id: swarm.clock.now + swarm.rng.uniform(0, 60) for task in tasks}
        self.accepted: set[str] = set()
        self.writer = Writer(SWARM, "operator:sim@box", "", new_id=swarm.new_id, clock=swarm.clock.wall)
        self.bus = MemoryBus(swarm.broker, "sim-publisher")
        self.bus.subscribe(topic(SWARM, Kind.TASK_QUEUED))
        self.bus.start(self._hear, lambda link: None)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.swarm.clock.wall())
        if isinstance(event, Event) and isinstance(event.body, b.Queued):
            self.waiting.pop(event.body.task_id, None)
            self.accepted.add(event.body.task_id)

    def tick(self, now: float) -> None:
        for task_id, task in self.waiting.items():
            if self.due[task_id] <= now:
                self.due[task_id] = now + self.swarm.rng.uniform(1.0, 3.0)
                self.bus.publish(self.writer.message(Kind.TASK_NEW, task))

    def act(self, kind: Kind, task_id: str) -> None:
        self.bus.publish(self.writer.message(kind, b.TaskAct(task_id=task_id)))


class Swarm:
    """Everything, and the faults that befall it for the first `trouble` seconds."""

    def __init__(self, seed: int, *, tasks: int = 10, trouble: float = 90.0) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.trouble_ends = self.clock.now + trouble
        faults = Faults(
            loss=self.rng.choice([0.0, 0.02, 0.15]), duplicate=self.rng.choice([0.0, 0.1]),
            reorder=self.rng.choice([0.0, 0.05]),
        )  # fmt: skip
        self.broker = MemoryBroker(step=True, faults=faults, rng=self.rng)
        self._ids = 0
        self.ran: list[Ran] = []
        self.told: set[tuple[str, int]] = set()
        self.redriven: dict[str, int] = {}
        self.dispatcher = SimDispatcher(self)
        self.workers = [SimWorker(self, f"w{n}") for n in range(3)]
        types = ["noop", "noop", "database.migrate"]
        self.publisher = Publisher(
            self, [b.Task(task_id=f"t{n}", type=self.rng.choice(types), payload={"n": n}) for n in range(tasks)]
        )
        self.broken_until = 0.0

    def new_id(self) -> str:
        self._ids += 1
        return f"{self.seed}-{self._ids}"

    def run(self) -> None:
        """Live through the trouble, then until all has ended; the end must come."""
        limit = self.trouble_ends + 3000.0
        while self.clock.now < self.trouble_ends or not self.is_over():
            self.step(0.5 if self.clock.now < self.trouble_ends + 60 else 2.0)
            assert self.clock.now < limit, f"it does not end: {self.open_jobs()} {self.publisher.waiting}"

    def step(self, seconds: float) -> None:
        self.clock.now += seconds
        if self.clock.now < self.trouble_ends:
            self._trouble()
        else:
            self._mend()
        self.publisher.tick(self.clock.now)
        for _ in range(3):
            self.broker.run(self.rng.choice([1, 5, 1000]) if self.clock.now < self.trouble_ends else 1000)
            self.dispatcher.tick()
        for worker in self.workers:
            worker.tick(self.clock.now)

    def _trouble(self) -> None:
        rng, now = self.rng, self.clock.now
        if self.broken_until and now >= self.broken_until:
            self._mend()
        if rng.random() > 0.06:
            return
        self.broken_until = now + rng.choice([0.5, 5.0, 40.0])
        match rng.randrange(7):
            case 0:
                self._kill(rng.choice(self.workers))
            case 1 if self.dispatcher.alive:
                self.dispatcher.kill()
            case 2:
                self.dispatcher.dies_at = "before publish"
            case 3:
                rng.choice(self.workers).bus.drop()
            case 4:
                self.dispatcher.bus.drop()
            case 5:
                self.broker.stop()
                self.broker.start(lose_sessions=rng.random() < 0.5, lose_retained=rng.random() < 0.5)
            case 6:
                self.publisher.act(Kind.TASK_CANCEL, f"t{rng.randrange(4)}")

    def _kill(self, worker: SimWorker) -> None:
        if worker.alive:
            worker.kill()

    def _mend(self) -> None:
        self.broken_until = 0.0
        if not self.dispatcher.alive:
            self.dispatcher.begin()
        if self.clock.now >= self.trouble_ends:
            self.broker.faults = Faults()
            self.dispatcher.dies_at = None
            self._redrive()
        for worker in self.workers:
            if not worker.alive:
                worker.begin()
            worker.bus.restore()
        self.dispatcher.bus.restore()
        self.publisher.bus.restore()

    def _redrive(self) -> None:
        """In the end a person decides about what is held."""
        for job in self.dispatcher.engine.state.jobs.values():
            if (
                job.state is TaskState.HELD
                and self.clock.now > self.trouble_ends + 30
                and job.task_id not in self.redriven
            ):
                self.redriven[job.task_id] = job.attempt
                self.publisher.act(Kind.TASK_REDRIVE, job.task_id)

    def is_over(self) -> bool:
        return not self.publisher.waiting and not self.open_jobs() and not any(w.owed for w in self.workers)

    def open_jobs(self) -> list[tuple[str, str]]:
        return [(job.task_id, job.state) for job in self.dispatcher.engine.state.jobs.values() if not job.ended]

    def records(self) -> dict[str, Job]:
        """Every job, as the journal has it."""
        self.dispatcher.engine.flush(now=True)
        return {job.task_id: job for job in self.dispatcher.journal.search(None, None, 10_000, 0)}

    def close(self) -> None:
        try:
            self.dispatcher.journal.close()
        except sqlite3.Error:
            raise
