"""The dispatcher's shell by hand: what it hears of itself, and what it takes while another may lead."""

import itertools
from queue import SimpleQueue

import pytest

from swarm_tui.agent.roles.task_manager import shell
from swarm_tui.agent.roles.task_manager.engine import Clocks, Engine
from swarm_tui.agent.roles.task_manager.shell import DispatcherShell, Inbound
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.domain.dispatch import DispatchSettings
from swarm_tui.domain.leadership import Leadership, Phase
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, everything
from tests.unit.dispatch.world import RULES, SWARM


class ByHand:
    """A shell whose turns and time are the test's, on a broker that delivers at once; `said` is all that is said."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ids = map(str, itertools.count())
        self.broker = MemoryBroker()
        self.said: list[Event] = []
        self.left: list[str] = []
        self.clocks = Clocks(lambda: self.now, lambda: 1.7e9 + self.now, lambda: 0.5)
        self.bus = MemoryBus(self.broker, "ear")
        self.bus.subscribe(everything(SWARM))
        self.bus.start(self._hear, lambda link: None)
        self.shell = self._make()

    def _make(self) -> DispatcherShell:
        spec = RunSpec(
            agent_id="tm", role="task-manager", swarm=SWARM, broker=Broker(), host="box", workdir=".", state_dir=".",
        )  # fmt: skip
        inbound: SimpleQueue[Inbound] = SimpleQueue()
        engine = Engine(
            DispatchSettings(rules=RULES), Journal(None), self.writer("tm"), self.clocks, log=lambda line: None
        )
        return DispatcherShell(
            spec, engine, Leadership("box/1", "tm", new_marker=self._id, now=self.now), self.clocks,
            lambda name, clean: MemoryBus(self.broker, name, clean=clean), new_id=self._id, log=lambda line: None,
            leave=self.left.append, complain=lambda sentence: None, inbound=inbound, put=inbound.put,
        )  # fmt: skip

    def writer(self, sender: str) -> Writer:
        return Writer(SWARM, sender, "general", new_id=self._id, clock=self.clocks.wall)

    def _id(self) -> str:
        return next(self.ids)

    def _hear(self, full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, self.clocks.wall())
        if isinstance(event, Event):
            self.said.append(event)

    def say(self, kind: Kind, body: b.Body, sender: str = "x") -> None:
        self.bus.publish(self.writer(sender).message(kind, body))

    def lead(self) -> None:
        """Turn by turn until it leads."""
        self.shell.begin()
        for _ in range(5):
            self.shell.work()
        assert self.shell.leading

    def tasks(self, kind: Kind) -> list[str]:
        return [getattr(event.body, "task_id", "") for event in self.said if event.kind is kind]


@pytest.fixture
def by_hand() -> ByHand:
    made = ByHand()
    made.lead()
    return made


def test_the_echo_of_an_assignment_is_not_read_and_the_claim_of_another_is(by_hand: ByHand) -> None:
    heard: list[Inbound] = []
    by_hand.shell._put = heard.append
    ours = by_hand.writer("tm").message(Kind.TASK_ASSIGNED, b.Assigned(task_id="ours", agent_id="w"))
    by_hand.shell._publish([(ours, None)])
    by_hand.say(Kind.TASK_ASSIGNED, b.Assigned(task_id="theirs", agent_id="w"))
    claims = [e.body.task_id for e in heard if isinstance(e, Event) and isinstance(e.body, b.Assigned)]
    assert claims == ["theirs"]
    # Its second coming is another's: a claim with the same bytes was not said by us twice.
    by_hand.bus.publish(ours)
    assert [e.body.task_id for e in heard if isinstance(e, Event) and isinstance(e.body, b.Assigned)][-1] == "ours"


@pytest.mark.parametrize("another", [True, False])
def test_what_a_lost_connection_brought_last_is_taken_only_when_nobody_else_had_it(
    by_hand: ByHand, another: bool
) -> None:
    """The broker did not see it acknowledged, and gave it to the one that came: accepted here, nobody would know it."""
    by_hand.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    bus = by_hand.shell.bus
    assert isinstance(bus, MemoryBus)
    bus.drop()
    if another:
        by_hand.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=2, online=True))
    bus.restore()
    by_hand.shell.work()
    assert by_hand.tasks(Kind.TASK_QUEUED) == ([] if another else ["t"])
    assert by_hand.shell.leading is not another


@pytest.mark.parametrize("slept", [True, False])
def test_what_waited_while_its_process_stood_still_is_not_taken_at_once(by_hand: ByHand, slept: bool) -> None:
    """Another may have been brought up meanwhile: what lies in its own socket, the broker gave to that one too."""
    by_hand.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    by_hand.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=2, online=True))
    by_hand.now += 31.0 if slept else 1.0
    assert by_hand.shell.work() is None
    assert by_hand.left == ["far/1 leads with epoch 2"]
    assert by_hand.tasks(Kind.TASK_QUEUED) == ([] if slept else ["t"])


def test_after_a_sleep_in_which_nobody_else_came_it_goes_on(by_hand: ByHand) -> None:
    by_hand.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    by_hand.now += 31.0
    assert by_hand.shell.work() is not None
    assert by_hand.tasks(Kind.TASK_QUEUED) == ["t"]


def test_nothing_more_is_taken_once_another_leads(by_hand: ByHand) -> None:
    """What comes in one go with the other's word is the other's to take."""
    by_hand.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=2, online=True))
    by_hand.say(Kind.TASK_NEW, b.Task(task_id="t", type="noop"))
    assert by_hand.shell.work() is None
    assert by_hand.tasks(Kind.TASK_QUEUED) == []
    assert not by_hand.shell.leading


def test_a_rival_that_began_while_it_adopted_is_not_spoken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two were brought up at once: the one whose claim comes later has heard the other's, and must not lead too."""
    monkeypatch.setattr(shell, "BATCH", 1)
    one = ByHand()
    one.shell.begin()
    while one.shell.leadership.phase is Phase.LOOKING:
        one.shell.work()
    # Its session is open, and its own word has not come back yet.
    one.say(Kind.DISPATCHER, b.Dispatcher(instance="far/1", epoch=1, online=True))
    while one.shell.work() is not None:
        assert not one.shell.leading
    one.shell.end()
    assert one.left == ["far/1 leads with epoch 1"]
    assert [e.body.instance for e in one.said if isinstance(e.body, b.Dispatcher)] == ["far/1"]
