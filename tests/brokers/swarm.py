"""A small swarm over a real broker: a dispatcher, a worker and an operator, each with a connection of its own."""

import time
import uuid
from pathlib import Path
from typing import Any

from swarm_tui.agent.console import Console
from swarm_tui.agent.roles.task_manager.role import TaskManager
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.ids import new_id
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.fleet import Fleet
from swarm_tui.identity.open import open_agent, open_operator, open_swarm
from swarm_tui.identity.store import make_secret
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.client_ids import Client, client_id, client_id_of
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Outgoing
from tests.brokers.kinds import SWARM
from tests.wait import until

MANAGER, WORKER = "task-manager-01", "worker-01"


class Link:
    """What the dispatcher's role asks of its agent."""

    swarm, incarnation, take_over = SWARM, "tm-1", False

    def __init__(self, bus: MqttBus, writer: Writer) -> None:
        self.bus, self.writer = bus, writer
        self.lines: list[str] = []

    def publish(self, message: Outgoing, on_ack: Any = None) -> None:
        self.bus.publish(message, on_ack)

    def now(self) -> float:
        return time.time()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def leave(self, reason: str, exit_code: int = 1) -> None:
        self.lines.append(f"left: {reason}")


class Eye:
    """An operator and what it makes of all that it hears."""

    def __init__(self, broker: Broker, state: StateDir) -> None:
        bus = MqttBus(broker, client_id_of(Client.OPERATOR, SWARM, unique=uuid.uuid4().hex[:12]))
        self.fleet, self.heard = Fleet(SWARM), list[Event]()
        self.operator = Operator(bus, SWARM, user="ada", host="home", keys=open_operator(state, "ada@home"))
        self.operator.on_event(self._take)
        self.operator.start()
        assert self.operator.wait_link(5.0).up, self.operator.link

    def _take(self, event: Any) -> None:
        self.fleet.apply(event, time.time())
        if isinstance(event, Event):
            self.heard.append(event)

    def state_of(self, agent_id: str) -> str:
        agent = self.fleet.agents.get(agent_id)
        return "" if agent is None else str(agent.state)


class Swarm:
    """Started in the order that asks most of a broker: the worker is there before the dispatcher."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.state = StateDir(folder / "swarm").create()
        make_secret(self.state, "home")
        self.eye = Eye(broker, self.state)
        root = str(self.state.root)
        common: dict[str, Any] = {
            "swarm": SWARM, "broker": broker, "workdir": str(folder), "state_dir": root, "host": "home",
        }  # fmt: skip
        works = RunSpec(agent_id=WORKER, role="general", handlers={"noop": HandlerSpec()}, leaderless=False, **common)
        self.worker_bus = MqttBus(broker, client_id(SWARM, WORKER), keepalive=5)
        self.worker = AgentRuntime(works, self.worker_bus, Console(silent=True), keys=open_agent(root, WORKER))
        self.worker.start()
        until(self.worker_bus.is_up, what="the worker's link")
        keys = open_swarm(self.state, "swarm", own=frozenset({MANAGER, WORKER}))
        assert keys is not None
        rules = {"noop": TypeRule(roles=["general"])}
        leads = RunSpec(agent_id=MANAGER, role="task-manager", types=rules, own=[MANAGER, WORKER], **common)
        writer = Writer(SWARM, MANAGER, "task-manager", new_id=new_id, clock=time.time, prove=keys.prove)
        bus = MqttBus(broker, client_id(SWARM, MANAGER))
        self.link = Link(bus, writer)
        bus.start(lambda *_: None, lambda link: None)
        self.manager = TaskManager(leads, self.link)
        self.manager.start()

    def close(self) -> None:
        self.eye.operator.close(0.2)
        self.worker.reporter.leave("the test is over", 0)
        self.worker.close()
        self.manager.close()
        self.link.bus.close(0.2)

    def task(self, limit: float = 10.0) -> Any:
        """Publish a task; the dispatcher's record of it once it has ended."""
        operator = self.eye.operator
        task_id = operator.new_task_id()
        operator.submit(b.Task(task_id=task_id, type="noop", payload={"echo": task_id}))

        def ended() -> Any:
            reply = operator.query("task", {"task_id": task_id}, timeout=2.0)
            row = reply.rows[0] if reply is not None and reply.rows else {}
            return row if row.get("state") in ("complete", "failed") else None

        def seen() -> bool:
            return any(isinstance(e.body, b.Complete | b.Failed) and e.body.task_id == task_id for e in self.eye.heard)

        until(seen, limit=limit, what=f"{task_id} to end; {self.link.lines[-5:]}")
        return until(ended, limit=limit, what=f"the record of {task_id}")
