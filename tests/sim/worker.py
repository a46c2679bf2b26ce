"""One simulated agent: the real worker's shell, decisions and journal file, and work that takes virtual time."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.console import Console
from swarm_tui.agent.handler_thread import HandlerThread
from swarm_tui.agent.presence_messages import PresenceMessages
from swarm_tui.agent.running_attempt import Outcome, RunningAttempt
from swarm_tui.agent.worker_shell import WorkerShell
from swarm_tui.bus.port import Link
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import RULES, SWARM, Clock, Ran, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm


class SimReporter(AgentReporter):
    """Speaks by the agent's own clock, with ids that follow from the seed, and prints nothing."""

    def __init__(self, worker: "SimWorker", spec: RunSpec, me: PresenceMessages, bus: SimBus) -> None:
        super().__init__(spec, me, bus, cast("Console", None))
        self._clock = worker.clock
        self.writer = Writer(
            SWARM, me.agent_id, me.role, new_id=worker.swarm.new_id, clock=worker.clock.wall, prove=worker.keys.prove
        )

    def now(self) -> float:
        return self._clock.wall()

    def note(self, line: str, mark: str = "·") -> None:
        """Nobody watches."""

    log = note


class VirtualHandlers(HandlerThread):
    """Work that takes virtual seconds; `tick` ends what is over."""

    def __init__(self, worker: "SimWorker", spec: RunSpec, shell: WorkerShell) -> None:
        super().__init__(spec, shell)
        self.worker, self.shell = worker, shell
        self.work: dict[str, tuple[float, RunningAttempt, str]] = {}

    def start(self, attempt: RunningAttempt) -> None:
        worker, lease = self.worker, attempt.lease
        worker.swarm.ran.append(Ran(lease.task_id, worker.agent_id, lease.attempt, lease.epoch))
        worker.swarm.work_begins(attempt)
        ends = worker.clock.monotonic() + worker.rng.choice([0.1, 1.0, 8.0, 45.0])
        self.work[lease.task_id] = (ends, attempt, "")

    def stop(self, attempt: RunningAttempt, cause: str, wait: float | None = None) -> None:
        held = self.work.get(attempt.task_id)
        if held is not None and held[1] is attempt:
            self.work[attempt.task_id] = (0.0, attempt, cause)

    def tick(self, now: float) -> None:
        for task_id in [task_id for task_id, (ends, _, _) in self.work.items() if ends <= now]:
            _, attempt, cause = self.work.pop(task_id)
            self.shell.ended(attempt, self._outcome(attempt, cause))

    def _outcome(self, attempt: RunningAttempt, cause: str) -> Outcome:
        worker = self.worker
        if cause:
            return Outcome(error=cause, code=cause, cause=cause, retryable=cause == "interrupted")
        if (outcome := worker.swarm.came_of(attempt)) is not None:
            return outcome
        if worker.rng.random() < 0.1:
            worker.swarm.told.add((attempt.task_id, self.shell.core.running[attempt.task_id].attempt))
            return Outcome(error="boom", retryable=True)
        return Outcome(result={"by": worker.agent_id})


class SimWorker:
    """One agent. `alive` is off between its end and its next life."""

    def __init__(self, swarm: "Swarm", agent_id: str) -> None:
        self.swarm, self.agent_id, self.rng = swarm, agent_id, swarm.rng
        self.clock = Clock(swarm.time)
        self.keys = swarm.keys.of_agent(agent_id)
        self.spec = RunSpec(
            agent_id=agent_id, role="general", swarm=SWARM, broker=Broker(), host="sim", workdir=".",
            state_dir=str(Path(swarm.folder) / agent_id), leaderless=not swarm.keys.proved,
        )  # fmt: skip
        self.life = 0
        self.alive = False
        self.begin()

    def begin(self) -> None:
        self.life += 1
        self.alive = True
        self.me = PresenceMessages(
            agent_id=self.agent_id, role="general", incarnation=f"{self.agent_id}-{self.life}", host="sim",
            pid=self.life, started_at=self.clock.wall(), types=tuple(sorted(RULES)), capacity=1, ephemeral=False,
        )  # fmt: skip
        self.bus = SimBus(self.swarm.broker, f"sim-{self.agent_id}")
        self.reporter = SimReporter(self, self.spec, self.me, self.bus)
        self.shell = WorkerShell(
            self.spec, self.reporter, self._beat_body, lambda: None, clock=self.clock.monotonic,
            make_handlers=self._make_handlers,
        )  # fmt: skip
        self.shell.core.state._new_id = self.swarm.new_id
        self.bus.set_will(self.reporter.writer.message(Kind.STATUS, self.me.status("offline"), self.agent_id))
        for kind, key in ((Kind.INBOX, self.agent_id), (Kind.DISPATCHER, ""), (Kind.HALT, "")):
            self.bus.subscribe(topic(SWARM, kind, key))
        self.next_beat = 0.0
        self.settle_at: float | None = None
        self.goes_on_at: float | None = None
        self.leaves_at: float | None = None
        self.shell.open()
        self.bus.start(self._hear, self._link)

    def _make_handlers(self, spec: RunSpec, shell: WorkerShell) -> HandlerThread:
        self.handlers = VirtualHandlers(self, spec, shell)
        return self.handlers

    def _beat_body(self) -> b.Heartbeat:
        return self.me.beat(**self.shell.held())

    @property
    def owes(self) -> bool:
        """Whether a result of it waits for its ack."""
        return bool(self.shell.core.owed)

    def _link(self, link: Link) -> None:
        now = self.clock.monotonic()
        self.shell.on_link(link.up)
        if link.up:
            self.reporter.say(Kind.STATUS, self.me.status(*self.shell.state()), self.agent_id)
            self.settle_at, self.next_beat = now + 2.0, now

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall(), self.keys.judge)
        if isinstance(event, Event) and self.alive:
            self.shell.on_event(event)
            if isinstance(event.body, b.Inbox) and event.body.command == "ping":
                self.reporter.say(Kind.STATUS, self.me.status(*self.shell.state()), self.agent_id)

    def tick(self) -> None:
        now = self.clock.monotonic()
        if not self.alive or self._stands_still(now):
            return
        if self.bus.is_up() and self.next_beat <= now:
            self.next_beat = now + 10.0
            self.reporter.say(Kind.HEARTBEAT, self._beat_body())
        if self.settle_at is not None and self.settle_at <= now:
            self.settle_at = None
            self.shell.settled()
        self.handlers.tick(now)
        self.shell.tick(now)
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
        self.shell.drain("SIGTERM")
        if self.rng.random() < 0.7:
            self.shell.stop_all("interrupted", 4.0)
        self.leaves_at = self.clock.monotonic() + self.rng.choice([0.0, 4.0, 8.0])

    def _farewell(self) -> None:
        self.reporter.say(Kind.SHUTDOWN, b.Shutdown(agent_id=self.agent_id, incarnation=self.me.incarnation))
        self.reporter.say(Kind.STATUS, self.me.status("offline"), self.agent_id)
        self._end()

    def kill(self) -> None:
        """SIGKILL, whether it runs or stands still."""
        self.bus.drop("killed")
        self._end()

    def _end(self) -> None:
        self.alive = False
        self.bus.close()
        self.shell.close()
