"""The task-manager role: a thread that leads the swarm's tasks over a connection and a journal of its own."""

import math
import queue
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from swarm_tui.agent.roles.port import RoleLink
from swarm_tui.agent.roles.task_manager.dialect_bridge import DialectBridge
from swarm_tui.agent.roles.task_manager.engine import Engine, Heard
from swarm_tui.agent.roles.task_manager.layout_policy import settings_of
from swarm_tui.agent.roles.task_manager.subscription import Subscription
from swarm_tui.agent.roles.task_manager.task_queries import answers
from swarm_tui.agent.roles.task_manager.turn_scheduler import TurnScheduler
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Bus, Link, OnAck
from swarm_tui.client.dispatcher import session_patterns
from swarm_tui.client.ids import new_id
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.dispatch.core import OWN_SLEEP
from swarm_tui.domain.dispatch.leadership import Leadership
from swarm_tui.domain.dispatch.model import LinkDown, LinkUp, Tick
from swarm_tui.journal.db import JournalInUseError
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Dispatcher, Query
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.names import client_id, dispatcher_client_id
from swarm_tui.protocol.topics import Kind, topic

BATCH = 512
#: Seconds between two looks whether the journal is free.
STAND_BY = 1.0
#: Seconds after which a word to ourselves that does not come is said again.
MARK_AGAIN = 5.0
MakeBus = Callable[[str, bool], Bus]


