"""The role's thread: who leads, what it hears of the time it was away, and how it leaves."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.agent.roles.task_manager import role
from swarm_tui.agent.roles.task_manager.engine import Engine
from swarm_tui.agent.roles.task_manager.role import TaskManager
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.bus.port import OnAck
from swarm_tui.config.model import Broker, RunSpec, TypeRule
from swarm_tui.domain.leadership import leadership as leadership
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind, everything, topic
from tests.wait import until

SWARM = "s"


class Link:
    """What the role asks of its agent."""

    swarm = SWARM
    incarnation = "tm-1"

    def __init__(self, bus: MemoryBus, *, take_over: bool) -> None:
        self.bus = bus
        self.writer = Writer(SWARM, "tm", "task-manager", new_id=lambda: str(uuid.uuid4()), clock=time.time)
        self.take_over = take_over
        self.lines: list[str] = []
        self.left: list[str] = []

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        self.bus.publish(message, on_ack)

    def now(self) -> float:
        return time.time()

    def log(self, line: str) -> None:
        self.lines.append(line)

    def leave(self, reason: str, exit_code: int = 1) -> None:
        self.left.append(reason)


class Scene:
    """A broker in memory, dispatchers on it, and an ear for all that is said."""

    def __init__(self, folder: Path) -> None:
        self.broker = MemoryBroker()
        self.folder = folder
        self.made: list[TaskManager] = []
        self.events: list[Event] = []
        self.bus = self.connect("ear", self._hear, everything(SWARM))
        self.lock = threading.Lock()

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, time.time())
        if isinstance(event, Event):
            self.events.append(event)
            for dispatcher in self.made:
                dispatcher.on_event(event)

    def connect(self, name: str, hear: Callable[[str, bytes, bool], None], *patterns: str) -> MemoryBus:
        bus = MemoryBus(self.broker, name)
        for pattern in patterns:
            bus.subscribe(pattern)
        bus.start(hear, lambda link: None)
        return bus

    def dispatcher(self, *, host: str = "box", take_over: bool = False, **more: Any) -> TaskManager:
        state = self.folder / host
        state.mkdir(exist_ok=True)
        spec = RunSpec(
            agent_id="tm", role="task-manager", swarm=SWARM, broker=Broker(), host=host, workdir=str(state),
            state_dir=str(state), types={"noop": TypeRule(roles=["general"])}, **more,
        )  # fmt: skip
        link = Link(self.bus, take_over=take_over)
        made = TaskManager(spec, link, lambda name, clean: MemoryBus(self.broker, name, clean=clean))
        made.start()
        self.made.append(made)
        return made

    def say(self, kind: Kind, body: b.Body, key: str = "", sender: str = "x") -> None:
        writer = Writer(SWARM, sender, "general", new_id=lambda: str(uuid.uuid4()), clock=time.time)
        self.bus.publish(writer.message(kind, body, key))

    def heard(self, kind: Kind, **fields: Any) -> list[Event]:
        return [
            e
            for e in list(self.events)
            if e.kind is kind and all(getattr(e.body, n, 0) == v for n, v in fields.items())
        ]

    def leads(self, dispatcher: TaskManager, epoch: int) -> None:
        until(lambda: dispatcher.leading and dispatcher.epoch == epoch, 10, f"{epoch}: {log(dispatcher)}")

    def retained(self) -> b.Dispatcher | None:
        message = self.broker.retained.get(topic(SWARM, Kind.DISPATCHER))
        if message is None:
            return None
        event = decode(SWARM, message.topic, message.payload, True, 0.0)
        assert isinstance(event, Event)
        assert isinstance(event.body, b.Dispatcher)
        return event.body


def connection(dispatcher: TaskManager) -> MemoryBus:
    assert dispatcher.shell is not None
    bus = dispatcher.shell.bus
    assert isinstance(bus, MemoryBus)
    return bus


def log(dispatcher: TaskManager) -> list[str]:
    link = dispatcher.link
    assert isinstance(link, Link)
    return link.lines


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    for dispatcher in made.made:
        dispatcher.close()
    made.bus.close()


def test_it_leaves_no_trace_when_nothing_is_open_and_says_so_when_something_is(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    first.close()
    assert scene.retained() is None
    second = scene.dispatcher()
    scene.leads(second, 2)
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="t"), what="t to be journaled")
    second.close()
    left = scene.retained()
    assert left is not None
    assert (left.online, left.epoch, left.open) == (False, 2, 1)


def test_a_second_on_the_same_host_stands_by_and_goes_on_where_the_first_ended(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    second = scene.dispatcher()
    until(lambda: any("standing by" in line for line in log(second)), what="the second to stand by")
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="t"), what="t to be journaled")
    first.close()
    scene.leads(second, 2)
    scene.say(Kind.STATUS, b.Status(status="online", role="general", incarnation="i"), "w", "w")
    offer = until(lambda: scene.heard(Kind.INBOX, task_id="t"), what="t to be offered")[0].body
    assert isinstance(offer, b.Inbox)
    assert (offer.attempt, offer.epoch) == (1, 2)


def test_one_elsewhere_stands_by_until_it_is_told_to_take_over(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    other = scene.dispatcher(host="other")
    until(lambda: any("standing by" in line for line in log(other)), what="the other to stand by")
    assert not other.leading
    other.close()
    third = scene.dispatcher(host="other", take_over=True)
    scene.leads(third, 2)
    until(lambda: not first.leading, what="the first to stand down")


def test_what_the_broker_kept_is_heard_before_anything_is_given_away(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    scene.say(Kind.STATUS, b.Status(status="online", role="general", incarnation="i"), "w", "w")
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: scene.heard(Kind.INBOX, task_id="t"), what="t to be offered")
    first.close()
    scene.say(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="w", attempt=1, epoch=1, result={"n": 1}), "", "w")
    scene.say(Kind.TASK_NEW, b.Task(task_id="meanwhile", type="noop"))
    second = scene.dispatcher()
    scene.leads(second, 2)
    until(lambda: scene.heard(Kind.INBOX, task_id="t", command="ack"), what="t to be acked")
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="meanwhile"), what="the one sent meanwhile to be journaled")
    assert len([e for e in scene.heard(Kind.INBOX, task_id="t") if getattr(e.body, "command", "") is None]) == 1


def test_of_two_that_began_with_one_epoch_one_goes(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="zz/1", epoch=1, online=True))
    until(lambda: not first.leading, what="it to stand down")


def test_who_stood_by_begins_after_the_last_epoch_though_the_topic_is_empty(scene: Scene) -> None:
    """An orderly leave clears it; agents would decline all that an older epoch offers."""
    for epoch in (1, 2):
        first = scene.dispatcher()
        scene.leads(first, epoch)
        if epoch == 1:
            first.close()
    other = scene.dispatcher(host="other")
    until(lambda: any("standing by" in line for line in log(other)), what="it to stand by")
    first.close()
    scene.leads(other, 3)


def test_leases_do_not_run_out_while_nothing_can_be_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal cannot be written for longer than a lease, and the heartbeats wait unread."""
    full = False
    whole, plain = Journal.commit, role.settings_of

    def commit(self: Journal, *rows: Any, **more: Any) -> None:
        if full:
            raise sqlite3.OperationalError("database or disk is full")
        whole(self, *rows, **more)

    monkeypatch.setattr(Journal, "commit", commit)
    monkeypatch.setattr(role, "settings_of", lambda spec: msgspec.structs.replace(plain(spec), lease=2.0))
    first = scene.dispatcher()
    scene.leads(first, 1)
    scene.say(Kind.STATUS, b.Status(status="online", role="general", incarnation="i"), "w", "w")
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: scene.heard(Kind.INBOX, task_id="t"), what="t to be offered")
    scene.say(Kind.TASK_STARTED, b.Started(task_id="t", agent_id="w", attempt=1, epoch=1), "", "w")
    full = True
    scene.say(Kind.TASK_NEW, b.Task(task_id="u", type="noop"))
    until(lambda: any("cannot be written" in line for line in log(first)), what="the full disk to be noticed")
    since = time.monotonic()

    def beat() -> bool:
        lease = {"task_id": "t", "attempt": 1, "epoch": 1}
        scene.say(Kind.HEARTBEAT, b.Heartbeat(agent_id="w", incarnation="i", tasks=[lease]), "", "w")
        return time.monotonic() - since > 7.0

    until(beat, 10, "more than a lease to pass")
    full = False
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="u"), what="the journal to be written again")
    scene.say(Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="w", attempt=1, epoch=1, result={}), "", "w")
    until(lambda: scene.heard(Kind.INBOX, task_id="t", command="ack"), what="t to be acked")
    assert not scene.heard(Kind.TASK_RETRYING)


