"""A flood: the last progress and heartbeat of each is read, and all are counted."""

from itertools import count

import pytest

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol import codec
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.live import sieve as sieves
from swarm_tui.ui.live.sieve import LATE, Sieve
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.source import MOST, Item, Unread

SWARM, NOW = "s", 1_800_000_000.0


class Flood:
    """A sieve, and what a swarm says to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(sieves.time, "monotonic", lambda: self.now)
        self.sieve = Sieve(lambda topic, raw, at: codec.decode(SWARM, topic, raw, False, at))
        ids = (f"m{n}" for n in count())
        self.writer = codec.Writer(SWARM, "a", "docs", new_id=lambda: next(ids), clock=lambda: NOW)
        self.said = 0

    def say(self, kind: Kind, body: b.Body) -> None:
        out = self.writer.message(kind, body)
        self.said += 1
        if kind in (Kind.TASK_PROGRESS, Kind.HEARTBEAT):
            self.sieve.put((kind, out.topic, out.payload, NOW))
        else:
            event = codec.decode(SWARM, out.topic, out.payload, False, NOW)
            assert event is not None
            self.sieve.put(event)

    def progress(self, task: int, percent: float, **more: object) -> None:
        self.say(Kind.TASK_PROGRESS, b.Progress(task_id=f"t{task}", agent_id="a", progress=percent, **more))  # type: ignore[arg-type]

    def all(self) -> list[Item]:
        taken: list[Item] = []
        self.now += 1.0
        while self.sieve.waiting():
            taken += self.sieve.take()
            self.now += 1.0
        return taken


def percents(items: list[Item]) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for item in items:
        if isinstance(item, Event) and isinstance(item.body, b.Progress):
            found.setdefault(item.body.task_id, []).append(item.body.progress)
    return found


def test_in_a_calm_all_is_read_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    for n in range(MOST // 2):
        flood.progress(1, float(n % 100))
        flood.say(Kind.TASK_NEW, b.Task(task_id=f"new{n}", type="noop"))
    taken = flood.all()
    assert [type(item) for item in taken] == [Event] * MOST
    assert percents(taken)["t1"] == [float(n % 100) for n in range(MOST // 2)]


def test_in_a_flood_the_last_of_each_is_read_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    for n in range(10 * MOST):
        flood.progress(n % 600, float(n // 600))
        if n % 10 == 0:
            flood.say(Kind.HEARTBEAT, b.Heartbeat(agent_id="a", uptime=float(n)))
        if n % 50 == 0:
            flood.say(Kind.TASK_NEW, b.Task(task_id=f"new{n}", type="noop"))
    first = flood.sieve.take()
    assert sum(not isinstance(item, Unread) for item in first) <= MOST, "a look takes no more than it may"
    model = Model(SWARM, lambda: NOW)
    model.feed(first, NOW)
    flood.now += 1.0
    while flood.sieve.waiting():
        fresh = flood.sieve.take()
        assert len(fresh) <= MOST + LATE + 2
        model.feed(fresh, NOW)
        flood.now += 1.0
    counts = model.fleet.counts
    assert (counts.received, counts.refused) == (flood.said, 0)
    assert counts.kinds[Kind.TASK_PROGRESS] == 10 * MOST
    assert counts.kinds[Kind.HEARTBEAT] == MOST
    assert {task.progress for name, task in model.fleet.tasks.items() if name.startswith("t")} == {15.0, 16.0}
    assert sum(name.startswith("new") for name in model.fleet.tasks) == 10 * MOST // 50
    assert model.stream.skipped > 8 * MOST, "what is not listed is told"


def test_the_late_are_read_some_at_a_time_and_the_rest_at_the_next_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    for n in range(2 * MOST):
        flood.progress(n, 1.0)
    assert len(flood.sieve.take()) == LATE
    assert (flood.sieve.take(), flood.sieve.waiting()) == ([], False), "not again at once"
    flood.now += 1.0
    assert flood.sieve.waiting()
    assert len(flood.sieve.take()) == LATE
    assert len(percents(flood.all())) == 2 * MOST - 2 * LATE


def test_what_a_task_ends_with_does_not_overtake_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    for n in range(2 * MOST):
        flood.progress(n, 7.0)
    flood.say(Kind.TASK_COMPLETE, b.Complete(task_id="t1999", agent_id="a", attempt=1))
    taken = [item for item in flood.sieve.take() if isinstance(item, Event)]
    assert [item.kind for item in taken[:2]] == [Kind.TASK_PROGRESS, Kind.TASK_COMPLETE]
    assert {item.body.task_id for item in taken[:2]} == {"t1999"}  # type: ignore[union-attr]


def test_what_is_said_once_is_read_however_many_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    for n in range(2 * MOST):
        flood.progress(1, float(n % 100), usage={"tokens_in": 5} if n == 3 else {}, session="x" if n == 5 else "")
    flood.sieve.put((Kind.TASK_PROGRESS, f"{SWARM}/tasks/progress", b"no JSON", NOW))
    taken = flood.all()
    assert percents(taken)["t1"] == [3.0, 5.0, 99.0]
    assert [item.topic for item in taken if isinstance(item, Rejected)] == [f"{SWARM}/tasks/progress"]
