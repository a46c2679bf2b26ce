"""A swarm that only the screen's tests know: messages are made with the real writer and read with the real reader."""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from msgspec import Struct

from swarm_tui.bus.port import Link
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Body, Reply, Task
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.here import Here
from swarm_tui.ui.model.source import MOST, Arrived, Facts, Item, Neighbours, TaskType
from swarm_tui.worktrees.change import Change

SWARM = "opencto-dev"
START = 1_767_225_600.0


class Clock:
    """Time that passes only when told."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class FakePanes:
    """Panes with text that the test gives."""

    def __init__(self) -> None:
        self.watched: frozenset[str] = frozenset()
        self.size: tuple[int, int] | None = None
        self.screens: dict[str, list[str]] = {}
        self.older: dict[str, list[str]] = {}
        self.reason: str | None = None
        self.attached: list[str] = []
        self.attach_fails: Exception | None = None
        self._told: dict[str, list[str]] = {}

    def watch(self, panes: frozenset[str], size: tuple[int, int] | None = None) -> None:
        self.watched, self.size = panes, size
        self._told = {}

    def changed(self) -> Mapping[str, list[str]]:
        fresh = {p: self.screens[p] for p in self.watched if p in self.screens and self._told.get(p) != self.screens[p]}
        self._told.update({p: list(lines) for p, lines in fresh.items()})
        return fresh

    def history(self, pane_id: str, lines: int) -> list[str]:
        return [*self.older.get(pane_id, []), *self.screens.get(pane_id, [])]

    def attach(self, pane_id: str) -> int:
        self.attached.append(pane_id)
        if self.attach_fails is not None:
            raise self.attach_fails
        return 0

    def attach_far(self, address: str, swarm: str, agent_id: str) -> str | None:
        self.attached.append(f"{address} {swarm} {agent_id}")
        if self.attach_fails is not None:
            raise self.attach_fails
        return None

    def why_not(self) -> str | None:
        return self.reason


class FakeSent(Struct):
    """A submission that the test moves on: at first not even the broker has it."""

    stage: str = "pending"
    reason: str = ""


class FakeSource:
    """Puts in what the test says, keeps what the screen sends."""

    def __init__(self, clock: Clock, swarm: str = SWARM, types: list[TaskType] | None = None) -> None:
        self.clock = clock
        self.facts = Facts(
            swarm=swarm,
            broker="mqtt://127.0.0.1:1883",
            embedded=True,
            host="devbox",
            user="ada",
            session="opencto",
            types=types or [],
        )
        self.panes = FakePanes()
        self.neighbours: Neighbours | None = None
        self.items: deque[Item] = deque()
        self.acts: list[tuple[Kind, Body, str]] = []
        self.cleared: list[tuple[Kind, str]] = []
        self.submitted: list[tuple[Task, FakeSent, Callable[[], None]]] = []
        self.replies: dict[str, Reply] = {}
        self.logs: dict[str, list[str]] = {}
        self.panes_at: dict[str, list[tuple[float, list[str]]]] = {}
        self.outputs: dict[str, list[str]] = {}
        self.changes: dict[str, Change] = {}
        self.here = Here()
        self.started = self.closed = False
        self.tells = False
        """Whether `arrived` is to be called for all that comes."""
        self.arrived: Arrived = lambda urgent=False: None
        self._ids = count(1)

    # For the test.

    def link(self, up: bool = True, reason: str = "") -> None:
        self.items.append(Link(up, reason))

    def say(
        self, sender: str, kind: Kind, body: Body, key: str = "", role: str = "general", at: float | None = None
    ) -> None:
        """A message of the swarm, through the wire's own form; `at` is when it comes."""
        now = self.clock() if at is None else at
        writer = codec.Writer(self.facts.swarm, sender, role, new_id=lambda: f"id-{next(self._ids)}", clock=lambda: now)
        out = writer.message(kind, body, key)
        self.raw(out.topic, out.payload, at=now)

    def raw(self, topic: str, payload: bytes, at: float | None = None) -> None:
        """Any bytes on any topic."""
        event = codec.decode(self.facts.swarm, topic, payload, False, self.clock() if at is None else at)
        if event is not None:
            self.items.append(event)

    # The port.

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True

    def on_arrival(self, call: Arrived) -> bool:
        self.arrived = call
        return self.tells

    def take(self) -> list[Item]:
        return [self.items.popleft() for _ in range(min(len(self.items), MOST))]

    def waiting(self) -> bool:
        return bool(self.items)

    def look_here(self) -> Here:
        return self.here

    def act(self, kind: Kind, body: Body, key: str = "") -> None:
        self.acts.append((kind, body, key))

    def clear(self, kind: Kind, key: str = "") -> None:
        self.cleared.append((kind, key))

    def submit(self, task: Task, on_change: Callable[[], None]) -> FakeSent:
        sent = FakeSent()
        self.submitted.append((task, sent, on_change))
        return sent

    def query(self, query: str, args: dict[str, Any]) -> Reply | None:
        return self.replies.get(query)

    def output(self, task_id: str, lines: int, hosts: int) -> list[str]:
        return self.outputs.get(task_id, [])[-lines:]

    def change(self, task_id: str, hosts: int) -> Change | None:
        return self.changes.get(task_id)

    def pane_at(self, agent_id: str, lines: int, at: float) -> list[str] | None:
        then = [shown for moment, shown in self.panes_at.get(agent_id, []) if moment <= at]
        return then[-1][-lines:] if then else None

    def log(self, agent_id: str, lines: int) -> list[str] | None:
        return self.logs.get(agent_id)
