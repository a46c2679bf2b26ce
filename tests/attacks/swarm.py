"""A small swarm in memory, with the parts that run in production, and an attacker on its bus."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from swarm_tui.agent.console import Console
from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.roles.task_manager.role import TaskManager
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.bus.port import OnAck, OnMessage
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import Broker, HandlerSpec, Policy, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.fleet import Fleet
from swarm_tui.identity.keyring import GUEST, HostKeyring, Keyring, OperatorKeyring
from swarm_tui.identity.keys import host_key, operator_key
from swarm_tui.identity.open import open_agent, open_operator, open_swarm
from swarm_tui.identity.registry import Identity, Registry, add
from swarm_tui.identity.store import make_secret, write_registry
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind, everything, topic
from tests.unit.agent.test_runtime import Pump, PumpedBus
from tests.wait import until

SWARM = "opencto-dev"
WORKER, MANAGER = "worker-01", "task-manager-01"


class Payload(msgspec.Struct):
    hold: bool = False


class Work:
    """Ends at once, or holds until it is cancelled or let go."""

    payload = Payload
    ran: ClassVar[list[str]] = []
    let_go = threading.Event()

    async def run(self, context: Context) -> dict[str, Any]:
        Work.ran.append(context.task_id)
        hold = msgspec.convert(context.payload, Payload).hold
        while hold and not Work.let_go.is_set() and not context.cancel.is_set():
            await asyncio.sleep(0.01)
        return {"by": "the worker"}


class Link:
    """What the dispatcher's role asks of its agent."""

    swarm = SWARM
    incarnation = "tm-1"
    take_over = False

    def __init__(self, bus: MemoryBus, writer: Writer) -> None:
        self.bus, self.writer = bus, writer
        self.lines: list[str] = []
        self.left: list[str] = []

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        self.bus.publish(message, on_ack)

    def now(self) -> float:
        return time.time()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def leave(self, reason: str, exit_code: int = 1) -> None:
        self.left.append(reason)