def test_it_stands_down_only_for_another_that_is_online_and_newer(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=9, online=False))
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="a/1", epoch=1, online=True))
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="zz/1", epoch=2**63, online=True))
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="t"), what="t to be journaled")
    assert first.leading
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=2, online=True))
    until(lambda: not first.leading, what="it to stand down")
    link = first.link
    assert isinstance(link, Link)
    until(lambda: link.left, what="its agent to leave")


def test_after_a_break_it_takes_nothing_that_a_newer_one_would_not_know_of(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    bus = connection(first)
    bus.drop()
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=2, online=False))
    bus.restore()
    until(lambda: first.complaint, what="it to see that another led")
    assert "far/1" in first.complaint
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    scene.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=2, online=True))
    until(lambda: not first.leading, what="it to stand down")
    first.close()
    assert not scene.heard(Kind.TASK_QUEUED, task_id="t")
    left = scene.retained()
    assert left is not None
    assert (left.instance, left.epoch, left.online) == ("far/1", 2, True)


def test_after_a_break_in_which_nobody_led_it_goes_on_and_says_so(scene: Scene) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    bus = connection(first)
    bus.drop()
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    bus.restore()
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="t"), what="what came meanwhile to be journaled")
    until(lambda: (left := scene.retained()) is not None and left.online, what="it to say that it leads")
    assert first.complaint == ""


