"""One simulated dispatcher: the engine over the journal that outlives it, and the swarm's only persistent session."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm_tui.agent.roles.task_manager.engine import Engine
from swarm_tui.bus.port import Link
from swarm_tui.domain.dispatch.core import OWN_SLEEP
from swarm_tui.domain.dispatch.leadership import Leadership
from swarm_tui.domain.dispatch.model import LinkDown, LinkUp, Tick
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.names import dispatcher_client_id
from swarm_tui.protocol.topics import Kind, topic
from tests.sim.parts import SETTINGS, SWARM, Clock, SimBus

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm

HEARD = (
    Kind.TASK_NEW, Kind.TASK_ASSIGNED, Kind.TASK_STARTED, Kind.TASK_DECLINED, Kind.TASK_PROGRESS, Kind.TASK_COMPLETE,
    Kind.TASK_FAILED, Kind.TASK_CANCEL, Kind.TASK_REDRIVE, Kind.TASK_APPROVE, Kind.TASK_DENY, Kind.HEARTBEAT,
    Kind.SHUTDOWN, Kind.HALT, Kind.DISPATCHER,
)  # fmt: skip


class Died(Exception):
    """The dispatcher's process ends here."""


def copy_of(journal: Journal) -> Journal:
    """The journal as it is, moved to another machine."""
    made = Journal(None)
    journal._db.backup(made._db)
    made._look()
    return made


