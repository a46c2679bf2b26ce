"""A whole swarm in one thread and virtual time: the dispatcher's engine and journal, the workers' own decisions, and a
broker in memory that loses, repeats and reorders. Everything that happens follows from the seed."""

import random
import tempfile

import msgspec

from swarm_tui.agent.running_attempt import Outcome, RunningAttempt
from swarm_tui.bus.memory import Faults, MemoryBroker
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.mail.model import Mail
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.workflows.run import Run
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.run_bodies import RunNew
from swarm_tui.protocol.topics import Kind
from tests.sim import truths
from tests.sim.dispatcher import SimDispatcher, copy_of
from tests.sim.liar import Liar, SimKeys
from tests.sim.mail import Correspondence
from tests.sim.outside import Publisher
from tests.sim.parts import FIRINGS, SCHEDULE, SETTINGS, STEPS, Clock, Ran, SimBus, Time
from tests.sim.worker import SimWorker

#: What befalls a swarm, and how often one among the others.
TROUBLES = {
    "kill an agent": 4, "kill the dispatcher": 4, "die before publish": 4, "drop an agent": 4, "drop the dispatcher": 4,
    "restart the broker": 4, "cancel": 4, "end an agent": 4, "end the dispatcher": 2, "stop an agent": 4,
    "stop the dispatcher": 2, "set a clock": 4, "act": 8, "halt or resume": 2, "another leads": 2,
}  # fmt: skip
OFTEN = 0.08


