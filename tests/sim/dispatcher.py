"""One simulated dispatcher: the shell, the leadership and the engine of the real one, over the journal that outlives it
and buses in memory; only time, chance and trouble are the simulation's."""

from queue import SimpleQueue
from typing import TYPE_CHECKING

from swarm_tui.agent.roles.task_manager.engine import Clocks, Engine
from swarm_tui.agent.roles.task_manager.shell import DispatcherShell, Inbound
from swarm_tui.bus.memory import Faults
from swarm_tui.bus.port import OnAck
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.domain.leadership import Leadership, Phase
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import SWARM, Clock, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm


class Died(Exception):
    """The dispatcher's process ends here."""


def copy_of(journal: Journal) -> Journal:
    """The journal as it is, moved to another machine."""
    made = Journal(None)
    journal._db.backup(made._db)
    made._look()
    return made


class DispatcherBus(SimBus):
    """A connection of a dispatcher, whose process may die before it says a word."""

    def __init__(self, party: "SimDispatcher", client_id: str, *, clean: bool) -> None:
        super().__init__(party.swarm.broker, client_id, clean=clean)
        self.party = party
        self.to_itself = topic(SWARM, Kind.INBOX, party.name)

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        if self.party.dies_at == "before publish":
            raise Died
        self.party.mind_fence(message)
        super().publish(message, on_ack)

    def restore(self) -> bool:
        return not self.party.cut_off_until and super().restore()

    def _send(self, message: Outgoing, on_ack: OnAck | None) -> None:
        super()._send(message, on_ack)
        if message.topic == self.to_itself:
            # What it proves rests on the order that a broker keeps on one connection: it overtakes nothing.
            travelling = self.broker._travelling
            for packet in [packet for packet in travelling if packet.payload == message.payload]:
                travelling.remove(packet)
                travelling.append(packet)


class SimDispatcher:
    """A host's dispatcher. `alive` is off between its end and its next life, and when it left the lead for good."""

    def __init__(self, swarm: "Swarm", name: str, journal: Journal) -> None:
        self.swarm, self.name, self.journal = swarm, name, journal
        self.clock = Clock(swarm.time)
        self.alive = False
        self.dies_at: str | None = None
        self.fences: dict[str, tuple[int, int]] = {}
        self.made: list[SimBus] = []
        self.begin()

    def begin(self) -> None:
        swarm = self.swarm
        self.alive = True
        self.cut_off_until = 0.0
        self.goes_on_at: float | None = None
        inbound: SimpleQueue[Inbound] = SimpleQueue()
        clocks = Clocks(self.clock.monotonic, self.clock.wall, swarm.rng.random)
        spec = RunSpec(
            agent_id=self.name, role="task-manager", swarm=SWARM, broker=Broker(), host=self.name, workdir=".",
            state_dir=".",
        )  # fmt: skip
        keys = self.keys = swarm.keys.of_swarm("swarm")
        writer = Writer(SWARM, self.name, "task-manager", new_id=swarm.new_id, clock=self.clock.wall, prove=keys.prove)
        self.engine = Engine(swarm.settings, self.journal, writer, clocks, log=lambda line: None)
        leadership = Leadership(
            f"{self.name}/{swarm.new_id()}", self.name, written=int(self.journal.meta("epoch") or 0), take_over=True,
            new_marker=swarm.new_id, now=self.clock.monotonic(),
        )  # fmt: skip
        self.shell = DispatcherShell(
            spec, self.engine, leadership, clocks, self._make_bus, new_id=swarm.new_id, log=lambda line: None,
            leave=lambda reason: None, complain=lambda sentence: None, inbound=inbound, put=inbound.put,
            keys=keys,
        )  # fmt: skip
        self._look()
        # Its agent's own connection: a rival has the other one when it says that it leads.
        self.listener = SimBus(swarm.broker, f"sim-{self.name}")
        self.made.append(self.listener)
        self.listener.subscribe(topic(SWARM, Kind.DISPATCHER))

        def hear_rival(full: str, raw: bytes, retained: bool) -> None:
            event = decode(SWARM, full, raw, retained, self.clock.wall(), keys.judge)
            if isinstance(event, Event):
                inbound.put(event)

        self.listener.start(hear_rival, lambda link: None)

    def _look(self) -> None:
        """Look who leads: it takes milliseconds, and nothing happens meanwhile."""
        broker = self.swarm.broker
        faults, broker.faults = broker.faults, Faults()
        self.shell.begin()
        look = self.bus
        self.shell.work()
        for packet in [packet for packet in broker._travelling if packet.session is look._session]:
            broker._travelling.remove(packet)
            broker._deliver(packet)
        self.shell.work()
        assert self.shell.leadership.phase is Phase.ADOPTING
        broker.faults = faults

    def _make_bus(self, client_id: str, clean: bool) -> SimBus:
        self.bus = DispatcherBus(self, client_id, clean=clean)
        self.made.append(self.bus)
        return self.bus

    @property
    def leading(self) -> bool:
        return self.alive and self.shell.leading

    def mind_fence(self, message: Outgoing) -> None:
        """No fence of a task ever shrinks, whoever offers it."""
        if not message.topic.endswith("/inbox"):
            return
        event = decode(SWARM, message.topic, message.payload, False, self.clock.wall())
        if isinstance(event, Event) and isinstance(event.body, b.Inbox) and event.body.task is not None:
            task_id, fence = event.body.task.task_id, (event.body.attempt or 0, event.body.epoch or 0)
            assert fence >= self.fences.get(task_id, (0, 0)), f"the fence of {task_id} shrinks to {fence}"
            self.fences[task_id] = fence

    def tick(self) -> None:
        if not self.alive or self._stands_still():
            return
        if self.bus.evicted and self.swarm.rng.random() < 0.3:
            self.bus.restore()
        try:
            if self.shell.work() is None:
                self.leave()
        except Died:
            self.kill()

    def _stands_still(self) -> bool:
        now = self.clock.monotonic()
        if self.cut_off_until and self.cut_off_until <= now:
            self.cut_off_until = 0.0
            self.restore()
        if self.goes_on_at is None:
            return False
        if now < self.goes_on_at:
            self.bus.look(now)
            self.listener.look(now)
            return True
        self.goes_on_at = None
        for bus in self.swarm.rng.sample([self.bus, self.listener], 2):
            bus.go_on()
        self.restore()
        return False

    def restore(self) -> None:
        """The network is there again."""
        if self.alive and not self.cut_off_until:
            for bus in self.swarm.rng.sample([self.bus, self.listener], 2):
                bus.restore()

    def cut_off(self, seconds: float) -> None:
        """No network for so long."""
        self.cut_off_until = self.clock.monotonic() + seconds
        self.bus.drop()
        self.listener.drop()

    def stop(self, seconds: float) -> None:
        """SIGSTOP for so long."""
        self.goes_on_at = self.clock.monotonic() + seconds
        self.bus.stop(self.clock.monotonic())
        self.listener.stop(self.clock.monotonic())

    def leave(self) -> None:
        """SIGTERM, or another leads: what is decided is written and said, and the topic tells if anything is open."""
        try:
            self.shell.end()
        except Died:
            self.kill()
            return
        self._close()

    def kill(self) -> None:
        """SIGKILL: what was not committed is gone, what was not said is unsaid."""
        self.bus.drop("killed")
        self._close()

    def _close(self) -> None:
        self.alive, self.dies_at = False, None
        self.bus.close()
        self.listener.close()
