"""The monitoring role: it records what is said, tells what was, and warns of what goes wrong."""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

from swarm_tui.agent.roles.monitoring.history import answer, args_of
from swarm_tui.agent.roles.monitoring.keyframes import QUERIES, Keyframes, time_reply
from swarm_tui.agent.roles.port import RoleLink
from swarm_tui.bus.port import Bus, Link
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.alerts import Alarm, Limits, Past, findings
from swarm_tui.domain.fleet import Fleet
from swarm_tui.identity.open import open_watcher
from swarm_tui.journal.db import JournalError
from swarm_tui.journal.recorder_port import Recorder, recorded_of
from swarm_tui.protocol.bodies import Alert, Query, Reply
from swarm_tui.protocol.client_ids import Client, client_id_of
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.proof import SWARM
from swarm_tui.protocol.rows import task_rows
from swarm_tui.protocol.topics import Kind, everything

MAX_WAITING = 100_000
#: Tasks of before its start that it asks the dispatcher for.
KNOWN_TASKS = 2_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
_Item = tuple[str, bytes, bool, float]
#: The watcher of this process, for the handler of `monitoring.alerts`.
_current: "Monitoring | None" = None


def standing_alerts() -> list[Alert] | None:
    """Return the alerts that stand, as this agent's own watch knows them; None when this agent does not watch."""
    return None if _current is None else _current.alerts()