class Swarm:
    """Everything, and the faults that befall it for the first `trouble` seconds."""

    def __init__(self, seed: int, *, tasks: int = 10, trouble: float = 90.0, liar: bool = False) -> None:
        """`liar`: everybody has keys, but for one who says what it likes."""
        self.seed = seed
        self.rng = random.Random(seed)
        self.time = Time()
        self.trouble_ends = self.time.now + trouble
        faults = Faults(
            loss=self.rng.choice([0.0, 0.02, 0.15]), duplicate=self.rng.choice([0.0, 0.1]),
            reorder=self.rng.choice([0.0, 0.05]),
        )  # fmt: skip
        self.broker = MemoryBroker(step=True, faults=faults, rng=self.rng)
        self._ids = 0
        self.keys = SimKeys(self, proved=liar)
        self.ran: list[Ran] = []
        self.told: set[tuple[str, int]] = set()
        self.log: list[tuple[float, str]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="swarm-sim-")
        self.folder = self._folder.name
        self.runs_rng = random.Random(f"runs of {seed}")
        """Apart, so that the rest of a seed's life is what it is without runs."""
        self.scheduled = self.runs_rng.random() < 0.3
        settings = msgspec.structs.replace(SETTINGS, proved=liar)
        self.settings = msgspec.structs.replace(settings, schedules=(SCHEDULE,)) if self.scheduled else settings
        self.dispatcher = SimDispatcher(self, "tm", Journal(None))
        self.former: list[SimDispatcher] = []
        self.workers = [SimWorker(self, f"w{n}") for n in range(3)]
        types = ["noop", "noop", "noop", "database.migrate", "database.migrate", "deployment.deploy"]
        runs = [self._run(n) for n in range(self.runs_rng.choice([0, 1, 2]))]
        self.publisher = Publisher(self, [self._task(n, self.rng.choice(types)) for n in range(tasks)], runs)
        self.liar = Liar(self) if liar else None
        # Not in every one: mail is more for the broker to lose, and the rest of a seed's life another by it.
        self.mail = Correspondence(self, 15) if seed % 4 >= 2 else None
        self.broken_until = 0.0
        self.clocks_were_set = False
        self.decides_at = self.trouble_ends + 30.0

    def _task(self, n: int, task_type: str) -> b.Task:
        tries = self.rng.choice([None, None, None, 2])
        return b.Task(task_id=f"t{n}", type=task_type, payload={"n": n}, max_attempts=tries)

    def _run(self, n: int) -> RunNew:
        return RunNew(
            run_id=f"r{n}",
            workflow={
                "workflow": "w",
                "inputs": {"items": {"type": "array"}, "go": {"type": "boolean"}},
                "steps": STEPS,
                "on_failure": self.runs_rng.choice(["stop", "continue"]),
            },
            inputs={"items": list(range(self.runs_rng.randrange(4))), "go": self.runs_rng.random() < 0.5},
        )

    def new_id(self) -> str:
        self._ids += 1
        return f"{self.seed}-{self._ids}"

    def work_begins(self, attempt: RunningAttempt) -> None:
        """Hear that an agent begins a task."""

    def came_of(self, attempt: RunningAttempt) -> Outcome | None:
        """Return what the work of a task comes to, where that is not left to chance."""
        return None

    def at_the_end(self) -> None:
        """Look at what must be true after all is over."""
        truths.of_the_end(self)

    def run(self) -> None:
        """Live through the trouble, then until all has ended; the end must come."""
        limit = self.trouble_ends + 3000.0
        # What a liar left behind is put right within some seconds.
        least = self.trouble_ends + (30.0 if self.liar is not None else 0.0)
        while self.time.now < least or not self.is_over():
            self.step(0.5 if self.time.now < self.trouble_ends + 10 else 2.0)
            assert self.time.now < limit, f"it does not end: {self.open_jobs()} {self.publisher.waiting}"
        self.at_the_end()

    def step(self, seconds: float) -> None:
        self.time.now += seconds
        troubled = self.time.now < self.trouble_ends
        if troubled:
            self._trouble()
        else:
            self._calm()
        if self.publisher.runs_accepted and troubled and self.runs_rng.random() < 0.01:
            run_id = self.runs_rng.choice(sorted(self.publisher.runs_accepted))
            self.publisher.act_on_run(self.runs_rng.choice([Kind.RUN_CANCEL, Kind.RUN_RETRY]), run_id)
        self.publisher.tick()
        if self.mail is not None:
            self.mail.tick(troubled=troubled)
        if troubled and self.liar is not None:
            self.liar.tick()
        for _ in range(3):
            self.broker.run(self.rng.choice([1, 5, 1000]) if troubled else 1000)
            self.dispatcher.tick()
            for former in self.former:
                former.tick()
        for worker in self.workers:
            worker.tick()
        truths.at_every_step(self.dispatcher)

    def _trouble(self) -> None:
        rng = self.rng
        if self.broken_until and self.time.now >= self.broken_until:
            self._mend()
        if rng.random() > OFTEN:
            return
        self.broken_until = self.time.now + rng.choice([0.5, 5.0, 40.0])
        what = rng.choices(list(TROUBLES), list(TROUBLES.values()))[0]
        self.log.append((self.time.now, what))
        worker = rng.choice([worker for worker in self.workers if worker.alive] or [None])
        if "agent" in what:
            if worker is not None:
                self._trouble_of(worker, what)
        elif "dispatcher" in what or what == "die before publish":
            if self.dispatcher.alive:
                self._trouble_of_the_lead(what)
        elif what == "restart the broker":
            self.broker.stop()
            forgets = rng.random() < 0.5 and not self._rivals()
            self.broker.start(lose_sessions=rng.random() < 0.5, lose_retained=forgets)
        elif what == "set a clock":
            self.clocks_were_set = True
            rng.choice(self._clocks()).wrong = rng.choice([-5000.0, -3.0, 3.0, 5000.0])
        elif what == "another leads":
            self._another_leads()
        else:
            self._person(what)

    def _trouble_of(self, worker: SimWorker, what: str) -> None:
        if what == "kill an agent":
            worker.kill()
        elif what == "drop an agent":
            worker.bus.drop()
        elif what == "end an agent" and worker.goes_on_at is None:
            worker.leave()
        else:
            worker.stop(self.rng.choice([5.0, 28.0, 40.0, 70.0]))

    def _trouble_of_the_lead(self, what: str) -> None:
        if what == "kill the dispatcher":
            self.dispatcher.kill()
        elif what == "drop the dispatcher":
            self.dispatcher.bus.drop()
        elif what == "end the dispatcher" and self.dispatcher.goes_on_at is None and not self._rivals():
            self.dispatcher.leave()
        elif what == "stop the dispatcher":
            self.dispatcher.stop(self.rng.choice([3.0, 20.0, 50.0]))
        else:
            self.dispatcher.dies_at = "before publish"

    def _person(self, what: str) -> None:
        task_id = f"t{self.rng.randrange(len(self.publisher.tasks))}"
        if what == "cancel":
            self.publisher.act(Kind.TASK_CANCEL, f"t{self.rng.randrange(4)}")
        elif what == "halt or resume":
            self.publisher.halt(self.dispatcher.engine.state.halted is None)
        else:
            kind = self.rng.choice([Kind.TASK_REDRIVE, Kind.TASK_APPROVE, Kind.TASK_APPROVE, Kind.TASK_DENY])
            self.publisher.act(kind, task_id, right=self.rng.random() < 0.8)

    def _another_leads(self) -> None:
        """A person moves the journal to another machine and says `--take-over` there, whatever the first one does."""
        first = self.dispatcher
        if first.alive and not first.leading:
            return
        how = self.rng.choice(["lives", "cut off", "stopped"]) if first.alive else "is dead"
        self.log.append((self.time.now, f"{first.name} {how}"))
        if how == "cut off":
            first.cut_off(self.rng.choice([2.0, 20.0, 50.0]))
        elif how == "stopped":
            first.stop(self.rng.choice([2.0, 20.0, 50.0]))
        self.former.append(first)
        self.dispatcher = SimDispatcher(self, f"tm{len(self.former) + 1}", copy_of(first.journal))
        self.dispatcher.fences = dict(first.fences)

    def _clocks(self) -> list[Clock]:
        return [self.dispatcher.clock, self.publisher.clock, *(worker.clock for worker in self.workers)]

    def buses(self) -> list[SimBus]:
        dispatchers = [self.dispatcher, *self.former]
        return [
            self.publisher.bus,
            *([self.liar.bus] if self.liar is not None else []),
            *([self.mail.bus] if self.mail is not None else []),
            *(worker.bus for worker in self.workers),
            *(bus for d in dispatchers for bus in d.made),
        ]

    def _mend(self) -> None:
        self.broken_until = 0.0
        if not self.dispatcher.alive:
            self.dispatcher.begin()
        for worker in self.workers:
            if not worker.alive:
                worker.begin()
            worker.bus.restore()
        self.dispatcher.restore()
        for former in self.former:
            former.restore()
        self.publisher.bus.restore()
        if self.mail is not None:
            self.mail.bus.restore()
        if self.liar is not None:
            self.liar.bus.restore()

    def _calm(self) -> None:
        """All is well from now on, and a person decides about what is held, asks for approval or was halted."""
        self.broker.faults = Faults()
        self.dispatcher.dies_at = None
        for clock in self._clocks():
            clock.wrong = 0.0
        self._mend()
        if self.time.now < self.decides_at:
            return
        self.decides_at = self.time.now + 30.0
        state = self.dispatcher.engine.state
        if state.halted is not None:
            self.publisher.halt(False)
        for job in state.jobs.values():
            if job.state is TaskState.HELD:
                self.publisher.act(Kind.TASK_REDRIVE, job.task_id)
            elif job.state is TaskState.AWAITING_APPROVAL:
                self.publisher.act(Kind.TASK_APPROVE, job.task_id)

    def is_over(self) -> bool:
        if self.scheduled and self.dispatcher.journal.find(FIRINGS[-1]) is None:
            return False
        owed = any(worker.owes for worker in self.workers)
        left = (
            self.publisher.waiting
            or self.publisher.runs_waiting
            or self._open_runs()
            or self.open_jobs()
            or owed
            or self._rivals()
            or (self.mail is not None and not self.mail.is_over())
            or self.dispatcher.shell.retained.topics.wrong
        )
        return self.dispatcher.leading and not left

    def _open_runs(self) -> bool:
        return any(not run.ended for run in self.dispatcher.engine.state.runs.values())

    def _rivals(self) -> bool:
        """Whether one that led before may come back: once the topic is empty, for the broker forgot it or the leader
        left with nothing open, it cannot know that another led meanwhile."""
        return any(former.alive for former in self.former)

    def would_be_misled(self) -> bool:
        """Whether one that led before would go on if the claim that is retained were gone now: whose it is cannot say
        it again, since it stands still or is away."""
        lead = self.dispatcher
        answers = lead.leading and lead.bus.is_up() and lead.bus.stopped_at is None
        return self._rivals() and not answers

    def open_jobs(self) -> list[tuple[str, str]]:
        return [(job.task_id, job.state) for job in self.dispatcher.engine.state.jobs.values() if not job.ended]

    def records(self) -> dict[str, Job]:
        """Every job, as the journal of who leads in the end has it."""
        self.dispatcher.engine.flush(now=True)
        return {job.task_id: job for job in self.dispatcher.journal.search(None, None, 10_000, 0)}

    def run_records(self) -> dict[str, Run]:
        """Every run, as the journal of who leads in the end has it."""
        return {run.run_id: run for run in self.dispatcher.journal.runs.search(None, 100, 0)}

    def mail_records(self) -> dict[str, Mail]:
        """Every message, as the journal of who leads in the end has it."""
        return {mail.message_id: mail for mail in self.dispatcher.journal.mails.search(None, None, 10_000, 0)}

    def close(self) -> None:
        for dispatcher in (self.dispatcher, *self.former):
            dispatcher.journal.close()
        for worker in self.workers:
            worker.shell.close()
        self._folder.cleanup()