def test_its_word_to_itself_is_said_again_where_it_was_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker may take it before it knows our filters: it would wait for ever."""
    monkeypatch.setattr(leadership, "MARK_AGAIN", 0.1)
    first = scene.dispatcher()
    scene.leads(first, 1)
    bus = connection(first)
    bus.drop()
    whole, lost = bus.publish, 0

    def publish(message: Outgoing, on_ack: OnAck | None = None, **more: Any) -> None:
        nonlocal lost
        if message.topic == topic(SWARM, Kind.INBOX, "tm") and lost == 0:
            lost += 1
        else:
            whole(message, on_ack, **more)

    monkeypatch.setattr(bus, "publish", publish)
    bus.restore()
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="t"), what="t to be journaled")
    assert lost == 1


def test_its_epoch_is_written_before_anybody_hears_of_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it dies in between, and the broker with it, the next life would take the same."""

    def dies(self: Engine, epoch: int) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(Engine, "lead", dies)
    first = scene.dispatcher()
    link = first.link
    assert isinstance(link, Link)
    until(lambda: link.left, what="it to end")
    assert scene.heard(Kind.DISPATCHER, epoch=1, online=True)
    journal = Journal(scene.folder / "box" / "dispatch.db")
    assert journal.meta("epoch") == "1"
    journal.close()


def test_it_answers_queries(scene: Scene) -> None:
    scene.leads(scene.dispatcher(), 1)
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    scene.say(Kind.QUERY, b.Query(query="tasks"), "me", "me")
    reply = until(lambda: scene.heard(Kind.REPLY), what="a reply")[0].body
    assert isinstance(reply, b.Reply)
    assert [row["task_id"] for row in reply.rows] == ["t"]