class TaskManager:
    """The role's service. `make_bus(client id, clean)` makes a connection; by default a real one."""

    def __init__(self, spec: RunSpec, link: RoleLink, make_bus: MakeBus | None = None) -> None:
        self.spec = spec
        self.link = link
        self.instance = f"{spec.host}/{uuid.uuid4().hex[:12]}"
        self.leading = False
        self.complaint = ""
        self._make_bus = make_bus or (lambda name, clean: MqttBus(spec.broker, name, clean=clean))
        self._queue: queue.SimpleQueue[Heard | Link | Rejected | None] = queue.SimpleQueue()
        self._writer = Writer(spec.swarm, spec.agent_id, spec.role, new_id=new_id, clock=time.time)
        self._foreign = DialectBridge(spec, new_id=new_id, clock=time.time)
        self._subscription = Subscription(spec, self._writer, self._foreign, self._put)
        self._stopping = threading.Event()
        self._bus: Bus | None = None
        self._leadership = Leadership(self.instance, 0)
        self._turn_scheduler: TurnScheduler | None = None
        self._next_tick = 0.0
        self._awake = 0.0
        self._mark_due = 0.0
        self._try_again = 0.0
        self._letters: list[tuple[Outgoing, OnAck | None]] | None = None
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    @property
    def epoch(self) -> int:
        """0 until it is its turn."""
        return self._leadership.epoch

    # RoleService

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread.start()

    def on_event(self, event: Event | Rejected) -> None:
        """Who leads: a rival takes our own connection's client id, so that only the agent's hears of it."""
        if isinstance(event, Event) and event.kind is Kind.DISPATCHER:
            self._put(event)

    def on_link(self, link: Link) -> None:
        """The agent's own connection; see on_event."""

    def tick(self, now: float) -> None:
        """The dispatcher's thread keeps its own time."""

    def close(self) -> None:
        """Stop leading; the retained `dispatcher` says whether anything is open."""
        self._stopping.set()
        self._put(None)
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _put(self, item: Heard | Link | Rejected | None) -> None:
        self._queue.put(item)
        if self._turn_scheduler is not None:
            self._turn_scheduler.nudge(surely=isinstance(item, Link))

    # The dispatcher's thread, and while it leads its bus's.

    def _run(self) -> None:
        try:
            journal = self._open_journal()
            if journal is None:
                return
            engine = self._make_engine(journal)
            try:
                if self._wait_for_turn(engine) and self._open_session(engine):
                    self._serve(engine)
            finally:
                self._end(engine)
        except Exception as error:  # noqa: BLE001 - a dispatcher that cannot go on must end, not hang
            self.link.log(f"the dispatcher failed: {type(error).__name__}: {error}")
            self.link.leave(f"the dispatcher failed: {error}")

    def _open_journal(self) -> Journal | None:
        """The journal, as soon as no other process has it and it is this host's; None when told to stop meanwhile."""
        path = StateDir(Path(self.spec.state_dir)).dispatch
        said = ""
        while True:
            try:
                journal = Journal(path)
                reason = journal.bind(self.spec.broker.url, self.spec.host, take_over=self.link.take_over)
                self.complaint = f"it does not dispatch: {reason}" if reason else ""
                if reason is None:
                    return journal
                journal.close()
            except JournalInUseError as error:
                reason, self.complaint = str(error), ""  # Another one here leads: standing by is its part.
            except sqlite3.Error as error:
                reason = str(error)
                self.complaint = f"it does not dispatch: {reason}"
            if reason != said:
                said = reason
                self.link.log(f"standing by: {reason}")
            with suppress(queue.Empty):
                if self._queue.get(timeout=STAND_BY) is None:
                    return None

    def _make_engine(self, journal: Journal) -> Engine:
        return Engine(
            settings_of(self.spec),
            journal,
            self._writer,
            self._publish,
            log=self.link.log,
            monotonic=time.monotonic,
            wall=time.time,
            chance=random.random,
        )

    def _publish(self, message: Outgoing, on_ack: OnAck | None) -> None:
        if self._bus is None:
            return
        self._subscription.said(message)
        translated = self._foreign.outgoing(message)
        if translated is not None and self._letters is not None:
            self._letters.append((translated, on_ack))
        elif translated is not None:
            self._bus.publish(translated, on_ack)
        elif on_ack is not None:
            on_ack()

    def _wait_for_turn(self, engine: Engine) -> bool:
        """Look who leads, over another connection, and wait while it is somebody elsewhere. False: told to stop."""
        look = self._make_bus(client_id(self.spec.swarm, f"{self.spec.agent_id}.look"), True)
        try:
            self._subscription.open(look, [topic(self.spec.swarm, Kind.DISPATCHER)])
            said = False
            while True:
                item = self._queue.get()
                if item is None:
                    return False
                self._subscription.note(item, look)
                if not self._subscription.marked:
                    continue
                leader = self._subscription.retained
                elsewhere = leader is not None and leader.instance.split("/")[0] != self.spec.host
                if not elsewhere or self.link.take_over:
                    break
                if not said and leader is not None:
                    said = True
                    self.link.log(f"standing by: {leader.instance} leads; --take-over would end that")
        finally:
            look.close(0.5)
        epoch = max(int(engine.journal.meta("epoch") or 0), self._subscription.highest) + 1
        self._leadership = Leadership(self.instance, epoch)
        return True

    def _open_session(self, engine: Engine) -> bool:
        """Take in what the journal and the broker kept, then lead. False when told to stop meanwhile."""
        engine.restore()
        bus = self._bus = self._make_bus(dispatcher_client_id(self.spec.swarm), False)
        bus.set_will(self._presence(online=False))
        self._foreign.record(engine.state, time.monotonic())
        self._subscription.open(bus, session_patterns(self.spec))
        while not self._subscription.marked:
            batch = [self._queue.get(), *self._batch(engine, BATCH)]
            if None in batch:
                return False
            for item in batch:
                self._subscription.note(item, bus)
            engine.hear([item for item in batch if isinstance(item, Event)])
        engine.begin(self.epoch)
        while engine.troubled is not None:
            # Nobody hears of an epoch that is not written, for the next one to begin would use it again.
            if self._stopping.wait(STAND_BY):
                return False
            engine.flush()
        engine.halt_again()
        bus.publish(self._presence(online=True))
        self.leading = True
        engine.lead(self.epoch)
        self.link.log(f"leading, epoch {self.epoch}; {engine.open_count()} tasks open")
        return True

    def _presence(self, *, online: bool, open_tasks: int | None = None) -> Outgoing:
        body = Dispatcher(
            instance=self.instance, epoch=self.epoch, online=online, agent_id=self.spec.agent_id, open=open_tasks
        )
        return self._writer.message(Kind.DISPATCHER, body)

    def _serve(self, engine: Engine) -> None:
        assert self._bus is not None
        self._awake = time.monotonic()
        self._turn_scheduler = TurnScheduler(self._bus, lambda: self._work(engine))
        self._turn_scheduler.run()

    def _work(self, engine: Engine) -> float | None:
        """One turn; after how many seconds the next one is due, None after the last."""
        now = time.monotonic()
        last = self._stopping.is_set()
        if engine.troubled is not None and now < self._try_again:
            return None if last else self._try_again - now
        if engine.troubled is not None:
            # No time passes for the leases while nothing that would renew them can be heard.
            engine.flush()
            self._try_again = time.monotonic() + 1.0
            if engine.troubled is not None:
                return None if last else 1.0
        self._mind_sleep(now)
        batch = self._batch(engine, math.inf if last else BATCH)
        heard = self._sift(batch)
        if now >= self._next_tick or (engine.state.timers and engine.state.timers[0][0] <= now):
            heard.append(Tick())
            self._next_tick = now + 1.0
        self._hear(engine, heard)
        self._mirror(engine, heard)
        self._answer(engine, heard)
        self._try_again = time.monotonic() + 1.0
        if last or not self.leading:
            return None
        return engine.wait(max(0.0, min(1.0, self._next_tick - time.monotonic()))) if self._queue.empty() else 0.0

    def _hear(self, engine: Engine, heard: list[Heard]) -> None:
        """Decide, and hand what is said to the bus at once: woken for each message it would only get in our way."""
        letters: list[tuple[Outgoing, OnAck | None]] = []
        self._letters = letters
        try:
            engine.hear(heard)
        finally:
            self._letters = None
            if letters and self._bus is not None:
                self._bus.publish_all(letters)

    def _batch(self, engine: Engine, most: float) -> list[Heard | Link | Rejected]:
        """All that waits, at most so many; while the journal cannot be written, nothing but the passing of time."""
        batch: list[Heard | Link | Rejected] = []
        with suppress(queue.Empty):
            while engine.troubled is None and len(batch) < most:
                if (item := self._queue.get_nowait()) is not None:
                    batch.append(item)
        return batch

    def _sift(self, batch: list[Heard | Link | Rejected]) -> list[Heard]:
        """What of the batch the engine is to hear: nothing while another may lead, nothing more once another does."""
        heard: list[Heard] = []
        for item in batch:
            if isinstance(item, Link):
                heard += self._linked(item)
            elif isinstance(item, Rejected):
                if (line := self._foreign.refused(item)) is not None:
                    self.link.log(line)
            elif not isinstance(item, Event) or (not self._leadership.doubts and item.kind is not Kind.DISPATCHER):
                heard.append(item)
            else:
                heard += self._doubted(item)
                if not self.leading:
                    break
        return heard

    def _mind_sleep(self, now: float) -> None:
        """What waited for us while our process stood still may have been another's to take since."""
        slept, self._awake = now - self._awake > OWN_SLEEP, now
        if slept:
            self._doubt(now)
        elif self._leadership.doubts and now >= self._mark_due and self._bus is not None:
            self._mark_due = now + MARK_AGAIN
            self._subscription.mark_again(self._bus)

    def _doubt(self, now: float, *first: LinkUp) -> None:
        """Another may lead: what is retained, and what was to be heard before it, comes before our own word does."""
        assert self._bus is not None
        self._mark_due = now + MARK_AGAIN
        self._subscription.mark(self._bus)
        self._leadership.doubt(*first)

    def _linked(self, link: Link) -> list[Heard]:
        if not link.up:
            return [LinkDown()]
        if self._bus is None or link.kind != "":
            return [LinkUp()]
        self._doubt(time.monotonic(), LinkUp())
        return []

    def _doubted(self, event: Event) -> list[Heard]:
        """Who leads is told, or in doubt."""
        assert self._bus is not None
        doubted, waited_for = self._leadership.doubts, self._leadership.newer
        self._subscription.note(event, self._bus)
        heard = self._leadership.sift(event, marked=self._subscription.marked)
        newer = self._leadership.newer
        if self._leadership.over:
            self.leading = False
            self.link.log(f"standing down: {self._leadership.over}")
            self.link.leave(self._leadership.over)
        elif doubted and not self._leadership.doubts:
            if lost := self._leadership.unkept:
                self.link.log(f"{lost:,} messages could not be kept while it was not known who leads")
            self.complaint = ""
            self._bus.publish(self._presence(online=True))
        elif newer is not None and waited_for is None:
            self.complaint = f"it does not dispatch: {newer.instance} led after it, with epoch {newer.epoch}"
            self.link.log(f"standing by: {newer.instance} led meanwhile, with epoch {newer.epoch}, and may come back")
        return list(heard)

    def _mirror(self, engine: Engine, heard: list[Heard]) -> None:
        for event in heard:
            if isinstance(event, Event) and self._foreign.hears(event.topic) and self._bus is not None:
                message = self._foreign.mirror(event, engine.state)
                if message is not None:
                    self._bus.publish(message)

    def _answer(self, engine: Engine, heard: list[Heard]) -> None:
        for event in heard:
            if isinstance(event, Event) and isinstance(event.body, Query) and self._bus is not None:
                try:
                    engine.flush(now=True)
                    for reply in answers(event, event.body, engine.journal, self.spec.agent_id):
                        self._bus.publish(self._writer.message(Kind.REPLY, reply, event.key))
                except sqlite3.Error as error:
                    self.link.log(f"a query could not be answered: {error}")

    def _end(self, engine: Engine) -> None:
        bus = self._bus
        with suppress(sqlite3.Error):
            engine.flush(now=True)
        if bus is not None:
            if self.leading and not self._leadership.doubts:
                self._farewell(engine, bus)
            bus.close(2.0)
            with suppress(sqlite3.Error):
                engine.flush(now=True)
        engine.journal.close()

    def _farewell(self, engine: Engine, bus: Bus) -> None:
        """What the topic retains of us from now on."""
        if engine.troubled is None and engine.open_count() == 0:
            bus.publish(self._writer.clear(Kind.DISPATCHER))
        else:
            bus.publish(self._presence(online=False, open_tasks=engine.open_count()))