class Monitoring:
    """Listens on a connection of its own to the whole swarm; one thread of its own does all the work.

    `make_bus(client_id)` and `recorder` replace the real ones in tests.
    """

    def __init__(
        self,
        spec: RunSpec,
        link: RoleLink,
        *,
        make_bus: Callable[[str], Bus] | None = None,
        recorder: Recorder | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._spec = spec
        self._link = link
        self._make_bus = make_bus or self._real_bus
        self._bus: Bus | None = None
        self._recorder = recorder
        self._own_recorder = recorder is None
        self._lock: IO[str] | None = None
        self._keys = open_watcher(spec.state_dir, spec.agent_id, guests=spec.policy.guests, own=frozenset(spec.own))
        self._fleet = Fleet(spec.swarm)
        self._past = Past(limits or Limits())
        self._alarm = Alarm()
        self._keyframes = Keyframes()
        self._alerts: list[Alert] = []
        self._items: deque[_Item | Link | float] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._waiting_bytes = 0
        self._skipped = 0
        self.complaint = ""
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def alerts(self) -> list[Alert]:
        """Return the alerts that stand; thread-safe."""
        return list(self._alerts)

    def start(self) -> None:
        """Begin to listen. Raises BusError for a broker's address that cannot be used."""
        global _current
        self._try_recorder()
        bus = self._make_bus(client_id_of(Client.MONITOR, self._spec.swarm, self._spec.agent_id))
        bus.subscribe(everything(self._spec.swarm), 1)
        self._bus = bus
        self._thread.start()
        bus.start(self._heard, self._put)
        _current = self

    def on_event(self, event: Event | Rejected) -> None:
        """Do nothing: the connection of our own hears this too, with the bytes that are to be recorded."""

    def on_link(self, link: Link) -> None:
        """Do nothing: our own connection counts."""

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._put(now)

    def close(self) -> None:
        """Take the warnings back, since nobody will, and keep what is not yet on disk."""
        global _current
        if _current is self:
            _current = None
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(5.0)
        if self._bus is not None:
            self._bus.close(0.5)
        if self._recorder is not None and self._own_recorder:
            self._recorder.close()
        if self._lock is not None:
            self._lock.close()

    def _real_bus(self, name: str) -> Bus:
        from swarm_tui.bus.mqtt import MqttBus
        from swarm_tui.identity.account import broker_of_agent

        spec = self._spec
        return MqttBus(broker_of_agent(spec.broker, spec.state_dir, spec.agent_id), name)

    def _heard(self, topic: str, payload: bytes, retained: bool) -> None:
        if len(self._items) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES:
            self._skipped += 1
        else:
            self._waiting_bytes += len(payload)
            self._put((topic, payload, retained, self._link.now()))

    def _put(self, item: "_Item | Link | float") -> None:
        with self._wake:
            self._items.append(item)
            self._wake.notify()

    # On the thread of our own.

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._items or self._closing)
                items, self._items = self._items, deque()
                self._waiting_bytes = 0
            for item in items:
                try:
                    self._take(item)
                except Exception as error:  # noqa: BLE001 - one odd message must not end the watch
                    self._link.log(f"a message was not watched: {type(error).__name__}: {error}")
            if self._closing and not self._items:
                self._say(self._alarm.clear_all())
                return

    def _take(self, item: "_Item | Link | float") -> None:
        if isinstance(item, tuple):
            self._message(*item)
        elif isinstance(item, Link):
            self._link_turned(item)
        else:
            self._pass_time(item)

    def _message(self, topic: str, payload: bytes, retained: bool, now: float) -> None:
        event = decode(self._spec.swarm, topic, payload, retained, now, self._keys.judge)
        if event is None:
            return
        if isinstance(event, Event) and event.kind is Kind.REPLY:
            # It quotes what is kept already: recorded, each answer would hold those before it.
            self._load(event, now)
            return
        if self._recorder is not None:
            self._recorder.add(recorded_of(event, topic, payload, now))
        changes = self._fleet.apply(event, now)
        self._past.note(self._fleet, event, changes, now)
        if self._recorder is None:
            return
        self._keyframes.note(self._fleet, self._recorder, len(payload), now)
        if isinstance(event, Event) and isinstance(event.body, Query):
            self._answer(event, event.body, self._recorder)

    def _link_turned(self, link: Link) -> None:
        """Ask the dispatcher, when the broker is there, for the tasks that were given to it before."""
        self._fleet.link(link.up, link.reason, self._link.now())
        if link.up:
            query = Query(query="tasks", args={"limit": KNOWN_TASKS})
            self._link.publish(self._link.writer.message(Kind.QUERY, query, self._spec.agent_id))

    def _load(self, event: Event, now: float) -> None:
        reply = event.body
        if event.proved_by not in ("", SWARM):
            return
        if event.key == self._spec.agent_id and isinstance(reply, Reply) and reply.query == "tasks":
            self._fleet.load(task_rows(reply.rows), now)
            self._keyframes.want()

    def _answer(self, event: Event, body: Query, recorder: Recorder) -> None:
        """Answer, since we keep the record: a second monitoring agent stays silent."""
        if body.query == "history":
            recorder.flush()
            rows, error = [], None
            try:
                rows = recorder.history(args_of(body.args))
            except ValueError as problem:
                error = str(problem)
            pages = answer(rows, error, request=event.id, source=self._spec.agent_id)
        elif body.query in QUERIES:
            recorder.flush()
            pages = time_reply(body.query, body.args, recorder, request=event.id, source=self._spec.agent_id)
        else:
            return
        for page in pages:
            self._link.publish(self._link.writer.message(Kind.REPLY, page, event.key))

    def _pass_time(self, now: float) -> None:
        self._fleet.tick(now)
        self._past.forget(self._fleet, now)
        if self._fleet.broker_up:
            self._say(self._alarm.step(findings(self._fleet, self._past, now), now))
        if self._skipped:
            skipped, self._skipped = self._skipped, 0
            self._link.log(f"{skipped} messages came faster than they could be recorded")
        if self._recorder is None and self._own_recorder:
            self._try_recorder()
        elif self._recorder is not None:
            self._look_at_recorder(self._recorder)

    def _look_at_recorder(self, recorder: Recorder) -> None:
        """Say that messages cannot be kept, and that they can again."""
        failure = recorder.failure
        line = f"nothing is recorded until it can be, the watch goes on: {failure}" if failure else ""
        if line != self.complaint:
            self.complaint = line
            self._link.log(line or "messages are recorded again")

    def _say(self, alerts: list[Alert]) -> None:
        self._alerts = self._alarm.now()
        for alert in alerts:
            self._link.log(("⚠ " if alert.active else "✓ ") + alert.message)
            self._link.publish(self._link.writer.message(Kind.ALERT, alert))

    def _try_recorder(self) -> None:
        """Open the record, unless another agent of this host keeps it: then try again at the next tick."""
        if self._recorder is not None or self._closing:
            return
        state = StateDir(Path(self._spec.state_dir))
        try:
            state.create()
            self._lock = _lock(state.lock("_recorder"))
            if self._lock is not None:
                from swarm_tui.journal.recorder import SqliteRecorder

                policy = self._spec.policy
                self._recorder = SqliteRecorder(state.recorder, max_age=policy.record_age, max_size=policy.record_size)
        except (JournalError, OSError) as error:
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            line = f"nothing is recorded, the watch goes on: {error}"
            if line != self.complaint:
                self.complaint = line
                self._link.log(line)
        else:
            self.complaint = ""


def _lock(path: Path) -> IO[str] | None:
    handle = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle
