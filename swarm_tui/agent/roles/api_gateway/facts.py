"""The door's knowledge of the swarm: one client of the bus, one fleet, and the raw messages for those who watch."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.bus.port import Bus, BusError, Link, MakeLate, OnAck, OnLink, OnMessage, OnTurn
from swarm_tui.client.hosts_output import hosts_online, last_attempt, output_of_hosts
from swarm_tui.client.operator import Operator
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import ENDED
from swarm_tui.domain.summary import agent_json, status_json, task_json, task_row
from swarm_tui.domain.usage import day_of
from swarm_tui.domain.views import TaskView
from swarm_tui.identity.keyring import GUEST, Keyring
from swarm_tui.journal.task_output import OutputPage, output_rows
from swarm_tui.protocol.bodies import JsonObject, Reply
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.rows import ask_rows, run_rows, task_rows

PAST = 1000
"""Tasks of the past that are asked for each time the link comes up."""
_MOST_OPEN = 20_000


class Tap:
    """A bus whose raw messages are also given to `on_raw`, on the bus's thread."""

    def __init__(self, bus: Bus, on_raw: Callable[[str, bytes], None]) -> None:
        self._bus = bus
        self._on_raw = on_raw

    def start(self, on_message: OnMessage, on_link: OnLink) -> None:
        def both(topic: str, payload: bytes, retained: bool) -> None:
            on_message(topic, payload, retained)
            self._on_raw(topic, payload)

        self._bus.start(both, on_link)

    def subscribe(self, pattern: str, qos: int = 1, *, own: bool = True) -> None:
        self._bus.subscribe(pattern, qos, own=own)

    def unsubscribe(self, pattern: str) -> None:
        self._bus.unsubscribe(pattern)

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        self._bus.publish(message, on_ack)

    def publish_late(self, make: MakeLate) -> None:
        self._bus.publish_late(make)

    def publish_all(self, messages: Sequence[tuple[Outgoing, OnAck | None]]) -> None:
        self._bus.publish_all(messages)

    def on_turn(self, call: OnTurn | None) -> bool:
        return self._bus.on_turn(call)

    def set_will(self, will: Outgoing) -> None:
        self._bus.set_will(will)

    def is_up(self) -> bool:
        return self._bus.is_up()

    def close(self, wait: float = 2.0) -> None:
        self._bus.close(wait)


class DoorFacts:
    """The fleet as this client hears it. All methods are thread-safe."""

    def __init__(
        self,
        bus: Bus,
        swarm: str,
        agent_id: str,
        host: str,
        on_raw: Callable[[str, bytes], None],
        keys: Keyring = GUEST,
        *,
        outputs: Path,
    ) -> None:
        self._host, self._outputs = host, outputs
        self.operator = Operator(Tap(bus, on_raw), swarm, user=agent_id, host=host, keys=keys)
        self._fleet = Fleet(swarm)
        self._lock = threading.Lock()
        self._ticked = 0.0
        self._usage_told: tuple[int, int] | None = None
        self._loading = threading.Lock()
        self._loaded = threading.Event()
        self._open: set[str] = set()
        self.on_ended: Callable[[TaskView], None] = lambda _: None
        """Called with each task whose end is heard, on the bus's thread; set before `start`."""

    def start(self, wait: float = 2.0) -> None:
        """Listen; waits up to `wait` seconds for the link, then a moment for the past."""
        self.operator.on_event(self._apply)
        self.operator.on_link(self._link)
        self.operator.start()
        if self.operator.wait_link(wait).up:
            self._loaded.wait(4.0)

    def close(self) -> None:
        """Leave the bus."""
        self.operator.close(1.0)

    def read(self, look: Callable[[Fleet, float], Any]) -> Any:
        """Return what `look(fleet, now)` makes of the fleet as it is now; it must copy what it keeps."""
        now = time.time()
        with self._lock:
            if now - self._ticked >= 1.0:
                self._ticked = now
                self._fleet.tick(now)
            return look(self._fleet, now)

    def status(self) -> JsonObject:
        """Return the swarm as `status --json` has it, without what only its host knows, with messages a second."""
        found: JsonObject = self.read(lambda fleet, now: {**status_json(fleet, now=now), "rate": round(fleet.rate, 1)})
        return found

    def ask_usage(self) -> None:
        """Have the dispatcher say what the day's conversations took, when that changed. Blocks up to a second."""
        told: tuple[int, int] = self.read(lambda fleet, now: (fleet.usage_told, int(now // 86_400)))
        if self._usage_told in (None, told):
            return
        reply = self.ask("usage", {}, 1.0)
        if reply is not None:
            self._usage_told = told
            with self._lock:
                self._fleet.usage_today = day_of(reply.rows, self._fleet.usage_today)

    def agents(self) -> list[JsonObject]:
        """Return rows as `status --json` has them."""
        rows: list[JsonObject] = self.read(
            lambda fleet, now: [agent_json(fleet.agents[agent_id], now) for agent_id in sorted(fleet.agents)]
        )
        return rows

    def tasks(self, state: str | None, task_type: str | None, limit: int) -> list[JsonObject]:
        """Return rows as `tasks --json` has them, the newest first."""

        def look(fleet: Fleet, now: float) -> list[JsonObject]:
            found = [
                task
                for task in fleet.tasks.values()
                if state in (None, task.state.value) and task_type in (None, task.type)
            ]
            found.sort(key=lambda task: task.updated_at, reverse=True)
            return [task_json(task_row(task)) for task in found[:limit]]

        rows: list[JsonObject] = self.read(look)
        return rows

    def task(self, task_id: str) -> JsonObject | None:
        """Return one task with its hops: the dispatcher's record, else what was heard. Blocks up to two seconds."""
        reply = self.ask("task", {"task_id": task_id}, 2.0)
        for row in task_rows(reply.rows if reply is not None else ()):
            return task_json(row, hops=True)

        def look(fleet: Fleet, now: float) -> JsonObject | None:
            task = fleet.tasks.get(task_id)
            return None if task is None else task_json(task_row(task), hops=True)

        found: JsonObject | None = self.read(look)
        return found

    def output(self, task_id: str, args: JsonObject) -> list[OutputPage]:
        """Return what a task's programs printed, from this host's files or another's; blocks up to two seconds."""
        asked = {"task_id": task_id, **args}
        here = output_rows(self._outputs, asked)
        others = self.read(lambda fleet, now: hosts_online(fleet, but=self._host if here else ""))
        try:
            there = output_of_hosts(self.operator, asked, others)
        except BusError:
            there = []
        return last_attempt([list(here), [msgspec.to_builtins(page) for page in there]])

    def ask(self, query: str, args: JsonObject, timeout: float) -> Reply | None:
        """Ask the dispatcher; None where none leads, or none answered in time. Blocks."""
        leader = self.read(lambda fleet, now: fleet.dispatcher)
        if leader is None or not leader.online:
            return None
        try:
            return self.operator.query(query, args, timeout)
        except BusError:
            return None

    def _load_past(self) -> None:
        with self._loading:
            self._ask_past()
        self._loaded.set()

    def _ask_past(self) -> None:
        # The retained word of who dispatches follows the link by a moment.
        deadline = time.monotonic() + 0.5
        while self.read(lambda fleet, now: fleet.dispatcher) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        reply = self.ask("tasks", {"limit": PAST}, 3.0)
        rows = task_rows(reply.rows if reply is not None else ())
        runs = self.ask("runs", {"limit": 100}, 3.0)
        asks = self.ask("asks", {}, 3.0)
        usage = self.ask("usage", {}, 3.0)
        with self._lock:
            self._fleet.usage_today = day_of(usage.rows if usage is not None else (), self._fleet.usage_today)
            self._usage_told = (self._fleet.usage_told, int(time.time() // 86_400))
            self._fleet.load_asks(ask_rows(asks.rows if asks is not None else ()))
            self._fleet.load_runs(run_rows(runs.rows if runs is not None else ()))
            for task_id in self._fleet.load(rows, time.time()).tasks:
                self._note_end(task_id)

    def _apply(self, event: Event | Rejected) -> None:
        with self._lock:
            for task_id in self._fleet.apply(event, time.time()).tasks:
                self._note_end(task_id)

    def _note_end(self, task_id: str) -> None:
        """Tell of a task's end once, when we saw it open before: a result that is said again is no second end."""
        task = self._fleet.tasks.get(task_id)
        if task is None or task.state in ENDED:
            if task is not None and task_id in self._open:
                self.on_ended(task)
            self._open.discard(task_id)
            return
        self._open.add(task_id)
        if len(self._open) > _MOST_OPEN:
            self._open &= self._fleet.tasks.keys()

    def _link(self, link: Link) -> None:
        with self._lock:
            self._fleet.link(link.up, link.reason, time.time())
        if link.up:
            # Not on the bus's thread, which is to hear the answer.
            threading.Thread(target=self._load_past, name="past", daemon=True).start()
