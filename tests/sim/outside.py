"""Who stands outside of a simulated swarm: a publisher that repeats itself, and a person who acts."""

from typing import TYPE_CHECKING

from swarm_tui.domain.dispatch.digests import payload_hash
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.run_bodies import RunAct, RunNew, RunStarted
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import SWARM, Clock, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm


class Publisher:
    """Repeats each task until it hears that it is journaled, or refused; and acts on tasks."""

    def __init__(self, swarm: "Swarm", tasks: list[b.Task], runs: list[RunNew]) -> None:
        self.swarm = swarm
        self.clock = Clock(swarm.time)
        self.tasks = {task.task_id: task for task in tasks}
        self.waiting = dict(self.tasks)
        self.due = {task.task_id: self.clock.monotonic() + swarm.rng.uniform(0, 60) for task in tasks}
        self.accepted: set[str] = set()
        keys = self.keys = swarm.keys.of_swarm("operator:sim@box")
        self.writer = Writer(
            SWARM, "operator:sim@box", "", new_id=swarm.new_id, clock=self.clock.wall, prove=keys.prove
        )
        self.bus = SimBus(swarm.broker, "sim-publisher")
        self.runs_waiting = {run.run_id: run for run in runs}
        self.runs_due = {run.run_id: self.clock.monotonic() + swarm.rng.uniform(0, 60) for run in runs}
        self.runs_accepted: set[str] = set()
        for kind in (Kind.TASK_QUEUED, Kind.RUN_STARTED):
            self.bus.subscribe(topic(SWARM, kind))
        self.bus.start(self._hear, lambda link: None)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall(), self.keys.judge)
        if isinstance(event, Event) and isinstance(event.body, RunStarted):
            self.runs_waiting.pop(event.body.run_id, None)
            self.runs_accepted.add(event.body.run_id)
        if isinstance(event, Event) and isinstance(event.body, b.Queued):
            self.waiting.pop(event.body.task_id, None)
            self.accepted.add(event.body.task_id)

    def tick(self) -> None:
        now = self.clock.monotonic()
        for task_id, task in self.waiting.items():
            if self.due[task_id] <= now:
                self.due[task_id] = now + self.swarm.rng.uniform(1.0, 3.0)
                self.bus.publish(self.writer.message(Kind.TASK_NEW, task))
        for run_id, run in self.runs_waiting.items():
            if self.runs_due[run_id] <= now:
                self.runs_due[run_id] = now + self.swarm.rng.uniform(1.0, 3.0)
                self.bus.publish(self.writer.message(Kind.RUN_NEW, run))

    def act(self, kind: Kind, task_id: str, *, right: bool = True) -> None:
        """Cancel, redrive, approve or deny; an approval that is not right names another payload."""
        task = self.tasks.get(task_id) or self.swarm.dispatcher.engine.state.jobs[task_id].task
        named = payload_hash(task.type, task.payload) if right else "0" * 64
        body = b.TaskAct(task_id=task_id, payload_hash=named if kind is Kind.TASK_APPROVE else None)
        self.bus.publish(self.writer.message(kind, body))

    def act_on_run(self, kind: Kind, run_id: str) -> None:
        """Cancel or retry a run."""
        self.bus.publish(self.writer.message(kind, RunAct(run_id=run_id)))

    def halt(self, on: bool) -> None:
        """Halt the swarm, or lift that."""
        if self.swarm.keys.proved and not on:
            self.bus.publish(self.writer.message(Kind.HALT, b.Halt(lifted=True)))
        halt = self.writer.message(Kind.HALT, b.Halt(reason="stop")) if on else self.writer.clear(Kind.HALT)
        self.bus.publish(halt)
