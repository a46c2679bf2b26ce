"""A party of a simulated swarm that says anything it may at any time: forged, altered, heard before, or nothing."""

import json
import random
from collections import deque
from typing import TYPE_CHECKING, Any

from swarm_tui.identity.keyring import GUEST, HostKeyring, Keyring, SwarmKeyring
from swarm_tui.identity.keys import host_key
from swarm_tui.identity.registry import Registry
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.mail_bodies import MessageAccepted, MessageNew, MessageReceipt, PathsClaim
from swarm_tui.protocol.topics import RETAINED, Kind, everything, parse, topic
from tests.sim.parts import SWARM, Clock, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm

SECRET = b"s" * 32
HOST = "sim"
NAMES = ("w0", "w1", "w2", "tm", "mallory")
#: Messages that it remembers, the first ones and the last.
FIRST, LAST = 100, 200
#: Tasks of its own, which it may publish.
MOST_TASKS = 5


class SimKeys:
    """The keys of each party; without a liar nobody has any, and a seed's life is as it was."""

    def __init__(self, swarm: "Swarm", *, proved: bool) -> None:
        self._swarm, self.proved = swarm, proved
        self._registry = Registry(home=HOST)

    def of_swarm(self, issuer: str) -> Keyring:
        """A dispatcher's, or those of a person who sits at its host."""
        if not self.proved:
            return GUEST
        time = self._swarm.time
        own = frozenset({"w0", "w1", "w2", "tm", *(f"tm{n}" for n in range(2, 20))})
        return SwarmKeyring(
            SECRET, lambda: self._registry, issuer=issuer, guests="publish", own=own, clock=lambda: time.now
        )

    def of_agent(self, agent_id: str) -> Keyring:
        """An agent's."""
        return HostKeyring(HOST, host_key(SECRET, HOST, 1)).agent(agent_id) if self.proved else GUEST


