"""The shell without threads: what is journaled before it is said, and what a next life makes of it."""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.roles.task_manager.engine import ENDS, PRUNE_EVERY, Clocks, Engine, Heard, Letter
from swarm_tui.agent.roles.task_manager.task_queries import answers
from swarm_tui.cli.journal_reader import journal_is_current
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.dispatch import DispatchSettings, Job, Tick
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.db import JournalError, JournalInUseError
from swarm_tui.journal.dispatch import AT_ONCE, Journal, OutboxRow
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.pages import PAGE_BYTES
from swarm_tui.protocol.topics import Kind, topic
from tests.unit.dispatch.world import RULES, SWARM


class Life:
    """One life of a dispatcher over a journal; `deaf` means that it dies before it can publish."""

    def __init__(self, journal: Journal, epoch: int = 1) -> None:
        self.published: list[Outgoing] = []
        self.acks: list[Callable[[], None] | None] = []
        self.logged: list[str] = []
        self.dies = False
        self.now = 1000.0
        self.set_by = 0.0
        self._ids = 0
        self.clocks = Clocks(lambda: self.now, self.wall, lambda: 0.5)
        self.engine = self.make(journal)
        self.engine.restore()
        self.publish(self.engine.begin(epoch))
        self.publish(self.engine.lead(epoch))

    def make(self, journal: Journal) -> Engine:
        writer = self.writer("tm", "task-manager")
        return Engine(DispatchSettings(rules=RULES), journal, writer, self.clocks, log=self.logged.append)

    def writer(self, sender: str, role: str) -> Writer:
        return Writer(SWARM, sender, role, new_id=self._id, clock=self.wall)

    def wall(self) -> float:
        return 1.7e9 + self.now + self.set_by

    def _id(self) -> str:
        self._ids += 1
        return f"{id(self)}-{self._ids}"

    def publish(self, letters: list[Letter]) -> None:
        for message, on_ack in letters:
            if self.dies:
                raise ConnectionAbortedError
            self.published.append(message)
            self.acks.append(on_ack)

    def take(self, *batch: Heard) -> None:
        """Let the engine hear, and publish what it says."""
        self.publish(self.engine.hear(batch))

    def hear(self, kind: Kind, body: b.Body, key: str = "", sender: str = "x") -> None:
        message = self.writer(sender, "general").message(kind, body, key)
        event = decode(SWARM, message.topic, message.payload, False, 1.7e9 + self.now)
        assert isinstance(event, Event)
        self.take(event)

    def rest(self) -> None:
        """So much time passes in silence that nothing is held back any more."""
        self.now += 1.0
        self.take()

    def agent(self) -> None:
        body = b.Status(status="online", role="general", incarnation="i1")
        self.hear(Kind.STATUS, body, "a", "a")

    def submit(self, task_id: str, **more: Any) -> None:
        self.hear(Kind.TASK_NEW, b.Task(task_id=task_id, type="noop", **more))

    def acked(self) -> list[str]:
        """The tasks of which an agent was told that their end is written."""
        events = [decode(SWARM, message.topic, message.payload, False, 1.7e9) for message in self.published]
        bodies = [event.body for event in events if isinstance(event, Event)]
        return [body.task_id or "" for body in bodies if isinstance(body, b.Inbox) and body.command == "ack"]

    def said(self, kind: Kind) -> list[str]:
        """The task ids of that kind's messages."""
        found = []
        for message in self.published:
            event = decode(SWARM, message.topic, message.payload, False, 1.7e9)
            if isinstance(event, Event) and event.kind is kind:
                found.append(getattr(event.body, "task_id", None) or "")
        return found


def test_what_was_decided_is_said_by_the_next_life() -> None:
    journal = Journal(None)
    first = Life(journal)
    first.agent()
    first.dies = True
    with pytest.raises(ConnectionAbortedError):
        first.submit("t")
    assert first.said(Kind.TASK_QUEUED) == []
    second = Life(journal, 2)
    assert second.said(Kind.TASK_QUEUED) == ["t"]
    assert second.said(Kind.INBOX)[0] == "t"
    assert second.engine.state.jobs["t"].state is TaskState.ASSIGNED


