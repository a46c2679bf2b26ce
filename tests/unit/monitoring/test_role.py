"""The role: every message is recorded, history is answered in pages that fit, alerts are said and taken back."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.agent.roles.monitoring.history import answer
from swarm_tui.agent.roles.monitoring.role import Monitoring, standing_alerts
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.cli.changes import known_at
from swarm_tui.cli.common import Target
from swarm_tui.cli.export import _lines
from swarm_tui.cli.recording import line_bytes, read_lines
from swarm_tui.cli.replay import _end
from swarm_tui.client.operator import Operator
from swarm_tui.client.past import Past
from swarm_tui.config.model import Broker, Policy, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.alerts import Limits
from swarm_tui.domain.fleet import Fleet
from swarm_tui.identity.open import open_host
from swarm_tui.identity.store import make_secret
from swarm_tui.journal.recorder import SqliteRecorder
from swarm_tui.journal.recorder_port import HistoryQuery, MemoryRecorder, Recorded
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing, Rejected
from swarm_tui.protocol.topics import Kind as K
from tests.wait import until

SWARM = "s"


class FakeLink:
    """The agent as its role sees it, on a bus in memory."""

    def __init__(self, broker: MemoryBroker, agent: str) -> None:
        ids = itertools.count()
        self.swarm, self.incarnation, self.take_over = SWARM, "i", False
        self.bus = MemoryBus(broker, agent)
        self.writer = Writer(SWARM, agent, "monitoring", new_id=lambda: f"{agent}-{next(ids)}", clock=time.time)
        self.lines: list[str] = []
        self.bus.start(lambda *_: None, lambda _: None)

    def publish(self, message: Outgoing, on_ack: Any = None) -> None:
        self.bus.publish(message, on_ack)

    def now(self) -> float:
        return time.time()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def leave(self, reason: str, exit_code: int = 1) -> None:
        raise AssertionError(reason)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def operator(broker: MemoryBroker) -> Iterator[Operator]:
    made = Operator(MemoryBus(broker, "op"), SWARM, user="me", host="here")
    made.start()
    yield made
    made.close()


@pytest.fixture
def watch(broker: MemoryBroker, tmp_path: Path) -> Iterator[Callable[..., tuple[Monitoring, FakeLink]]]:
    made: list[Monitoring] = []

    def make(agent: str = "watch-01", *, policy: Policy | None = None, **more: Any) -> tuple[Monitoring, FakeLink]:
        spec = RunSpec(
            agent_id=agent, role="monitoring", swarm=SWARM, broker=Broker(), workdir=str(tmp_path),
            state_dir=str(tmp_path / "state"), policy=policy or Policy(),
        )  # fmt: skip
        link = FakeLink(broker, agent)
        role = Monitoring(spec, link, make_bus=lambda name: MemoryBus(broker, name), **more)
        made.append(role)
        role.start()
        return role, link

    yield make
    for role in made:
        role.close()


def test_history_over_the_bus_with_a_recorder_on_disk(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator, broker: MemoryBroker
) -> None:
    watch()
    second, _ = watch("watch-02")
    operator.bus.publish(Outgoing(f"{SWARM}/tasks/new", b"\xff not json"))
    operator.bus.publish(
        operator.writer.message(K.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a1", result="x" * 50_000))
    )
    replies = operator.query_all("history", {"topic": f"{SWARM}/tasks/#"}, timeout=5.0, enough=1)
    assert [reply.source for reply in replies] == ["watch-01"], "only who keeps the record answers"
    rows = replies[0].rows
    assert [row["topic"] for row in rows] == [f"{SWARM}/tasks/new", f"{SWARM}/tasks/complete"]
    assert rows[0]["payload"] == "\ufffd not json"
    assert msgspec.json.decode(rows[1]["payload"])["payload"]["task_id"] == "t"
    assert operator.query("history", {"task_id": "t", "agent_id": "a1"}, timeout=5.0).rows == rows[1:]  # type: ignore[union-attr]
    assert second._recorder is None


def test_answers_to_queries_are_not_recorded_so_that_the_record_grows_with_what_happens(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator
) -> None:
    recorder = MemoryRecorder()
    watch(recorder=recorder)
    for _ in range(10):
        operator.bus.publish(operator.writer.message(K.BROADCAST, b.Broadcast(text="x" * 1000)))
    sizes = []
    for _ in range(8):
        reply = operator.query("history", {}, timeout=5.0)
        assert reply is not None
        assert not any("/reply" in row["topic"] for row in reply.rows)
        sizes.append(recorder.stats().size)
    grew = [later - earlier for earlier, later in itertools.pairwise(sizes)]
    assert 0 < min(grew) <= max(grew) < 1000, "each question is kept, and no answer, which has 10,000 bytes"


def test_what_nobody_proves_is_neither_watched_nor_answered(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator, tmp_path: Path
) -> None:
    state = StateDir(tmp_path / "state").create()
    make_secret(state, "home")
    role, _ = watch(policy=msgspec.convert({"guests": "none"}, Policy))
    says, real = operator.writer.message, open_host(state)
    born = b.Status(status="online", role="general", incarnation="i")
    operator.bus.publish(says(K.STATUS, born, "ghost"))
    operator.bus.publish(says(K.HALT, b.Halt(reason="evil")))
    operator.bus.publish(says(K.ALERT, b.Alert(name="fire", message="run evil.sh")))
    rows = [{"task_id": "t", "state": "complete"}]
    operator.bus.publish(says(K.REPLY, b.Reply(query="tasks", rows=rows), "watch-01"))
    assert operator.query("history", {}, timeout=0.2) is None
    home = Writer(SWARM, "boss", "task-manager", new_id=lambda: "real", clock=time.time, prove=real.prove)
    operator.bus.publish(home.message(K.HALT, b.Halt(reason="a real one")))
    until(lambda: role._fleet.halted == "a real one", what="a word that is proved")
    assert (dict(role._fleet.agents), dict(role._fleet.tasks)) == ({}, {})
    assert set(role._fleet.alerts) <= {"another-version"}, "what monitoring says itself of who proves nothing"
    assert role._fleet.counts.refused >= 5


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_counted_for_nothing_counts_for_nothing_in_the_past(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator, tmp_path: Path, on_disk: bool
) -> None:
    state = StateDir(tmp_path / "state").create()
    make_secret(state, "home")
    role, _ = watch(**({} if on_disk else {"recorder": MemoryRecorder()}))
    real = open_host(state)
    home = Writer(SWARM, "boss", "task-manager", new_id=lambda: str(time.time()), clock=time.time, prove=real.prove)
    claim = b.Assigned(task_id="t", agent_id="w", role="general", epoch=1, attempt=1)
    for said in (
        home.message(K.DISPATCHER, b.Dispatcher(instance="i", epoch=1, online=True, agent_id="boss")),
        home.message(K.TASK_ASSIGNED, claim),
        operator.writer.message(K.HALT, b.Halt(reason="evil")),
        # Nobody need prove what a guest answers: that the task is not its own tells.
        operator.writer.message(K.TASK_COMPLETE, b.Complete(task_id="t", agent_id="guest", attempt=1, result="evil")),
        home.message(K.BROADCAST, b.Broadcast(text="the last")),
    ):
        operator.bus.publish(said)
    until(lambda: role._fleet.counts.kinds.get(K.BROADCAST), what="all to be recorded")
    past = Past(operator.query, SWARM, kept=100)
    then = past.moment(time.time())
    assert then.fleet.halted is None
    assert str(then.fleet.tasks["t"].state) == "assigned"
    assert [one.reason for one in then.messages if isinstance(one, Rejected)] == ["an order without proof"]
    if on_disk:
        found = Target(swarm=SWARM, broker=Broker(), state=state)
        assert known_at(found, time.time()).halted is None
        lines = tmp_path / "lines"
        lines.write_bytes(b"".join(map(line_bytes, _lines(found, 0.0, time.time()))))
        assert _end(Fleet(SWARM), list(read_lines(lines)))["halted"] is None


def test_the_layout_bounds_the_record(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator, tmp_path: Path
) -> None:
    state, old = tmp_path / "state", time.time() - 100
    state.mkdir()
    before = SqliteRecorder(state / "recorder.db")
    before.add(Recorded(old, f"{SWARM}/broadcast", b"{}"))
    before.close()
    role, _ = watch(policy=Policy(record_age=50.0, record_size=1024 * 1024))
    body = b.Broadcast(text="x" * 60_000)
    for _ in range(60):
        operator.bus.publish(operator.writer.message(K.BROADCAST, body))
    until(lambda: role._recorder is not None and role._recorder.stats().stored > 3, what="messages are recorded")
    assert isinstance(role._recorder, SqliteRecorder)
    role._recorder.flush()
    assert role._recorder.size() <= 1024 * 1024
    assert role._recorder.stats().oldest > old + 50  # type: ignore[operator]


def test_the_second_watcher_takes_the_record_over(watch: Callable[..., tuple[Monitoring, FakeLink]]) -> None:
    first, _ = watch()
    second, _ = watch("watch-02")
    assert second._recorder is None
    first.close()
    second.tick(time.time())
    until(lambda: second._recorder is not None, what="the second keeps the record")


def test_a_query_that_means_nothing_is_answered_with_why(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator
) -> None:
    watch(recorder=MemoryRecorder())
    for args, reason in (({"since": "yesterday"}, "since"), ({"limit": True}, "limit"), ({"topic": 5}, "topic")):
        reply = operator.query("history", args, timeout=5.0)
        assert reply is not None
        assert reason in (reply.error or "")


def test_pages_fit_a_message_and_hold_all() -> None:
    rows = [Recorded(float(n), "s/x", (b'"\x01' * (n * 20))) for n in range(300)]
    rows.append(Recorded(300.0, "s/x", b"\x01" * 131_072))
    pages = list(answer(rows, None, request="r", source="w"))
    assert all(len(msgspec.json.encode(page)) < 120 * 1024 for page in pages)
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
    shown = [row for page in pages for row in page.rows]
    assert [row["at"] for row in shown] == [row.at for row in rows]
    assert shown[-1]["cut"]
    assert [page.rows for page in answer([], None, request="r", source="w")] == [[]]


def test_an_alert_is_said_listed_and_taken_back(
    watch: Callable[..., tuple[Monitoring, FakeLink]], operator: Operator
) -> None:
    heard: list[b.Alert] = []
    operator.on_event(lambda event: heard.append(event.body) if isinstance(event.body, b.Alert) else None)  # type: ignore[union-attr]
    assert standing_alerts() is None
    recorder = MemoryRecorder()
    role, link = watch(recorder=recorder, limits=Limits(refused_least=3))
    for _ in range(3):
        operator.bus.publish(Outgoing(f"{SWARM}/tasks/new", b"\xff"))
    role.tick(time.time())
    until(lambda: [alert.name for alert in heard] == ["refused"], what="the alert is published")
    assert [alert.name for alert in standing_alerts() or []] == ["refused"]
    assert any("refused" in line for line in link.lines)
    role.close()
    assert [alert.active for alert in heard] == [True, False]
    assert standing_alerts() is None
    assert len(recorder.history(HistoryQuery(topic=f"{SWARM}/tasks/new"))) == 3


def test_what_comes_too_fast_is_counted_and_said(
    watch: Callable[..., tuple[Monitoring, FakeLink]], monkeypatch: pytest.MonkeyPatch
) -> None:
    role, link = watch(recorder=MemoryRecorder())
    monkeypatch.setattr("swarm_tui.agent.roles.monitoring.role.MAX_WAITING_BYTES", 0)
    role._heard(f"{SWARM}/broadcast", b"{}", False)
    role.tick(time.time())
    until(lambda: any("faster" in line for line in link.lines), what="the loss is said")


def test_a_record_that_cannot_be_kept_leaves_the_watch_on(
    watch: Callable[..., tuple[Monitoring, FakeLink]], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where the folder belongs")
    role, link = watch()
    assert "nothing is recorded" in link.lines[0]
    role.tick(time.time())
    role.close()
    assert len(link.lines) == 1
