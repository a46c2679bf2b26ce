"""Each sender has its rate at the door, and nobody spends another's."""

from typing import Any

import msgspec
import pytest

from swarm_tui.identity.door import FORGED_AT_ONCE, GUESTS_AT_ONCE, NAMED_AT_ONCE, OVER, OVER_ITS_RATE, Door
from swarm_tui.identity.keyring import GUEST, Keyring, SwarmKeyring
from swarm_tui.identity.registry import Registry
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.live.past import NEWEST, messages_since
from swarm_tui.ui.model.source import Facts
from tests.ui.fake import Clock, FakeSource

SWARM = "opencto-dev"
SECRET = b"s" * 32


class Ground:
    """A dispatcher's door, a clock, and what several parties say."""

    def __init__(self) -> None:
        self.now = 100.0
        self.keys = SwarmKeyring(SECRET, lambda: Registry(home="home"), issuer="swarm")
        self.door = Door(SWARM, self.keys, lambda: self.now)
        host = self.keys.host("home")
        assert host is not None
        self.agent = host.agent("w-1")
        self.person = SwarmKeyring(SECRET, lambda: Registry(home="home"), issuer="operator:ada@home")

    def message(self, keys: Keyring, kind: Kind, body: b.Body, key: str = "") -> Outgoing:
        writer = Writer(SWARM, "w-1", "general", new_id=lambda: "1", clock=lambda: 1000.0, prove=keys.prove)
        return writer.message(kind, body, key)

    def read(self, message: Outgoing) -> Event | Rejected | None:
        return self.door.read(message.topic, message.payload, False, 1000.0)

    def passed(self, message: Outgoing, times: int) -> int:
        return sum(self.read(message) is not OVER for _ in range(times))


@pytest.fixture
def ground() -> Ground:
    return Ground()


TASK = b.Task(task_id="t", type="noop", payload={})
DONE = b.Complete(task_id="t", agent_id="w-1", attempt=1, epoch=1)


def test_guests_share_a_rate_and_take_nothing_of_those_with_keys(ground: Ground) -> None:
    guests = ground.message(GUEST, Kind.TASK_NEW, TASK)
    assert ground.passed(guests, 20_000) == GUESTS_AT_ONCE
    assert ground.door.dropped[OVER_ITS_RATE] == 20_000 - GUESTS_AT_ONCE
    for keys, kind, body in ((ground.person, Kind.TASK_NEW, TASK), (ground.agent, Kind.TASK_COMPLETE, DONE)):
        assert isinstance(ground.read(ground.message(keys, kind, body)), Event)
    ground.now += 1.0
    assert 400 < ground.passed(guests, 20_000) < 600


def test_an_agents_own_flood_of_progress_holds_up_neither_its_answers_nor_others(ground: Ground) -> None:
    progress = ground.message(ground.agent, Kind.TASK_PROGRESS, b.Progress(task_id="t", agent_id="w-1"))
    assert ground.passed(progress, 20_000) == NAMED_AT_ONCE
    assert isinstance(ground.read(ground.message(ground.agent, Kind.TASK_COMPLETE, DONE)), Event)
    assert isinstance(ground.read(ground.message(ground.person, Kind.TASK_NEW, TASK)), Event)


def test_forgeries_in_somebodys_name_spend_nothing_of_its_rate(ground: Ground) -> None:
    forger = SwarmKeyring(b"x" * 32, lambda: Registry(home="home"), issuer="operator:ada@home")
    forged = ground.message(forger, Kind.TASK_NEW, TASK)
    told = sum(ground.read(forged) is not OVER for _ in range(20_000))
    assert told == FORGED_AT_ONCE + 1
    assert ground.passed(ground.message(ground.person, Kind.TASK_NEW, TASK), 1000) == 1000
    # And it is over some time after they stop.
    ground.now += 60.0
    assert isinstance(ground.read(forged), Rejected)
    assert ground.read(forged) is not OVER


def test_the_swarms_own_word_has_no_rate(ground: Ground) -> None:
    orders = Writer(SWARM, "tm", "task-manager", new_id=lambda: "1", clock=lambda: 1000.0, prove=ground.keys.prove)
    message = orders.message(Kind.HALT, b.Halt(reason="x"))
    assert ground.passed(message, 20_000) == 20_000


def test_a_party_without_keys_reads_all(ground: Ground) -> None:
    door = Door(SWARM, GUEST, lambda: ground.now)
    message = ground.message(GUEST, Kind.TASK_NEW, TASK)
    assert all(isinstance(door.read(message.topic, message.payload, False, 1000.0), Event) for _ in range(5_000))


def test_a_clear_of_what_is_retained_is_read(ground: Ground) -> None:
    message = ground.message(GUEST, Kind.TASK_NEW, TASK)
    ground.passed(message, 20_000)
    empty = msgspec.structs.replace(ground.message(GUEST, Kind.DISPATCHER, b.Dispatcher(instance="x")), payload=b"")
    assert isinstance(ground.read(empty), Event)


def test_a_dozen_screens_of_one_person_may_open_at_once(ground: Ground) -> None:
    clock = Clock()
    asked: list[tuple[str, dict[str, Any]]] = []

    class Full(FakeSource):
        def query(self, query: str, args: dict[str, Any]) -> b.Reply:
            asked.append((query, args))
            beat = {"at": 900.0, "topic": f"{SWARM}/agents/heartbeat", "payload": "{}"}
            return b.Reply(query=query, rows=[beat] * NEWEST)

    source = Full(clock, Facts(swarm=SWARM, broker="mqtt://h"))
    messages_since(source, SWARM, 0.0, 1000.0)
    names = ["echo", "tasks", "asks", "guard", "usage", *(query for query, _ in asked)]
    for _ in range(12):
        for name in names:
            question = ground.message(ground.person, Kind.QUERY, b.Query(query=name), "screen-1")
            assert isinstance(ground.read(question), Event), f"{name} is refused"
    assert not ground.door.dropped
