"""The dispatcher's shell without threads: carries out what its leadership decides, and runs the engine over a bus."""

import math
import queue
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from swarm_tui.agent.roles.task_manager.dialect_bridge import DialectBridge
from swarm_tui.agent.roles.task_manager.engine import Clocks, Engine, Heard, Letter
from swarm_tui.agent.roles.task_manager.refusals import Refusals
from swarm_tui.agent.roles.task_manager.retained import Retained, may_retain
from swarm_tui.agent.roles.task_manager.task_queries import answers
from swarm_tui.bus.port import Bus, Link
from swarm_tui.client.dispatcher import session_patterns
from swarm_tui.config.model import RunSpec
from swarm_tui.domain.dispatch.freshness import REPLAYED
from swarm_tui.domain.dispatch.model import LinkDown, LinkUp, Revoked, Tick
from swarm_tui.domain.dispatch.task_rows import schedule_rows
from swarm_tui.domain.leadership import (
    Action,
    Complain,
    Echoes,
    Lead,
    Leadership,
    LeaveSession,
    LookAgain,
    Note,
    OpenSession,
    Pass,
    Phase,
    RepeatHalt,
    Say,
    StandDown,
    TakeBack,
    WriteEpoch,
)
from swarm_tui.identity.door import OVER, Door
from swarm_tui.identity.keyring import GUEST, Keyring, SwarmKeyring
from swarm_tui.protocol.bodies import Alert, Cleared, Query, Reply
from swarm_tui.protocol.client_ids import Client, client_id_of, dispatcher_client_id
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, topic

#: Messages that are taken in one turn.
BATCH = 512
#: Seconds between two looks at the time, and between two tries to write the journal.
LOOK, TRY_AGAIN = 1.0, 1.0
#: Why a command counts for nothing that would have counted before.
LATE = "a command that had expired: it came late, or a clock is off"
#: client id, clean session → a connection that is not started yet.
MakeBus = Callable[[str, bool], Bus]
Inbound = Event | Rejected | Link


