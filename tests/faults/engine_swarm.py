"""A swarm of real processes on a real broker, a producer that remembers what was accepted, and someone who kills."""

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from swarm_tui.config.model import Broker, Dialect, HandlerSpec, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import write_spec
from swarm_tui.domain.dispatch import Job
from tests.conftest import RealBroker
from tests.faults.producer import Producer

SWARM = "faults"
POINTS = ("after-commit", "before-commit", "after-publish")
TYPES = {"noop": TypeRule(roles=["general"], max_attempts=100)}
HANDLERS = {"noop": HandlerSpec()}


class FaultySwarm(Producer):
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
        types: dict[str, TypeRule] = TYPES,
        handlers: dict[str, HandlerSpec] = HANDLERS,
        swarm: str = SWARM,
    ) -> None:
        """`dialect` is the foreign agents', `heartbeat` the seconds between two of theirs."""
        self.types, self.handlers, self.swarm = types, handlers, swarm
        self.broker = broker
        self.dialect: Dialect = dialect
        self.heartbeat = heartbeat
        self.rng = random.Random(seed)
        self.state = StateDir(folder / "state").create()
        self.folder = folder
        self.point = "after-commit"
        self.flag = folder / "die"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.foreign = [f"s{n}" for n in range(foreign)]
        self.ids = ["tm", *(f"w{n}" for n in range(workers)), *self.foreign]
        for agent_id in self.ids:
            self._write(agent_id)
            self.start(agent_id)
        super().__init__(broker.url, swarm, self.state.dispatch)

    def _write(self, agent_id: str) -> None:
        role = "task-manager" if agent_id == "tm" else "general"
        spec = RunSpec(
            agent_id=agent_id, role=role, swarm=self.swarm, broker=Broker(url=self.broker.url), host="box",
            workdir=str(self.folder), state_dir=str(self.state.root), types=self.types,
            handlers=self.handlers if role == "general" else {},
            foreign=dict.fromkeys(self.foreign, self.dialect), foreign_roles=dict.fromkeys(self.foreign, "general"),
        )  # fmt: skip
        write_spec(self.state.spec(agent_id), spec)

    def start(self, agent_id: str) -> None:
        ours = ["swarm_tui"] if agent_id != "tm" else ["tests.faults.engine_agent", self.point, str(self.flag)]
        role = "task-manager" if agent_id == "tm" else "general"
        argv = [sys.executable, "-m", *ours, *(["agent"] if agent_id != "tm" else [])]
        argv += [
            "--role",
            role,
            "--agent-id",
            agent_id,
            "--swarm",
            self.swarm,
            "--spec",
            str(self.state.spec(agent_id)),
        ]
        if agent_id in self.foreign:
            module = "tests.faults.seed_agent" if self.dialect == "seed" else "tests.faults.sdk_agent"
            argv = [sys.executable, "-m", module, agent_id, f"{self.swarm}/_a/{agent_id}"]
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

    def look(self) -> None:
        self.revive()

    def settle(self, limit: float) -> dict[str, Job]:
        self.flag.unlink(missing_ok=True)
        return super().settle(limit)

    def story(self) -> str:
        """Also the ends of the logs."""
        logs = [f"--- {a}\n" + (self.folder / f"{a}.log").read_text(errors="replace")[-1500:] for a in self.ids]
        return "\n".join([super().story(), *logs])

    def close(self) -> None:
        """End every process, whatever happened."""
        self.leave()
        for process in self.processes.values():
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
        for process in self.processes.values():
            process.wait(5)