def test_that_an_agent_gets_what_is_for_many_is_written_before_it_is_said() -> None:
    """It may read it at once: its reading is nobody's where the journal of the next life does not know it for one."""
    life = Life(Journal(None))
    life.agent()
    life.hear(Kind.MESSAGE_NEW, MessageNew(message_id="m", to="all", text="x"), sender="operator:ann@box")
    life.hear(Kind.STATUS, b.Status(status="online", role="general", incarnation="i1"), "later", "later")
    life.take(Tick())
    assert [m.topic for m in life.published if b'"message":{' in m.payload] == [
        topic(SWARM, Kind.INBOX, name) for name in ("a", "later")
    ]
    mail = life.engine.journal.mails.find("m")
    assert mail is not None
    assert set(mail.receivers) == {"a", "later"}


def test_an_offer_that_no_longer_counts_is_not_said_again() -> None:
    journal = Journal(None)
    first = Life(journal)
    first.agent()
    first.submit("t")
    first.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1, epoch=1), sender="a")
    first.rest()
    assert len(journal.outbox()) == 3
    second = Life(journal, 2)
    assert second.said(Kind.TASK_QUEUED) == ["t"]
    assert "t" not in second.said(Kind.INBOX)


def test_the_times_of_offers_go_on_when_the_clock_is_set_back() -> None:
    """An agent takes no offer that seems far older than the newest that it heard."""
    life = Life(Journal(None))
    life.hear(Kind.STATUS, b.Status(status="online", role="general", incarnation="i1", capacity=9), "a", "a")

    def offered(task_id: str) -> float:
        life.submit(task_id)
        said = [decode(SWARM, each.topic, each.payload, False, 0.0) for each in life.published]
        (at,) = [
            each.at
            for each in said
            if isinstance(each, Event) and isinstance(each.body, b.Inbox) and each.body.task_id == task_id
        ]
        return at

    before = offered("a")
    life.set_by = -5000.0
    life.now += 7.0
    assert offered("b") == before + 7.0
    life.set_by = 100.0
    assert offered("c") == before + 107.0


def test_what_the_broker_has_leaves_the_outbox() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.submit("t")
    for ack in life.acks:
        if ack is not None:
            ack()
    life.engine.flush(now=True)
    assert journal.outbox() == []


class Full(Journal):
    """A journal on a disk that can fill up."""

    full = False

    def commit(self, jobs: Iterable[Job], letters: Iterable[OutboxRow], *more: Any) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().commit(jobs, letters, *more)


def test_a_full_disk_is_said_and_nothing_is_accepted_until_it_is_written() -> None:
    journal = Full(None)
    life = Life(journal)
    journal.full = True
    life.submit("t")
    assert life.said(Kind.TASK_QUEUED) == []
    assert life.said(Kind.ALERT)
    assert "disk is full" in life.logged[0]
    journal.full = False
    life.take(Tick())
    assert life.said(Kind.TASK_QUEUED) == ["t"]
    assert life.engine.troubled is None
    assert journal.find("t") is not None


def test_a_task_that_ended_long_ago_is_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(None)
    life = Life(journal)
    life.agent()
    life.submit("t", idempotency_key="k")
    answer = b.Complete(task_id="t", agent_id="a", attempt=1, epoch=1)
    life.hear(Kind.TASK_COMPLETE, answer, sender="a")
    life.rest()
    second = Life(journal, 2)
    assert "t" not in second.engine.state.jobs
    second.submit("t", idempotency_key="k")
    second.submit("u", idempotency_key="k")
    second.submit("t", payload={"other": 1})
    second.hear(Kind.TASK_COMPLETE, answer, sender="a")
    assert second.said(Kind.TASK_REJECTED) == ["t"]
    assert second.said(Kind.TASK_QUEUED)[-2:] == ["t", "u"]
    assert journal.find("u") is None


