"""A swarm of real processes on a real broker, a producer that remembers what was accepted, and someone who kills."""

import contextlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import msgspec

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.client.publication import Publication
from swarm_tui.config.model import Broker, Dialect, HandlerSpec, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import write_spec
from swarm_tui.domain.dispatch import Job
from swarm_tui.protocol.bodies import Alert, Dispatcher, Queued, Started, Task
from swarm_tui.protocol.envelope import Event, Rejected
from tests.conftest import RealBroker
from tests.wait import until

SWARM = "faults"
POINTS = ("after-commit", "before-commit", "after-publish")
TYPES = {"noop": TypeRule(roles=["general"], max_attempts=100)}


class FaultySwarm:
    """`workers` agents of ours, `foreign` ones of the seed's and a dispatcher: processes that `revive` starts again."""

    def __init__(
        self,
        broker: RealBroker,
        folder: Path,
        *,
        workers: int = 3,
        foreign: int = 0,
        dialect: Dialect = "seed",
        heartbeat: float = 10.0,
        seed: int = 0,
    ) -> None:
        """`dialect` is the foreign agents', `heartbeat` the seconds between two of theirs."""
        self.broker = broker
        self.dialect: Dialect = dialect
        self.heartbeat = heartbeat
        self.rng = random.Random(seed)
        self.state = StateDir(folder / "state").create()
        self.folder = folder
        self.point = "after-commit"
        self.flag = folder / "die"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: Counter[str] = Counter()
        self.started: set[tuple[str, int | None, int | None]] = set()
        self.publications: list[Publication] = []
        self.led = False
        self.alerts: list[str] = []
        self.queued: set[str] = set()
        """What the dispatcher promised. While a broker that was killed has forgotten that there is one, agents claim
        tasks by themselves: those are accepted too, but nothing is promised of them."""
        self.foreign = [f"s{n}" for n in range(foreign)]
        self.ids = ["tm", *(f"w{n}" for n in range(workers)), *self.foreign]
        for agent_id in self.ids:
            self._write(agent_id)
            self.start(agent_id)
        self.operator = Operator(
            MqttBus(Broker(url=broker.url), f"producer-{uuid.uuid4().hex[:6]}"), SWARM, user="producer", host="box"
        )
        self.operator.on_event(self._hear)
        self.operator.start()

    def _write(self, agent_id: str) -> None:
        role = "task-manager" if agent_id == "tm" else "general"
        spec = RunSpec(
            agent_id=agent_id, role=role, swarm=SWARM, broker=Broker(url=self.broker.url), host="box",
            workdir=str(self.folder), state_dir=str(self.state.root), types=TYPES,
            handlers={"noop": HandlerSpec()} if role == "general" else {},
            foreign=dict.fromkeys(self.foreign, self.dialect), foreign_roles=dict.fromkeys(self.foreign, "general"),
        )  # fmt: skip
        write_spec(self.state.spec(agent_id), spec)

    def _hear(self, event: Event | Rejected) -> None:
        if isinstance(event, Event) and isinstance(event.body, Queued):
            self.queued.add(event.body.task_id)
        elif isinstance(event, Event) and isinstance(event.body, Alert):
            self.alerts.append(event.body.message)
        elif isinstance(event, Event) and isinstance(event.body, Dispatcher):
            self.led = self.led or event.body.online
        elif isinstance(event, Event) and isinstance(event.body, Started):
            self.started.add((event.body.task_id, event.body.attempt, event.body.epoch))

    def start(self, agent_id: str) -> None:
        ours = ["swarm_tui"] if agent_id != "tm" else ["tests.faults.engine_agent", self.point, str(self.flag)]
        role = "task-manager" if agent_id == "tm" else "general"
        argv = [sys.executable, "-m", *ours, *(["agent"] if agent_id != "tm" else [])]
        argv += ["--role", role, "--agent-id", agent_id, "--swarm", SWARM, "--spec", str(self.state.spec(agent_id))]
        if agent_id in self.foreign:
            module = "tests.faults.seed_agent" if self.dialect == "seed" else "tests.faults.sdk_agent"
            argv = [sys.executable, "-m", module, agent_id, f"{SWARM}/_a/{agent_id}"]
            argv += [str(self.broker.port), str(self.runs_of(agent_id)), str(self.heartbeat)]
        log = (self.folder / f"{agent_id}.log").open("ab")
        with log:
            self.processes[agent_id] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def runs_of(self, agent_id: str) -> Path:
        """Where a foreign agent writes each task that it begins."""
        return self.folder / f"{agent_id}.runs"

    def runs(self) -> Counter[str]:
        """How often foreign agents began each task."""
        logs = [self.runs_of(agent_id) for agent_id in self.foreign]
        return Counter(line for log in logs if log.exists() for line in log.read_text().split())

    def revive(self) -> None:
        """Start again what is dead."""
        for agent_id, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(agent_id)

    def kill(self, agent_id: str) -> None:
        process = self.processes[agent_id]
        process.kill()
        process.wait(5)
        self.kills[agent_id[0]] += 1

    def kill_at(self, point: str) -> None:
        """The dispatcher dies when it next comes to that point."""
        if self.point != point:
            self.point = point
            self.kill("tm")
            self.start("tm")
        self.flag.touch()
        self.kills[point] += 1

    def fill_disk(self, full: bool) -> None:
        """The dispatcher's files can grow no further, or again."""
        limit = 4096 if full else resource.RLIM_INFINITY
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.processes["tm"].pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def publish(self, task_id: str, seconds: float, **payload: object) -> None:
        task = Task(task_id=task_id, type="noop", payload={"seconds": seconds, **payload})
        self.publications.append(self.operator.submit(task, accept_timeout=300.0))

    def jobs(self) -> dict[str, Job]:
        """The records, read beside the dispatcher."""
        db = sqlite3.connect(f"file:{self.state.dispatch}?mode=ro", uri=True, timeout=5)
        try:
            rows = db.execute("SELECT body FROM task").fetchall()
        finally:
            db.close()
        jobs = [msgspec.msgpack.decode(body, type=Job) for (body,) in rows]
        return {job.task_id: job for job in jobs}

    def settle(self, limit: float) -> dict[str, Job]:
        """Wait until all that was accepted has ended; the records."""
        self.flag.unlink(missing_ok=True)

        def over() -> bool:
            self.revive()
            if not all(publication.accepted for publication in self.publications):
                return False
            jobs = self.jobs()
            return self.queued <= set(jobs) and all(job.ended for job in jobs.values())

        try:
            until(over, limit, "all that was accepted to end")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None
        return self.jobs()

    def story(self) -> str:
        """What has not ended, and the ends of the logs."""
        jobs = self.jobs()
        missing = sorted(self.queued - set(jobs))
        still = [f"{job.task_id} {job.state} {job.attempt} {job.agent_id}" for job in jobs.values() if not job.ended]
        logs = [f"--- {a}\n" + (self.folder / f"{a}.log").read_text(errors="replace")[-1500:] for a in self.ids]
        return "\n".join([f"not journaled: {missing}", *still, *logs])

    def figures(self, jobs: dict[str, Job]) -> str:
        states = Counter(job.state.value for job in jobs.values())
        second = len(self.started) - len({task_id for task_id, _, _ in self.started})
        claimed = len({p.task_id for p in self.publications} - set(jobs))
        return (
            f"{len(jobs)} accepted, {dict(states)}, kills {dict(self.kills)}, {second} second runs, "
            f"{claimed} claimed while the dispatcher was forgotten"
        )

    def close(self) -> None:
        """End every process, whatever happened."""
        with contextlib.suppress(Exception):
            self.operator.close()
        for process in self.processes.values():
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
        for process in self.processes.values():
            process.wait(5)


def pause(seconds: float) -> None:
    """Let the swarm work: it is the load that counts here, not a condition."""
    time.sleep(seconds)