class Swarm:
    """One dispatcher, one worker, one operator; `guarded`: they have keys, as `up` gives them."""

    def __init__(self, folder: Path, *, guarded: bool, guests: str = "work") -> None:
        self.guarded = guarded
        self.state = StateDir(folder / "swarm").create()
        self.root = str(self.state.root)
        self.joined: Keyring = GUEST
        """The keys of a host that was brought in, `helper`."""
        self.person: Keyring = GUEST
        """The keys of an operator elsewhere, `ann`."""
        if guarded:
            secret = make_secret(self.state, "home")
            registry = add(Registry(home="home"), "helper", Identity(kind="host"))
            write_registry(self.state, add(registry, "ann", Identity(kind="operator")))
            self.joined = HostKeyring("helper", host_key(secret, "helper", 1))
            self.person = OperatorKeyring("ann", operator_key(secret, "ann", 1))
        Work.ran, Work.let_go = [], threading.Event()
        self.broker = MemoryBroker()
        self.pump = Pump()
        self.heard: list[Event] = []
        self.raw: list[tuple[str, bytes]] = []
        self.attacker = self.connect("attacker", self._hear)
        self.attacker.subscribe(everything(SWARM))
        self.guest = Writer(SWARM, "operator:mallory@nowhere", "operator", new_id=_id, clock=time.time)
        rules = {name: TypeRule(roles=["general"], approve=name == "careful") for name in ("work", "careful")}
        common: dict[str, Any] = {
            "swarm": SWARM, "broker": Broker(), "workdir": str(folder), "state_dir": self.root, "host": "home",
            "policy": msgspec.convert({"guests": guests}, Policy),
        }  # fmt: skip
        scaled = {"scale": {"general": (1, 9)}}
        names = [MANAGER, WORKER]
        self._leads = RunSpec(agent_id=MANAGER, role="task-manager", types=rules, own=names, **scaled, **common)
        self.lead()
        handlers = {name: HandlerSpec(use="attacked", timeout=60.0, max_attempts=3) for name in rules}
        self._works = RunSpec(agent_id=WORKER, role="general", handlers=handlers, leaderless=not guarded, **common)
        self.work()
        operator_keys = open_operator(self.state, "ada@home") if guarded else GUEST
        self.operator = Operator(self._bus("operator"), SWARM, user="ada", host="home", keys=operator_keys)
        self.seen = Fleet(SWARM)
        """What the screen and the commands make of what they hear."""
        self.operator.on_event(lambda event: self.seen.apply(event, time.time()))
        self.operator.start()
        self.done(self.publish("first"))

    def lead(self) -> None:
        """Begin a dispatcher, after the one before if there was one."""
        keys = open_swarm(self.state, "swarm") or GUEST if self.guarded else GUEST
        writer = Writer(SWARM, MANAGER, "task-manager", new_id=_id, clock=time.time, prove=keys.prove)
        self.link = Link(self.connect("manager"), writer)
        self.manager = TaskManager(self._leads, self.link, lambda name, clean: self._bus(name))
        self.manager.start()
        until(lambda: self.manager.leading, what=f"it to lead: {self.link.lines}")

    def work(self) -> None:
        """Begin the worker, another life of it each time."""
        own = open_agent(self.root, WORKER) if self.guarded else GUEST
        self.worker = AgentRuntime(self._works, self._bus(WORKER), Console(silent=True), keys=own)
        self.worker.start()

    def lead_again(self) -> None:
        """End the dispatcher, and begin the next."""
        self.manager.close()
        self.lead()

    def work_again(self) -> None:
        """End the worker, and begin its next life."""
        self.worker.reporter.leave("another follows", 0)
        self.worker.close()
        self.work()

    def heard_raw(self, kind: Kind, key: str = "", holds: str = "") -> tuple[str, bytes]:
        """The first message that the attacker heard on the topic with that text in it."""
        full = topic(SWARM, kind, key)
        return until(
            lambda: next(((t, raw) for t, raw in self.raw if t == full and raw and holds in raw.decode()), None),
            what=f"{full} with {holds}",
        )

    def signed(self, keys: Keyring, kind: Kind, body: b.Body, key: str = "", *, sender: str = "x") -> None:
        """Say it with the keys that somebody has."""
        writer = Writer(SWARM, sender, "general", new_id=_id, clock=time.time, prove=keys.prove)
        self.attacker.publish(writer.message(kind, body, key))

    def _bus(self, name: str) -> PumpedBus:
        return PumpedBus(self.broker, name, self.pump)

    def connect(self, name: str, hear: OnMessage = lambda *_: None) -> PumpedBus:
        bus = self._bus(name)
        bus.start(hear, lambda link: None)
        return bus

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        self.raw.append((full, raw))
        event = decode(SWARM, full, raw, retained, time.time())
        if isinstance(event, Event):
            self.heard.append(event)

    def forge(self, kind: Kind, body: b.Body, key: str = "", *, sender: str = "") -> None:
        """Say it as a stranger on the bus may, in anybody's name."""
        writer = self.guest
        if sender:
            writer = Writer(SWARM, sender, "general", new_id=_id, clock=time.time)
        self.attacker.publish(writer.message(kind, body, key))

    def send(self, full: str, raw: bytes, *, retain: bool = False) -> None:
        """Send bytes as they are."""
        self.attacker.publish(Outgoing(full, raw, 1, retain))

    def publish(self, task_id: str, task_type: str = "work", **payload: Any) -> str:
        """A good task of the operator's; its id."""
        self.operator.submit(b.Task(task_id=task_id, type=task_type, payload=payload))
        return task_id

    def of(self, kind: Kind, **fields: Any) -> list[Event]:
        """All that was said so far of a kind, with these fields in its payload."""
        return [e for e in list(self.heard) if e.kind is kind and all(e.payload.get(n) == v for n, v in fields.items())]

    def wait(self, kind: Kind, **fields: Any) -> Event:
        return until(lambda: self.of(kind, **fields), what=f"{kind.value} {fields}; {self.link.lines[-5:]}")[0]

    def done(self, task_id: str) -> None:
        """Wait until the dispatcher has taken the worker's own result of the task, and said so."""
        until(
            lambda: self.of(Kind.INBOX, task_id=task_id, command="ack"),
            what=f"{task_id} to be acked; {self.link.lines[-5:]} {[e.kind.value for e in self.heard[-20:]]}",
        )

    def pin(self, desired: int) -> None:
        """Have a person say how many general agents there are to be, and the dispatcher hear it."""
        self.operator.act(Kind.SCALE, b.Scale(desired=desired), "general")
        until(lambda: self.pinned() == desired, what="the wish to be heard")

    def pinned(self) -> int:
        """How many general agents a person wished for, as the dispatcher knows it; 0 where nobody did."""
        assert self.manager.shell is not None
        targets = self.manager.shell.engine.state.targets
        return targets["general"].desired if "general" in targets and targets["general"].pinned else 0

    def host_says(self, keys: Keyring, host: str, pid: int | None) -> bytes:
        """Say as a host's supervisor that the worker is that process, or has ended; what was said."""
        own = self.worker.me.incarnation
        pane = b.PaneStatus(agent_id=WORKER, role="general", pid=pid, state="online", incarnation=own, exit_status=1)
        self.signed(keys, Kind.HOST_STATUS, b.HostStatus(status="online", panes=[pane]), host)
        return self.heard_raw(Kind.HOST_STATUS, host, f'"pid":{pid}' if pid else '"exit_status":1')[1]

    def worker_keys(self) -> Keyring:
        """The worker's own keys."""
        return open_agent(self.root, WORKER) if self.guarded else GUEST

    def job(self, task_id: str) -> Any:
        """The dispatcher's own record of a task."""
        row = self.operator.query("task", {"task_id": task_id}, timeout=5.0)
        rows = row.rows if row is not None else []
        return rows[0] if rows else None

    def retained(self, kind: Kind) -> bytes:
        message = self.broker.retained.get(topic(SWARM, kind))
        return b"" if message is None else message.payload

    def close(self) -> None:
        Work.let_go.set()
        self.operator.close(0.2)
        self.worker.reporter.leave("the test is over", 0)
        self.worker.close()
        self.manager.close()
        self.pump.close()


#: What somebody does to a swarm; returns what tells whether it worked.
Attack = Callable[[Swarm], Callable[[], object]]


def _id() -> str:
    return str(uuid.uuid4())