def test_an_end_holds_no_accept_up_and_its_ack_is_said_when_it_is_written() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.agent()
    life.submit("t")
    life.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1, epoch=1), sender="a")
    assert journal.open_jobs() != []
    assert life.acked() == []
    assert 0 < life.engine.wait() < 2 * ENDS
    life.submit("u")
    assert [job.task_id for job in journal.open_jobs()] == ["t", "u"]
    assert life.acked() == []
    life.rest()
    assert [job.task_id for job in journal.open_jobs()] == ["u"]
    assert life.acked() == ["t"]


def test_an_end_without_company_is_written_and_acked_after_some_milliseconds() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.agent()
    life.submit("t")
    life.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1, epoch=1), sender="a")
    life.now += 2 * ENDS
    life.take()
    assert journal.open_jobs() == []
    assert life.acked() == ["t"]


def test_an_agent_is_told_to_stop_only_when_the_success_of_another_is_written() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.agent()
    life.submit("t")
    life.hear(Kind.STATUS, b.Status(status="online", role="general", incarnation="j1"), "b", "b")
    life.hear(Kind.STATUS, b.Status(status="online", role="general", incarnation="i2"), "a", "a")
    job = life.engine.state.jobs["t"]
    second = job.current
    assert second is not None
    assert (second.number, second.started) == (2, False)
    life.published.clear()
    life.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1, epoch=1, result={}), sender="a")
    events = [decode(SWARM, message.topic, message.payload, False, 1.7e9) for message in life.published]
    orders = [event.body for event in events if isinstance(event, Event) and isinstance(event.body, b.Inbox)]
    assert "cancel" in [order.command for order in orders]
    # Whoever leads next knows of it too, and takes no "cancelled" of the second agent for the end.
    written = journal.find("t")
    assert written is not None
    assert written.state is TaskState.COMPLETE


def test_a_result_that_a_heartbeat_names_is_acked_only_when_it_is_written() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.agent()
    life.submit("t")
    life.hear(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="a", attempt=1, epoch=1), sender="a")
    finished = [{"task_id": "t", "attempt": 1, "epoch": 1}]
    life.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id="a", incarnation="i1", finished=finished), sender="a")
    assert life.acked() == []
    assert journal.open_jobs() != []
    life.rest()
    assert set(life.acked()) == {"t"}
    assert journal.open_jobs() == []


def test_a_halt_outlives_a_restart() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.hear(Kind.HALT, b.Halt(reason="fire"), sender="operator:ann@box")
    second = Life(journal, 2)
    second.agent()
    second.submit("t")
    second.publish(second.engine.halt_again())
    assert second.engine.state.jobs["t"].state is TaskState.QUEUED
    assert second.said(Kind.HALT) == [""]


def test_old_ended_tasks_are_forgotten_and_open_ones_never() -> None:
    journal = Journal(None)
    life = Life(journal)
    life.agent()
    for n in range(5):
        life.submit(f"t{n}")
        if n < 4:
            answer = b.Complete(task_id=f"t{n}", agent_id="a", attempt=1, epoch=1)
            life.hear(Kind.TASK_COMPLETE, answer, sender="a")
    life.rest()
    ended = [job.task_id for job in journal.search(None, None, 100, 0) if job.ended]
    assert journal.prune(1.7e9 + life.now, keep=len(ended) - 1) == 1
    assert journal.prune(1.7e9 + life.now + 8 * 86400) == len(ended) - 1
    assert all(not job.ended for job in journal.search(None, None, 100, 0))


