"""One simulated agent: the real worker's decisions, a journal that outlives it, and work that takes virtual time."""

from typing import TYPE_CHECKING

from swarm_tui.bus.port import Link
from swarm_tui.domain.worker import Worker, WorkerIdentity
from swarm_tui.domain.worker.actions import Answer, Beat, Ignore, Lease, Listen, Run, Save, Say, Stop
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import RULES, SWARM, Clock, Ran, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm

COMMONS = (Kind.TASK_NEW, Kind.TASK_ASSIGNED, Kind.TASK_QUEUED, Kind.TASK_COMPLETE)


class SimWorker:
    """One agent. `alive` is off between its end and its next life."""

    def __init__(self, swarm: "Swarm", agent_id: str) -> None:
        self.swarm, self.agent_id, self.rng = swarm, agent_id, swarm.rng
        self.clock = Clock(swarm.time)
        self.owed: dict[tuple[str, int], Answer] = {}
        self.life = 0
        self.alive = False
        self.begin()

    def begin(self) -> None:
        self.life += 1
        self.alive = True
        self.incarnation = f"{self.agent_id}-{self.life}"
        me = WorkerIdentity(
            agent_id=self.agent_id, role="general", incarnation=self.incarnation, types=frozenset(RULES)
        )
        self.core = Worker(me, self.swarm.new_id)
        self.core.owe(self.owed.values())
        self.work: dict[str, tuple[float, Lease]] = {}
        self.writer = Writer(SWARM, self.agent_id, "general", new_id=self.swarm.new_id, clock=self.clock.wall)
        self.bus = SimBus(self.swarm.broker, f"sim-{self.agent_id}")
        self.bus.set_will(self.writer.message(Kind.STATUS, self._status("offline"), self.agent_id))
        for kind, key in ((Kind.INBOX, self.agent_id), (Kind.DISPATCHER, ""), (Kind.HALT, "")):
            self.bus.subscribe(topic(SWARM, kind, key))
        self.next_beat = 0.0
        self.settle_at: float | None = None
        self.goes_on_at: float | None = None
        self.leaves_at: float | None = None
        self.bus.start(self._hear, self._link)

    def _status(self, status: str) -> b.Status:
        return b.Status(status=status, role="general", incarnation=self.incarnation, capacity=1)

    def _link(self, link: Link) -> None:
        now = self.clock.monotonic()
        self.carry_out(self.core.on_link(link.up, now))
        if link.up:
            word = "draining" if self.core.draining else "online"
            self.bus.publish(self.writer.message(Kind.STATUS, self._status(word), self.agent_id))
            self.settle_at, self.next_beat = now + 2.0, now

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall())
        if isinstance(event, Event) and self.alive:
            self.carry_out(self.core.on_event(event, self.clock.monotonic()))

    def carry_out(self, actions: list[object]) -> None:
        for action in actions:
            match action:
                case Say(kind, body, message_id):
                    self.bus.publish(self.writer.message(kind, body, message_id=message_id))
                case Beat():
                    self.beat()
                case Listen():
                    for kind in COMMONS:
                        self.bus.subscribe(topic(SWARM, kind))
                case Ignore():
                    for kind in COMMONS:
                        self.bus.unsubscribe(topic(SWARM, kind))
                case Run(lease):
                    self.swarm.ran.append(Ran(lease.task_id, self.agent_id, lease.attempt, lease.epoch))
                    length = self.rng.choice([0.1, 1.0, 8.0, 45.0])
                    self.work[lease.task_id] = (self.clock.monotonic() + length, lease)
                case Stop(task_id) if task_id in self.work:
                    self.finish(self.work.pop(task_id)[1], cause="cancelled")
                case Save(what="answer", answer=answer) if answer is not None:
                    self.owed[answer.key] = answer
                case Save(what="done", task_id=task_id, attempt=attempt):
                    self.owed.pop((task_id, attempt), None)

    def finish(self, lease: Lease, *, cause: str = "") -> None:
        lease = self.core.running.get(lease.task_id, lease)
        about = {
            "task_id": lease.task_id, "agent_id": self.agent_id, "attempt": lease.attempt, "epoch": lease.epoch,
        }  # fmt: skip
        answer: b.Complete | b.Failed
        if cause:
            error = b.ErrorInfo(message=cause)
            answer = b.Failed(**about, error=error, retryable=cause == "interrupted", cause=cause)
        elif self.rng.random() < 0.1:
            answer = b.Failed(**about, error=b.ErrorInfo(message="boom"), retryable=True)
            self.swarm.told.add((lease.task_id, lease.attempt))
        else:
            answer = b.Complete(**about, result={"by": self.agent_id})
        self.carry_out(self.core.finished(lease.task_id, answer, self.clock.monotonic()))

    def beat(self) -> None:
        state = "draining" if self.core.draining else "busy" if self.core.running else "online"
        body = b.Heartbeat(
            agent_id=self.agent_id,
            incarnation=self.incarnation,
            capacity=1,
            state=state,
            tasks=[lease.names() for lease in self.core.running.values()],
            finished=[answer.names() for answer in self.core.owed],
        )
        self.bus.publish(self.writer.message(Kind.HEARTBEAT, body))

    def tick(self) -> None:
        now = self.clock.monotonic()
        if not self.alive or self._stands_still(now):
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
        if self.leaves_at is not None and self.leaves_at <= now:
            self._farewell()

    def _stands_still(self, now: float) -> bool:
        if self.goes_on_at is None:
            return False
        if now < self.goes_on_at:
            self.bus.look(now)
            return True
        self.goes_on_at = None
        self.bus.go_on()
        return False

    def stop(self, seconds: float) -> None:
        """SIGSTOP for so long; what it had started goes on by itself."""
        self.goes_on_at = self.clock.monotonic() + seconds
        self.bus.stop(self.clock.monotonic())

    def leave(self) -> None:
        """SIGTERM: no more tasks; what runs is told to end, and the last words are said, whether it did or not."""
        now = self.clock.monotonic()
        self.carry_out(self.core.drain(True, now, "SIGTERM"))
        if self.rng.random() < 0.7:
            for task_id in list(self.work):
                self.finish(self.work.pop(task_id)[1], cause="interrupted")
        self.leaves_at = now + self.rng.choice([0.0, 4.0, 8.0])

    def _farewell(self) -> None:
        self.bus.publish(
            self.writer.message(Kind.SHUTDOWN, b.Shutdown(agent_id=self.agent_id, incarnation=self.incarnation))
        )
        self.bus.publish(self.writer.message(Kind.STATUS, self._status("offline"), self.agent_id))
        self.alive = False
        self.bus.close()

    def kill(self) -> None:
        """SIGKILL, whether it runs or stands still."""
        self.alive = False
        self.bus.drop("killed")
        self.bus.close()