class SimDispatcher:
    """A host's dispatcher. `alive` is off between its end and its next life; `gone` when it left the lead for good."""

    def __init__(self, swarm: "Swarm", name: str, journal: Journal) -> None:
        self.swarm, self.name, self.journal = swarm, name, journal
        self.clock = Clock(swarm.time)
        self.alive = self.gone = False
        self.dies_at: str | None = None
        self.fences: dict[str, tuple[int, int]] = {}
        self.begin()

    def begin(self) -> None:
        swarm = self.swarm
        self.alive, self.leading, self.marked, self.marker = True, False, False, ""
        self.cut_off_until = 0.0
        self.goes_on_at: float | None = None
        self.stopped_at = 0.0
        self.heard: list[Event | LinkUp | LinkDown] = []
        self.instance = f"{self.name}/{swarm.new_id()}"
        self.writer = Writer(SWARM, self.name, "task-manager", new_id=swarm.new_id, clock=self.clock.wall)
        self.engine = Engine(
            SETTINGS, self.journal, self.writer, self.publish,
            log=lambda line: None, monotonic=self.clock.monotonic, wall=self.clock.wall, chance=swarm.rng.random,
        )  # fmt: skip
        self.engine.restore()
        self.epoch = max(int(self.journal.meta("epoch") or 0), swarm.retained_epoch()) + 1
        self.leadership = Leadership(self.instance, self.epoch)
        self.bus = SimBus(swarm.broker, dispatcher_client_id(SWARM), clean=False)
        self.bus.set_will(self.presence(online=False))
        for kind in HEARD:
            self.bus.subscribe(topic(SWARM, kind))
        self.bus.subscribe(topic(SWARM, Kind.STATUS, "+"))
        self.bus.subscribe(topic(SWARM, Kind.INBOX, self.name))
        # Its agent's own connection: a rival has the other one when it says that it leads.
        self.ear = SimBus(swarm.broker, f"sim-{self.name}")
        self.ear.subscribe(topic(SWARM, Kind.DISPATCHER))
        self.ear.start(self._hear_rival, lambda link: None)
        self.bus.start(self._hear, self._link)

    def presence(self, *, online: bool) -> Outgoing:
        body = b.Dispatcher(instance=self.instance, epoch=self.epoch, online=online, agent_id=self.name)
        return self.writer.message(Kind.DISPATCHER, body)

    def publish(self, message: Outgoing, on_ack: Callable[[], None] | None) -> None:
        if self.dies_at == "before publish":
            raise Died
        self._fence(message)
        self.bus.publish(message, on_ack)

    def _fence(self, message: Outgoing) -> None:
        if not message.topic.endswith("/inbox"):
            return
        event = decode(SWARM, message.topic, message.payload, False, self.clock.wall())
        if isinstance(event, Event) and isinstance(event.body, b.Inbox) and event.body.task is not None:
            task_id, fence = event.body.task.task_id, (event.body.attempt or 0, event.body.epoch or 0)
            assert fence >= self.fences.get(task_id, (0, 0)), f"the fence of {task_id} shrinks to {fence}"
            self.fences[task_id] = fence

    def _link(self, link: Link) -> None:
        self.heard.append(LinkUp() if link.up else LinkDown())
        if link.up:
            self._mark()

    def _mark(self) -> None:
        self.marker, self.marked = self.swarm.new_id(), False
        ping = self.writer.message(Kind.INBOX, b.Inbox(command="ping", reason=self.marker), self.name)
        self.bus.publish(ping)
        # What it proves rests on the order that a broker keeps on one connection: it overtakes nothing.
        travelling = self.swarm.broker._travelling
        for packet in [packet for packet in travelling if packet.payload == ping.payload]:
            travelling.remove(packet)
            travelling.append(packet)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall())
        if isinstance(event, Event):
            self.heard.append(event)

    def _hear_rival(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clock.wall())
        if isinstance(event, Event):
            self.heard.append(event)

    def tick(self) -> None:
        if not self.alive or self._stands_still():
            return
        if self.bus.evicted and self.swarm.rng.random() < 0.3:
            self.bus.restore()
        batch, self.heard = self.heard, []
        try:
            self.engine.hear([*self._sift(batch), Tick()])
            if self.gone:
                self._stand_down()
            elif self.marked and not self.leading:
                self.leading = True
                self.engine.begin(self.epoch)
                self.engine.halt_again()
                self.bus.publish(self.presence(online=True))
                self.engine.lead(self.epoch)
        except Died:
            self.kill()

    def _sift(self, batch: list[Event | LinkUp | LinkDown]) -> list[Event | LinkUp | LinkDown]:
        """As the role does it: nothing is acted on while another may lead, nor once another does."""
        sifted: list[Event | LinkUp | LinkDown] = []
        for item in batch:
            if isinstance(item, Event):
                body = item.body
                self.marked = self.marked or (isinstance(body, b.Inbox) and body.reason == self.marker)
                doubted = self.leadership.doubts
                sifted += self.leadership.sift(item, marked=self.marked) if self.leading else [item]
                if doubted and not self.leadership.doubts:
                    self.bus.publish(self.presence(online=True))
                if self.leadership.over:
                    self.gone = True
                    break
            elif self.leading and isinstance(item, LinkUp):
                self.leadership.doubt(LinkUp())
            else:
                sifted.append(item)
        return sifted

    def _stands_still(self) -> bool:
        now = self.clock.monotonic()
        if self.cut_off_until and self.cut_off_until <= now:
            self.cut_off_until = 0.0
            self.restore()
        if self.goes_on_at is None:
            return False
        if now < self.goes_on_at:
            self.bus.look(now)
            self.ear.look(now)
            return True
        if self.leading and now - self.stopped_at > OWN_SLEEP:
            self._mark()
            self.leadership.doubt()
        self.goes_on_at = None
        for bus in self.swarm.rng.sample([self.bus, self.ear], 2):
            bus.go_on()
        self.restore()
        return False

    def restore(self) -> None:
        """The network is there again."""
        if self.alive and not self.cut_off_until:
            for bus in self.swarm.rng.sample([self.bus, self.ear], 2):
                bus.restore()

    def cut_off(self, seconds: float) -> None:
        """No network for so long."""
        self.cut_off_until = self.clock.monotonic() + seconds
        self.bus.drop()
        self.ear.drop()

    def stop(self, seconds: float) -> None:
        """SIGSTOP for so long."""
        self.stopped_at = self.clock.monotonic()
        self.goes_on_at = self.stopped_at + seconds
        self.bus.stop(self.clock.monotonic())
        self.ear.stop(self.clock.monotonic())

    def leave(self) -> None:
        """SIGTERM: what is decided is written and said, and the topic tells whether anything is open."""
        try:
            self.engine.flush(now=True)
        except Died:
            self.kill()
            return
        if self.leadership.doubts:
            pass
        elif self.leading and self.engine.open_count() == 0:
            self.bus.publish(self.writer.clear(Kind.DISPATCHER))
        elif self.leading:
            self.bus.publish(self.presence(online=False))
        self._close()

    def _stand_down(self) -> None:
        self.leading = False
        self.leave()

    def kill(self) -> None:
        """SIGKILL: what was not committed is gone, what was not said is unsaid."""
        self.bus.drop("killed")
        self._close()

    def _close(self) -> None:
        self.alive, self.dies_at = False, None
        self.bus.close()
        self.ear.close()
