"""Who stands outside of a simulated swarm: a publisher that repeats itself, and a person who acts."""

from typing import TYPE_CHECKING

from swarm_tui.domain.dispatch.digests import payload_hash
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import SWARM, Clock, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm


class Publisher:
    """Repeats each task until it hears that it is journaled, or refused; and acts on tasks."""

    def __init__(self, swarm: "Swarm", tasks: list[b.Task]) -> None:
        self.swarm = swarm
        self.clock = Clock(swarm.time)
        self.tasks = {task.task_id: task for task in tasks}
        self.waiting = dict(self.tasks)
        self.due = {task.task_id: self.clock.monotonic() + swarm.rng.uniform(0, 60) for task in tasks}
        self.accepted: set[str] = set()
        self.writer = Writer(SWARM, "operator:sim@box", "", new_id=swarm.new_id, clock=self.clock.wall)
        self.bus = SimBus(swarm.broker, "sim-publisher")
        self.bus.subscribe(topic(SWARM, Kind.TASK_QUEUED))
        self.bus.start(self._hear, lambda link: None)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall())
        if isinstance(event, Event) and isinstance(event.body, b.Queued):
            self.waiting.pop(event.body.task_id, None)
            self.accepted.add(event.body.task_id)

    def tick(self) -> None:
        now = self.clock.monotonic()
        for task_id, task in self.waiting.items():
            if self.due[task_id] <= now:
                self.due[task_id] = now + self.swarm.rng.uniform(1.0, 3.0)
                self.bus.publish(self.writer.message(Kind.TASK_NEW, task))

    def act(self, kind: Kind, task_id: str, *, right: bool = True) -> None:
        """Cancel, redrive, approve or deny; an approval that is not right names another payload."""
        task = self.tasks[task_id]
        named = payload_hash(task.type, task.payload) if right else "0" * 64
        body = b.TaskAct(task_id=task_id, payload_hash=named if kind is Kind.TASK_APPROVE else None)
        self.bus.publish(self.writer.message(kind, body))

    def halt(self, on: bool) -> None:
        """Halt the swarm, or lift that."""
        halt = self.writer.message(Kind.HALT, b.Halt(reason="stop")) if on else self.writer.clear(Kind.HALT)
        self.bus.publish(halt)