class Seed:
    """An agent of the seed's dialect: it claims what it hears, works, and answers; busy, it skips."""

    def __init__(self, scene: Scene, agent_id: str) -> None:
        self.scene, self.agent_id = scene, agent_id
        self.swarm = f"{SWARM}/_a/{agent_id}"
        self.ran: list[str] = []
        self.dead = False
        self.holds: str | None = None
        self.keep = False
        self.bus = scene.connect(f"foreign-{agent_id}", self._hear, topic(self.swarm, Kind.TASK_NEW))
        self.say("agents/register", {"agent_id": self.agent_id, "status": "online"})

    def say(self, what: str, payload: dict[str, Any]) -> None:
        import msgspec

        body = {"id": str(uuid.uuid4()), "agent_id": self.agent_id, "payload": payload}
        self.bus.publish(Outgoing(f"{self.swarm}/{what}", msgspec.json.encode(body)))

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(self.swarm, full, raw, retained, time.time())
        assert isinstance(event, Event)
        assert isinstance(event.body, b.Task)
        if self.holds is not None:
            return
        task_id = self.holds = event.body.task_id
        self.ran.append(task_id)
        self.say("tasks/assigned", {"task_id": task_id, "agent_id": self.agent_id})
        if not self.keep:
            self.holds = None
            self.say(
                "tasks/complete", {"task_id": task_id, "agent_id": self.agent_id, "status": "success", "result": {}}
            )


def test_foreign_agents_get_each_task_once_and_what_a_dead_one_held_again(scene: Scene) -> None:
    ids = ["f1", "f2", "f3"]
    dispatcher = scene.dispatcher(foreign=dict.fromkeys(ids, "seed"), foreign_roles=dict.fromkeys(ids, "general"))
    scene.leads(dispatcher, 1)
    agents = [Seed(scene, agent_id) for agent_id in ids]
    agents[0].keep = True
    for n in range(60):
        scene.say(Kind.TASK_NEW, b.Task(task_id=f"t{n}", type="noop"))
    until(lambda: agents[0].holds and len(scene.heard(Kind.TASK_COMPLETE)) >= 59, 20, "the others to do the rest")
    held = agents[0].holds
    agents[0].say("agents/shutdown", {"reason": "killed"})
    until(lambda: scene.heard(Kind.TASK_COMPLETE, task_id=held), 20, "what the dead one held")
    runs = [task_id for agent in agents for task_id in agent.ran]
    assert sorted(set(runs)) == sorted(f"t{n}" for n in range(60))
    assert len(runs) == 61
    done = [e.body for e in scene.heard(Kind.TASK_COMPLETE)]
    assert all(getattr(body, "attempt", None) for body in done)


def test_what_a_foreign_agent_says_wrongly_is_told_once(scene: Scene) -> None:
    """Nobody else understands its dialect: a result that cannot be read must not vanish without a word."""
    dispatcher = scene.dispatcher(foreign={"f1": "seed"}, foreign_roles={"f1": "general"})
    scene.leads(dispatcher, 1)
    agent = Seed(scene, "f1")
    agent.keep = True
    for _ in range(3):
        agent.say("tasks/complete", {"status": "success"})
    scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    until(lambda: agent.holds, what="the task to come to it")
    link = dispatcher.link
    assert isinstance(link, Link)
    refused = [line for line in link.lines if "refused" in line]
    assert len(refused) == 1
    assert refused[0].startswith(f"refused 1 on {SWARM}/_a/f1/tasks/complete: ")


def test_nobody_hears_of_an_epoch_that_could_not_be_written(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    full, tried, commit = threading.Event(), threading.Event(), Journal.commit
    full.set()

    def refuse(journal: Journal, *args: Any) -> None:
        if full.is_set():
            tried.set()
            raise sqlite3.OperationalError("database or disk is full")
        commit(journal, *args)

    monkeypatch.setattr(Journal, "commit", refuse)
    dispatcher = scene.dispatcher()
    assert tried.wait(10)
    until(lambda: bool(scene.heard(Kind.ALERT, name="journal")))
    assert scene.retained() is None
    assert not dispatcher.leading
    full.clear()
    scene.leads(dispatcher, 1)
    until(lambda: scene.retained() is not None)


def test_a_journal_that_cannot_be_written_is_its_trouble(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene.dispatcher()
    scene.leads(first, 1)
    assert first.complaint == ""
    assert first.shell is not None

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(first.shell.engine.journal, "commit", full)
        scene.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
        until(lambda: first.complaint, what="it says why")
        assert first.complaint == (
            f"nothing is accepted, its journal {scene.folder / 'box' / 'dispatch.db'} cannot be written: "
            "OperationalError: database or disk is full: make room on that disk"
        )
    until(lambda: not first.complaint, what="it goes on")
    until(lambda: scene.heard(Kind.TASK_QUEUED, task_id="t"), what="t to be journaled")