class DispatcherShell:
    """A dispatcher between its first look and its farewell.

    Every method is called by one thread at a time. `leave` is called with why another leads,
    `complain` with why nothing is dispatched now (empty: it is again). What the journal raises comes through.
    """

    def __init__(
        self,
        spec: RunSpec,
        engine: Engine,
        leadership: Leadership,
        clocks: Clocks,
        make_bus: MakeBus,
        *,
        new_id: Callable[[], str],
        log: Callable[[str], None],
        leave: Callable[[str], None],
        complain: Callable[[str], None],
        inbound: "queue.SimpleQueue[Inbound]",
        put: Callable[[Inbound], None],
        keys: Keyring = GUEST,
        before_session: Callable[[], None] = lambda: None,
    ) -> None:
        """Make it; `put` is how what the bus hears gets into `inbound`, for it may have to wake somebody.

        `before_session` is called once nobody else leads, before the persistent session is opened.
        """
        self._before_session = before_session
        self.engine = engine
        self.leadership = leadership
        self.bus: Bus | None = None
        self._spec = spec
        self._clocks = clocks
        self._make_bus = make_bus
        self._bridge = DialectBridge(spec, new_id=new_id, clock=clocks.wall, prove=keys.prove)
        self.door = Door(spec.swarm, keys, clocks.monotonic)
        self._hosts = keys.hosts if isinstance(keys, SwarmKeyring) else dict
        self._told_hosts = self._hosts()
        self._guests = "anything" if keys is GUEST else spec.policy.guests
        self.refusals = Refusals(log, self._alert)
        self.retained = Retained(spec.swarm, engine)
        self._echoes = Echoes()
        self._assigned = topic(spec.swarm, Kind.TASK_ASSIGNED)
        self._log, self._leave, self._complain = log, leave, complain
        self._inbound = inbound
        self._put = put
        self._heard: list[Event | LinkUp | LinkDown] = []
        self._revoked: list[Revoked] = []
        self._next_tick = 0.0
        self._try_again = 0.0

    @property
    def leading(self) -> bool:
        """True while it gives tasks away, or would if it were not in doubt."""
        return self.leadership.phase is Phase.LEADING

    def begin(self) -> None:
        """Look who leads, over a connection of its own."""
        self._look()

    def take_over(self) -> None:
        """Lead though somebody elsewhere does, if nothing but that keeps us from it."""
        self._carry_out(self.leadership.take_over())

    def _look(self) -> None:
        self._listen(client_id_of(Client.ELECTION, self._spec.swarm, self._spec.agent_id), True, (Kind.DISPATCHER,))

    def work(self, *, last: bool = False) -> float | None:
        """Do one turn. Returns after how many seconds the next is due, None after the `last` and once another leads."""
        engine, now = self.engine, self._clocks.monotonic()
        if engine.troubled is not None and not self._is_written_again(now):
            return None if last else max(0.0, self._try_again - now)
        self._carry_out(self.leadership.tick(now))
        self._take_in(now, math.inf if last else BATCH)
        self._look_at_refusals(now)
        due = now >= self._next_tick or (engine.state.timers and engine.state.timers[0][0] <= now)
        ticks = [Tick()] if due and self.leading else []
        if ticks:
            self._next_tick = now + LOOK
            self._tell_new_hosts(now)
        if self.leadership.phase is not Phase.LOOKING:
            self._hear(*ticks)
        if self.leadership.settled:
            self._publish(self.retained.due(now))
        self._try_again = self._clocks.monotonic() + TRY_AGAIN
        if last or self.leadership.phase is Phase.OVER:
            return None
        if not self._inbound.empty():
            return 0.0
        return engine.wait(max(0.0, min(LOOK, self._next_tick - self._clocks.monotonic()))) if self.leading else LOOK

    def _is_written_again(self, now: float) -> bool:
        """Try to write the journal, when it is time to. No time passes for the leases until it is written.

        Nothing that would renew them can be heard meanwhile.
        """
        if now < self._try_again:
            return False
        self._publish(self.engine.flush())
        self._try_again = self._clocks.monotonic() + TRY_AGAIN
        if self.engine.troubled is not None:
            return False
        self._carry_out(self.leadership.written())
        return True

    def end(self) -> None:
        """Write what is decided, say farewell, and disconnect."""
        with suppress(sqlite3.Error):
            self._publish(self.engine.flush(now=True))
        if self.bus is None:
            return
        self._carry_out(self.leadership.leave(self.engine.state.open, kept=self.engine.troubled is None))
        self.bus.close(2.0)
        with suppress(sqlite3.Error):
            # What the broker has taken meanwhile need not be said by the next life.
            self.engine.flush(now=True)

    # What comes in.

    def _take_in(self, now: float, most: float) -> None:
        """Take what waits, at most so much; while the journal cannot be written, no more than was taken already."""
        leadership, taken = self.leadership, 0
        with suppress(queue.Empty):
            while taken < most and self.engine.troubled is None and leadership.phase is not Phase.OVER:
                item = self._inbound.get_nowait()
                taken += 1
                if isinstance(item, Link):
                    self._carry_out(leadership.on_link(up=item.up, renewed=item.kind == "", now=now))
                elif isinstance(item, Rejected) and item.unproved:
                    self._refused(item.topic, item.reason, now, item.who, item.hint)
                elif isinstance(item, Rejected) and item.late:
                    self._came_late(item, now)
                elif isinstance(item, Rejected):
                    self._unreadable(item, now)
                else:
                    if self.retained.topics.wrong:
                        self.retained.heard(item)
                    if leadership.settled and item.kind is not Kind.DISPATCHER:
                        self._heard.append(item)
                    else:
                        self._carry_out(leadership.hear(item, now))

    def _unreadable(self, item: Rejected, now: float) -> None:
        if not self._bridge.hears(item.topic):
            # Others count it.
            self._wrong(item.topic, now)
        elif (line := self._bridge.refused(item)) is not None:
            self._log(line)

    def _look_at_refusals(self, now: float) -> None:
        """Take over what the door did not let in, and say what is over."""
        if self.door.dropped:
            dropped, self.door.dropped = self.door.dropped, Counter()
            for why, times in dropped.items():
                self.refusals.add(why, now, times=times)
            for full in self.retained.take_overrun():
                self._wrong(full, now)
        self.refusals.tick(now)

    def _tell_new_hosts(self, now: float) -> None:
        """Say again what stands once there are other hosts: it was proved to those alone that were there.

        Of those whose keys count no more nothing is awaited.
        """
        hosts = self._hosts()
        if hosts == self._told_hosts:
            return
        former, self._told_hosts = self._told_hosts, hosts
        if revoked := frozenset(name for name in former if hosts.get(name) != former[name]):
            self._revoked.append(Revoked(revoked))
        self._carry_out(self.leadership.contested(now))
        self._publish(self.retained.stands())

    def _came_late(self, item: Rejected, now: float) -> None:
        """Tell whoever gave a command that it came after its time, and whose clock may be off."""
        if item.late in self.engine.state.acts:
            self.refusals.add(REPLAYED, now, place=item.topic, who=item.who)
            return
        self.refusals.add(LATE, now, place=item.topic, who=item.who)
        if self.leading:
            message = f"{item.topic.removeprefix(self._spec.swarm + '/')} was refused: {item.reason}; set the clock"
            self._alert(Alert(severity="warning", message=message, name=f"act:{item.late}"))

    def _alert(self, alert: Alert) -> None:
        if self.bus is not None:
            self.bus.publish(self.engine.writer.message(Kind.ALERT, alert))

    def _refused(self, full: str, why: str, now: float, who: str, hint: str = "") -> None:
        """Count what proves nothing, and mind what it would have replaced."""
        self.refusals.add(why, now, place=full, who=who, hint=hint)
        self._wrong(full, now)

    def _wrong(self, full: str, now: float) -> None:
        """Mind that a topic may retain what counts for nothing."""
        if self.retained.wrong(full, now) is Kind.DISPATCHER:
            self._carry_out(self.leadership.contested(now))

    def _listen(self, name: str, clean: bool, kinds: Iterable[Kind] = (), patterns: Iterable[str] = ()) -> None:
        """Connect, and listen to that and to what is said to ourselves."""
        if self.bus is not None:
            self.bus.close(0.5)
        bus = self.bus = self._make_bus(name, clean)
        if not clean:
            will = self.leadership.presence(online=False)
            bus.set_will(self.engine.writer.message(Kind.DISPATCHER, will))
        for pattern in (*(topic(self._spec.swarm, kind) for kind in kinds), *patterns):
            bus.subscribe(pattern, own=pattern != self._assigned)
        bus.subscribe(topic(self._spec.swarm, Kind.INBOX, self._spec.agent_id))
        bus.start(self._on_message, self._put)

    def _on_message(self, full: str, payload: bytes, retained: bool) -> None:
        if full == self._assigned and self._echoes.take(payload):
            return
        event: Event | Rejected | None
        if foreign := self._bridge.hears(full):
            event = self._bridge.decode(full, payload, retained, self._clocks.wall())
        else:
            event = self.door.read(full, payload, retained, self._clocks.wall())
        # Others count what cannot be read in the swarm itself; only we understand what foreign agents say.
        if isinstance(event, Event):
            self._put(event)
        elif event is OVER:
            self.retained.overrun(full)
        elif event is not None and (foreign or event.unproved or event.late or may_retain(full)):
            self._put(event)

    # What is done.

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Pass(item):
                    self._heard.append(item)
                case TakeBack():
                    heard, self._heard = self._heard, []
                    self.leadership.keep(heard)
                case Say():
                    self._say(action)
                case Note(line):
                    self._log(line)
                case Complain(sentence):
                    self._complain(sentence)
                case StandDown(reason):
                    self._publish(self.engine.pass_on(reason))
                    self._log(f"standing down: {reason}")
                    self._leave(reason)
                case RepeatHalt():
                    self._publish(self.engine.halt_again())
                case OpenSession():
                    self._open_session()
                case LeaveSession() | LookAgain():
                    if isinstance(action, LeaveSession) and self.leadership.newer is not None:
                        self._publish(self.engine.pass_on(self.leadership.newer.instance))
                    self._look()
                case WriteEpoch(epoch):
                    self._hear()
                    self._publish(self.engine.begin(epoch))
                    if self.engine.troubled is None:
                        self._carry_out(self.leadership.written())
                case Lead(epoch):
                    self._publish(self.engine.lead(epoch))
                    self.leadership.worked(self._clocks.monotonic())
                    self._log(f"leading, epoch {epoch}; {self.engine.state.open} tasks open")

    def _open_session(self) -> None:
        """Take up what the journal holds, and hear what the broker kept."""
        self._before_session()
        self.engine.restore()
        self._bridge.record(self.engine.state, self._clocks.monotonic())
        self._listen(dispatcher_client_id(self._spec.swarm), False, patterns=session_patterns(self._spec))
        self.leadership.worked(self._clocks.monotonic())

    def _hear(self, *ticks: Tick) -> None:
        """Let the engine hear what was passed, and say what follows."""
        heard: list[Heard] = [*self._heard, *self._revoked, *ticks]
        self._heard, self._revoked = [], []
        self._publish(self.engine.hear(heard))
        refused, self.engine.refused = self.engine.refused, []
        for one in refused:
            self._refused(one.topic, one.why, self._clocks.monotonic(), one.who)
        if self.leading:
            for event in heard:
                if isinstance(event, Event):
                    if isinstance(event.body, Cleared):
                        # It takes nothing back where words are proved.
                        self.retained.emptied(event, self._clocks.monotonic())
                    self._mirror(event)
                    self._answer(event)

    def _say(self, say: Say) -> None:
        writer = self.engine.writer
        message = writer.clear(say.kind) if say.body is None else writer.message(say.kind, say.body, say.key)
        if self.bus is not None:
            self.bus.publish(message)

    def _publish(self, letters: list[Letter]) -> None:
        """Hand what is said to the bus at once: woken for each message it would only get in our way."""
        ready: list[Letter] = []
        for message, on_ack in letters:
            if message.topic == self._assigned:
                self._echoes.add(message)
            translated = self._bridge.outgoing(message)
            if translated is not None:
                ready.append((translated, on_ack))
            elif on_ack is not None:
                on_ack()
        if ready and self.bus is not None:
            self.bus.publish_all(ready)

    def _mirror(self, event: Event) -> None:
        """Say again in the swarm what a foreign agent said."""
        if self._bridge.hears(event.topic) and self.bus is not None:
            message = self._bridge.mirror(event, self.engine.state)
            if message is not None:
                self.bus.publish(message)

    def _answer(self, event: Event) -> None:
        """Answer an operator's query."""
        if not isinstance(event.body, Query) or self.bus is None:
            return
        if event.body.query == "who":
            # What a broker should keep for whoever comes is said again.
            now = self._clocks.monotonic()
            self._carry_out(self.leadership.contested(now))
            self.retained.asked(now)
            return
        if event.body.query in ("guard", "schedules"):
            state = self.engine.state
            guard = [self.refusals.row(self._guests, state.halt_id, state.halted)]
            rows = guard if event.body.query == "guard" else [msgspec.to_builtins(row) for row in schedule_rows(state)]
            reply = Reply(query=event.body.query, rows=rows, request=event.id, source=self._spec.agent_id)
            self.bus.publish(self.engine.writer.message(Kind.REPLY, reply, event.key))
            return
        try:
            self._publish(self.engine.flush(now=True))
            engine, me = self.engine, self._spec.agent_id
            for reply in answers(event, event.body, engine.journal, me, engine.state, engine.moment()):
                self.bus.publish(self.engine.writer.message(Kind.REPLY, reply, event.key))
        except sqlite3.Error as error:
            self._log(f"a query could not be answered: {error}")
