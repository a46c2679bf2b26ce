"""Mail in a simulated swarm: people and agents that write, agents that read and answer, and claims on paths."""

import random
from typing import TYPE_CHECKING

from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import MessageAccepted, MessageNew, MessageRejected
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import SWARM, Clock, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm
    from tests.sim.worker import SimWorker

PERSON = "operator:ann@box"
#: Seconds for which a message is good that may not be read in time; others are for longer than any trouble lasts.
SHORT, LONG = 40.0, 90_000.0
PATHS = ("src", "src/*.py", "docs/**", "**/a.py", "tests/b.py")


class Correspondence:
    """Who writes what to whom, and what was read by whom. Its chance is its own."""

    def __init__(self, swarm: "Swarm", messages: int) -> None:
        self.swarm, self.rng = swarm, random.Random(f"mail of {swarm.seed}")
        self.clock = Clock(swarm.time)
        keys = self.keys = swarm.keys.of_swarm(PERSON)
        self.writer = Writer(SWARM, PERSON, "", new_id=swarm.new_id, clock=self.clock.wall, prove=keys.prove)
        self.bus = SimBus(swarm.broker, "sim-person")
        self.read: list[tuple[str, str]] = []
        """Agent and message, in order."""
        self.accepted: set[str] = set()
        self.rejected: set[str] = set()
        self.short: set[str] = set()
        self.short_ends: set[float] = set()
        """When those expire, by which a liar's copy under another id is known, whatever the clock of who took it."""
        self.left = messages
        self.waiting: dict[str, tuple[float, MessageNew]] = {}
        self.by_agents: set[str] = set()
        self._number = 0
        for kind in (Kind.MESSAGE_ACCEPTED, Kind.MESSAGE_REJECTED):
            self.bus.subscribe(topic(SWARM, kind))
        self.bus.start(self._hear, lambda link: None)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall(), self.keys.judge)
        body = event.body if isinstance(event, Event) else None
        if isinstance(body, MessageAccepted):
            self.accepted.add(body.message_id)
            self.waiting.pop(body.message_id, None)
        elif isinstance(body, MessageRejected):
            self.rejected.add(body.message_id)
            self.waiting.pop(body.message_id, None)

    def tick(self, *, troubled: bool) -> None:
        """Write something, or nothing; say again what nobody accepted; let the agents read."""
        now = self.clock.monotonic()
        if self.left and troubled and self.rng.random() < 0.2:
            self.left -= 1
            self._write()
        for message_id, (due, message) in list(self.waiting.items()):
            if due <= now:
                self.waiting[message_id] = (now + self.rng.uniform(1.0, 3.0), message)
                self.bus.publish(self.writer.message(Kind.MESSAGE_NEW, message))
        for worker in self.swarm.workers:
            if worker.alive and worker.goes_on_at is None and self.rng.random() < 0.3:
                self._at_work(worker)

    def _write(self) -> None:
        self._number += 1
        worker = self.rng.choice([None, *self.swarm.workers])
        if worker is not None and not worker.alive:
            worker = None
        to = self.rng.choice(["w0", "w1", "w2", "w2", "general", "all", PERSON])
        short = self.rng.random() < 0.25
        clock = self.clock if worker is None else worker.clock
        message_id = f"m{self._number}"
        message = MessageNew(
            message_id=message_id,
            to=to,
            text=f"number {self._number}",
            expects_answer=self.rng.random() < 0.3,
            expires_at=clock.wall() + (SHORT if short else LONG),
        )
        if short:
            self.short.add(message_id)
            self.short_ends.add(message.expires_at or 0.0)
        if worker is None:
            self.waiting[message_id] = (0.0, message)
        else:
            worker.shell.mail.send(message)
            self.by_agents.add(message_id)

    def _at_work(self, worker: "SimWorker") -> None:
        """A handler of the agent reads its mail, answers what asks for it, and claims or releases paths."""
        for message in worker.shell.mail.read("reader", []):
            self.read.append((worker.agent_id, message.message_id))
            if message.expects_answer:
                answer = f"a-{message.message_id}-{worker.agent_id}"
                to = MessageNew(message_id=answer, to=message.sender, text="yes", reply_to=message.message_id)
                worker.shell.mail.send(to)
                self.by_agents.add(answer)
        for attempt in worker.shell.attempts():
            if self.rng.random() < 0.3:
                paths = self.rng.sample(PATHS, self.rng.choice([1, 2]))
                worker.shell.mail.claim(attempt, self.swarm.new_id(), paths, lambda claimed: None)
            elif self.rng.random() < 0.1:
                worker.shell.mail.release(attempt, None)

    def is_over(self) -> bool:
        """Return whether all that was written has come where it goes, as far as it can."""
        boxes = self.swarm.dispatcher.engine.state.post.unread
        waits = any(worker.agent_id in boxes for worker in self.swarm.workers)
        owed = any(worker.shell.mail.wake() is not None for worker in self.swarm.workers)
        return not (self.waiting or waits or owed)