class Liar:
    """Hears everything, and has no keys."""

    def __init__(self, swarm: "Swarm") -> None:
        self.rng = random.Random(f"liar of {swarm.seed}")
        self.clock = Clock(swarm.time)
        self.first: list[Outgoing] = []
        self.last: deque[Outgoing] = deque(maxlen=LAST)
        self.lies = 0
        self._tasks = 0
        self._claim = topic(SWARM, Kind.DISPATCHER)
        self._swarm = swarm
        self.bus = SimBus(swarm.broker, "sim-liar")
        self.bus.subscribe(everything(SWARM))
        self.bus.start(self._hear, lambda link: None)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        heard = Outgoing(full, raw)
        self.last.append(heard)
        if len(self.first) < FIRST:
            self.first.append(heard)

    def tick(self) -> None:
        """Say some lies, or none."""
        for _ in range(self.rng.choice([0, 0, 1, 3])):
            told = self.rng.choice([self._again, self._again, self._altered, self._forged, self._nothing])()
            if told is not None and not self._misleads(told.topic):
                self.lies += 1
                self.bus.publish(Outgoing(told.topic, told.payload, 1, self._retain(told.topic)))

    def _misleads(self, full: str) -> bool:
        """Whether what it says there would fork the swarm, which is a known limit; now, or once it is up."""
        return full == self._claim and (self._swarm.would_be_misled() or not self.bus.is_up())

    def _retain(self, full: str) -> bool:
        address = parse(SWARM, full)
        return address is not None and address.kind in RETAINED and self.rng.random() < 0.9

    def _one(self) -> Outgoing | None:
        heard = [*self.first, *self.last]
        return self.rng.choice(heard) if heard else None

    def _again(self) -> Outgoing | None:
        return self._one()

    def _nothing(self) -> Outgoing:
        kind = self.rng.choice([Kind.DISPATCHER, Kind.HALT, Kind.STATUS])
        return Outgoing(topic(SWARM, kind, self.rng.choice(NAMES)), b"")

    def _altered(self) -> Outgoing | None:
        """What was heard, with its proof, and something else in it."""
        heard = self._one()
        try:
            said = json.loads(heard.payload) if heard is not None else None
        except ValueError:
            return None
        if heard is None or not isinstance(said, dict) or self._publishes(heard.topic):
            return None
        if isinstance(said.get("payload"), dict) and (names := sorted(said["payload"])):
            said["payload"][self.rng.choice(names)] = self.rng.choice([None, 0, 99, "w0", "t1", "online", True, {}])
        proof = said.pop("proof", None)
        if proof is not None and self.rng.random() < 0.8:
            said["proof"] = proof
        return Outgoing(heard.topic, json.dumps(said, separators=(",", ":")).encode())

    @staticmethod
    def _publishes(full: str) -> bool:
        return full in (topic(SWARM, Kind.TASK_NEW), topic(SWARM, Kind.RUN_NEW))

    def _forged(self) -> Outgoing | None:
        """An order, an act or an answer of its own, in anybody's name."""
        rng, sender = self.rng, self.rng.choice([*NAMES, "operator:sim@box"])
        task_id = f"t{rng.randrange(10)}"
        fence: dict[str, Any] = {"attempt": rng.randrange(4), "epoch": rng.randrange(5)}
        agent = rng.choice(NAMES)
        writer = Writer(SWARM, sender, "general", new_id=self._id, clock=self.clock.wall)
        evil = b.Task(task_id=f"evil-{self._tasks}", type="noop", payload={})
        kind, body, key = rng.choice(
            [
                (Kind.INBOX, b.Inbox(task_id=task_id, task=evil, **fence), agent),
                (Kind.INBOX, b.Inbox(command=rng.choice(["drain", "cancel", "ack"]), task_id=task_id), agent),
                (Kind.TASK_COMPLETE, b.Complete(task_id=task_id, agent_id=agent, result="evil", **fence), ""),
                (Kind.TASK_COMPLETE, b.Complete(task_id=task_id, agent_id=agent, result="evil"), ""),
                (Kind.TASK_STARTED, b.Started(task_id=task_id, agent_id=agent, **fence), ""),
                (Kind.TASK_ASSIGNED, b.Assigned(task_id=task_id, agent_id=agent), ""),
                (Kind.TASK_CANCEL, b.TaskAct(task_id=task_id), ""),
                (Kind.TASK_APPROVE, b.TaskAct(task_id=task_id, payload_hash="0" * 64), ""),
                (Kind.HALT, b.Halt(reason="evil"), ""),
                (Kind.DISPATCHER, b.Dispatcher(instance="evil/1", epoch=rng.choice([1, 99, 2**52])), ""),
                (Kind.STATUS, b.Status(status="online", role="general", incarnation="evil", capacity=9), agent),
                (Kind.HEARTBEAT, b.Heartbeat(agent_id=agent, incarnation="evil"), ""),
                (Kind.SHUTDOWN, b.Shutdown(agent_id=agent), ""),
                (Kind.TASK_NEW, evil, ""),
                *(self._mail(agent) if self._swarm.mail is not None else []),
            ]
        )
        if kind is Kind.TASK_NEW:
            if self._tasks >= MOST_TASKS:
                return None
            self._tasks += 1
        return writer.message(kind, body, key)

    def _mail(self, agent: str) -> list[tuple[Kind, b.Body, str]]:
        """A message in another's name, of a receipt that nobody gave, a message past the dispatcher, an odd claim."""
        name = f"m{self.rng.randrange(1, 16)}"
        said = MessageNew(message_id=f"evil-{self.rng.randrange(3)}", sender="w0", to=agent, text="evil")
        return [
            (Kind.MESSAGE_NEW, said, ""),
            (Kind.MESSAGE_READ, MessageReceipt(message_id=name, agent_id=agent), ""),
            (Kind.INBOX, b.Inbox(command="message", message=MessageNew(message_id="past", text="evil")), agent),
            (Kind.INBOX, b.Inbox(command="receipt", answer={"message_id": name, "state": "read"}), agent),
            (Kind.MESSAGE_ACCEPTED, MessageAccepted(message_id=name), ""),
            (Kind.PATHS_CLAIM, PathsClaim(claim_id="evil", task_id="t1", agent_id=agent, paths=["src"]), ""),
        ]

    def _id(self) -> str:
        return f"lie-{self.lies}-{self.rng.random()}"
