"""What the agent's end-to-end tests stand on: agents as processes, and an ear that hears the whole swarm."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.config.paths import state_dir
from swarm_tui.config.spec import write_spec
from swarm_tui.protocol.bodies import Body, Dispatcher, Inbox, Task
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, everything
from tests.wait import until

SWARM = "opencto-dev"


class Listener:
    """Hears all that a swarm says, and speaks as a publisher and as a dispatcher."""

    def __init__(self, url: str, swarm: str = SWARM, sender: str = "operator:test@here") -> None:
        self.swarm = swarm
        self.events: list[Event] = []
        self.refused: list[object] = []
        self.writer = Writer(swarm, sender, "operator", new_id=lambda: str(uuid.uuid4()), clock=time.time)
        self.leader = Writer(swarm, "tm", "task-manager", new_id=lambda: str(uuid.uuid4()), clock=time.time)
        self.bus = MqttBus(Broker(url=url), f"ear-{uuid.uuid4().hex[:8]}")
        self._up = threading.Event()
        self.bus.subscribe(everything(swarm))
        self.bus.start(self._hear, lambda link: self._up.set() if link.up else None)
        assert self._up.wait(10), "the ear does not connect"

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(self.swarm, full, raw, retained, time.time())
        (self.events if isinstance(event, Event) else self.refused).append(event)  # type: ignore[arg-type]

    def all(self, kind: Kind, **fields: object) -> list[Event]:
        """The events of a kind whose bodies have these values."""
        return [
            e
            for e in list(self.events)
            if e.kind is kind and all(getattr(e.body, name, None) == value for name, value in fields.items())
        ]

    def wait(self, kind: Kind, limit: float = 10.0, **fields: object) -> Event:
        """The first such event, waiting for it."""
        until(lambda: self.all(kind, **fields), limit, f"{kind.value} {fields}; heard {self.story()}")
        return self.all(kind, **fields)[0]

    def story(self) -> list[str]:
        return [f"{e.kind.value}:{e.payload.get('task_id') or e.sender}" for e in list(self.events)][-30:]

    def say(self, kind: Kind, body: Body, key: str = "") -> None:
        self.bus.publish(self.writer.message(kind, body, key))

    def publish(self, task_type: str, task_id: str, payload: dict[str, Any] | None = None, **more: Any) -> None:
        self.say(Kind.TASK_NEW, Task(task_id=task_id, type=task_type, payload=payload or {}, **more))

    def lead(self, *, epoch: int = 1, online: bool = True) -> None:
        """Be the swarm's dispatcher."""
        body = Dispatcher(instance="here/1", epoch=epoch, online=online, agent_id="tm")
        self.bus.publish(self.leader.message(Kind.DISPATCHER, body))

    def offer(
        self, agent_id: str, task: Task, *, attempt: int = 1, epoch: int = 1, incarnation: str | None = None
    ) -> None:
        self.say(
            Kind.INBOX,
            Inbox(incarnation=incarnation, task_id=task.task_id, attempt=attempt, epoch=epoch, lease=30.0, task=task),
            agent_id,
        )

    def close(self) -> None:
        self.bus.close()


class Agent:
    """One agent process; its pane is a pipe."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        return self.process.pid

    def says(self, pattern: str, limit: float = 10.0) -> str:
        """The first line that the pattern finds, waiting for it."""
        until(
            lambda: any(re.search(pattern, line) for line in list(self.lines)), limit, f"{pattern!r} in:\n{self.text}"
        )
        return next(line for line in self.lines if re.search(pattern, line))

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, limit: float = 15.0) -> int:
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {limit} s:\n{self.text}") from None
        self._reader.join(2)
        return code


class Agents:
    """A broker's swarm: starts agents and ears, and ends them."""

    def __init__(self, url: str, workdir: Path) -> None:
        self.url = url
        self.workdir = workdir
        self.agents: list[Agent] = []
        self.ears: list[Listener] = []

    def listener(self, swarm: str = SWARM) -> Listener:
        listener = Listener(self.url, swarm)
        self.ears.append(listener)
        return listener

    def spec(self, agent_id: str, role: str = "general", **more: Any) -> Path:
        """A spec file as `up` writes it."""
        state = state_dir(SWARM).create()
        spec = RunSpec(
            agent_id=agent_id,
            role=role,
            swarm=SWARM,
            broker=Broker(url=self.url),
            workdir=str(self.workdir),
            state_dir=str(state.root),
            host="here",
        )
        path = state.spec(agent_id)
        write_spec(path, msgspec.structs.replace(spec, **more))
        return path

    def run(self, *argv: str, module: str = "swarm_tui.agent.main", **env: str) -> Agent:
        """An agent with these arguments; the broker comes by the environment, as by hand."""
        agent = Agent([sys.executable, "-m", module, *argv], env={"MQTT_BROKER": self.url, **env}, cwd=self.workdir)
        self.agents.append(agent)
        return agent

    def start(self, agent_id: str, role: str = "general", **more: Any) -> Agent:
        """An agent from a spec, connected."""
        agent = self.run("--spec", str(self.spec(agent_id, role, **more)))
        agent.says("MQTT connected")
        return agent

    def close(self) -> None:
        for agent in self.agents:
            if agent.process.poll() is None:
                agent.process.kill()
            agent.wait()
        for listener in self.ears:
            listener.close()


@contextmanager
def ground(url: str, workdir: Path) -> Iterator[Agents]:
    made = Agents(url, workdir)
    try:
        yield made
    finally:
        made.close()


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