def test_a_journal_has_one_holder_one_home_and_a_version(tmp_path: Path) -> None:
    path = tmp_path / "dispatch.db"
    journal = Journal(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(JournalInUseError, match="another dispatcher"):
        Journal(path)
    assert journal.bind("mqtt://a:1", "box", take_over=False) is None
    assert journal.bind("mqtt://b:1", "box", take_over=False) is not None
    assert journal.bind("mqtt://b:1", "box", take_over=True) is None
    assert journal.bind("mqtt://localhost:1", "box", take_over=True) is None
    assert journal.bind("mqtt://127.0.0.1:1", "box", take_over=False) is None, "the same broker, spelt anew"
    assert journal.bind("mqtt://127.0.0.1:2", "box", take_over=False) is not None
    journal.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(JournalError, match="newer"):
        Journal(path)


def test_queries_answer_in_pages_small_enough_for_any_broker() -> None:
    journal = Journal(None)
    life = Life(journal)
    for n in range(400):
        life.submit(f"t{n}", payload={"text": "x" * 900})
    ask = life.writer("operator:ann@box", "").message(Kind.QUERY, b.Query(query="tasks", args={"limit": 350}), "c")
    event = decode(SWARM, ask.topic, ask.payload, False, 1.7e9 + life.now)
    assert isinstance(event, Event)
    assert isinstance(event.body, b.Query)
    pages = list(answers(event, event.body, journal, "tm"))
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
    assert sum(len(page.rows) for page in pages) == 350
    assert all(len(life.writer("tm", "").message(Kind.REPLY, page, "c").payload) < PAGE_BYTES * 1.3 for page in pages)
    one = list(answers(event, b.Query(query="task", args={"task_id": "t7"}), journal, "tm"))
    assert one[0].rows[0]["hops"]
    (counts,) = answers(event, b.Query(query="counts"), journal, "tm")
    assert counts.rows == [{"queued": 400}]
    assert list(answers(event, b.Query(query="status"), journal, "tm")) == []


def test_a_halt_without_an_id_cancels_once_however_often_the_broker_repeats_it() -> None:
    life = Life(Journal(None))

    def halt(*, retained: bool) -> None:
        life.now += 1.0
        event = decode(SWARM, f"{SWARM}/halt", b'{"payload": {"reason": "fire"}}', retained, 1.7e9 + life.now)
        assert isinstance(event, Event)
        life.take(event)

    life.submit("before")
    halt(retained=False)
    life.submit("after")
    halt(retained=True)
    states = {job.task_id: job.state for job in life.engine.state.jobs.values()}
    assert states == {"before": TaskState.CANCELLED, "after": TaskState.QUEUED}


def test_a_backlog_of_old_tasks_is_forgotten_within_seconds() -> None:
    journal = Journal(None)
    life = Life(journal)
    rows = ((f"o{n}", "complete", "noop", None, 1.0, 1.0 + n, b"", None) for n in range(5 * AT_ONCE))
    journal._db.executemany("INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    life.now += PRUNE_EVERY
    for _ in range(6):
        life.take(Tick())
        life.now += 1.0
    assert journal._db.execute("SELECT count(*) FROM task").fetchone()[0] == 0


def test_what_is_adopted_before_it_leads_has_a_fence_that_grows() -> None:
    journal = Journal(None)
    first = Life(journal, epoch=3)
    first.hear(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    first.rest()
    second = first.make(journal)
    second.restore()
    first.engine = second
    first.hear(Kind.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="w"), sender="w")
    attempt = second.state.jobs["t"].current
    assert attempt is not None
    assert (attempt.number, attempt.epoch) == (1, 3)


def test_a_journal_after_which_another_led_is_not_read_as_what_is_so_now(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    journal = Journal(state.dispatch)
    life = Life(journal)
    assert journal_is_current(state)
    life.engine.pass_on("far/1")
    assert not journal_is_current(state)
    life.engine.begin(3)
    assert journal_is_current(state), "it leads again"
    journal.close()
    assert not journal_is_current(StateDir(tmp_path / "nowhere"))
