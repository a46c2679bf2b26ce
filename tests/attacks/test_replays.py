"""Words that were proved once and are said again by somebody who heard them, against the dispatcher's own decisions."""

from typing import Any

import msgspec
import pytest

from swarm_tui.domain.dispatch import DispatchSettings, step
from swarm_tui.domain.dispatch.model import Refuse, TypePolicy
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.proof import Proof
from swarm_tui.protocol.raw import UnprovedError
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.host_link import OrdersOnce
from tests.unit.dispatch.world import SWARM, World, offers

RULES = {"noop": TypePolicy(roles=("general",), max_attempts=5)}


class Proved(World):
    """A dispatcher's core where words are proved; `keep` writes down what is said, `again` says it once more."""

    def __init__(self) -> None:
        self.kept: dict[str, Event] = {}
        self.refused: list[str] = []
        super().__init__(DispatchSettings(rules=RULES, proved=True))

    def say(self, name: str, kind: Kind, body: b.Body, key: str = "", proved_by: str = "agent:a@home") -> list[Any]:
        writer = Writer(SWARM, "a", "general", new_id=self._id, clock=lambda: self.wall)
        message = writer.message(kind, body, key)
        event = decode(SWARM, message.topic, message.payload, False, self.wall, lambda *_: proved_by)
        assert isinstance(event, Event), event
        self.kept[name] = event
        return self.again(name)

    def again(self, name: str) -> list[Any]:
        actions = step(self.state, self.kept[name], self.moment())
        self.refused += [action.why for action in actions if isinstance(action, Refuse)]
        return self._carry_out(actions)

    def birth(self, name: str, incarnation: str) -> list[Any]:
        body = b.Status(status="online", role="general", incarnation=incarnation, started_at=self.wall, pid=1)
        return self.say(name, Kind.STATUS, body, "a")

    def heart(self, name: str, *held: dict[str, Any], incarnation: str = "i1") -> list[Any]:
        body = b.Heartbeat(agent_id="a", incarnation=incarnation, state="online", tasks=list(held))
        return self.say(name, Kind.HEARTBEAT, body)

    def given(self) -> dict[str, Any]:
        """A task in the agent's hands; how the agent names it."""
        self.birth("birth", "i1")
        offer = offers(self.say("task", Kind.TASK_NEW, b.Task(task_id="t", type="noop", payload={})))[0].body
        lease = {"task_id": "t", "attempt": offer.attempt, "epoch": offer.epoch}
        self.tick(0.1)
        self.say("started", Kind.TASK_STARTED, b.Started(agent_id="a", **lease))
        assert self.job("t").state is TaskState.RUNNING
        return lease


@pytest.fixture
def world() -> Proved:
    return Proved()


@pytest.mark.parametrize("what", ["beat", "started", "progress"])
def test_a_dead_agents_words_said_again_keep_no_task_from_the_others(world: Proved, what: str) -> None:
    lease = world.given()
    world.say("progress", Kind.TASK_PROGRESS, b.Progress(agent_id="a", message="half", **lease))
    world.heart("beat", lease)
    for _ in range(60):
        world.tick(1.0)
        world.again(what)
    assert world.job("t").state is not TaskState.RUNNING
    assert not offers(world.agent("c", incarnation="i9", capacity=0))


def test_words_that_are_new_renew_a_lease(world: Proved) -> None:
    lease = world.given()
    for number in range(90):
        world.tick(1.0)
        world.heart(f"beat-{number}", lease)
    assert world.job("t").state is TaskState.RUNNING
    assert world.job("t").attempt == 1


def test_a_clock_that_is_set_back_silences_no_agent(world: Proved) -> None:
    lease = world.given()
    world.heart("before", lease)
    world.wall -= 3600.0
    for number in range(90):
        world.tick(1.0)
        world.heart(f"beat-{number}", lease)
    assert world.job("t").state is TaskState.RUNNING


def test_an_old_heartbeat_makes_no_agent_live(world: Proved) -> None:
    world.heart("beat")
    world.tick(100.0)
    world.again("beat")
    record = world.state.agents["a"]
    assert world.now - (record.seen or 0.0) > 90.0


def test_an_agent_that_came_back_with_another_clock_is_offered_tasks(world: Proved) -> None:
    world.birth("birth", "i1")
    world.wall -= 3600.0
    world.say("will", Kind.STATUS, b.Status(status="offline", incarnation="i1"), "a")
    world.birth("later", "i2")
    world.heart("beat", incarnation="i2")
    assert offers(world.say("task", Kind.TASK_NEW, b.Task(task_id="t", type="noop", payload={})))


def test_an_order_is_carried_out_once_while_it_could_be_and_memory_is_bounded() -> None:
    once = OrdersOnce()
    body = b.HostControl(command="restart", agent_id="a")
    at = 1000.0
    for number in range(5):
        writer = Writer(SWARM, "x", "operator", new_id=lambda n=number: f"id-{n}", clock=lambda t=at: t)  # type: ignore[misc]
        message = writer.message(Kind.HOST_CONTROL, body, "home")
        event = decode(SWARM, message.topic, message.payload, False, at)
        assert isinstance(event, Event)
        assert once.is_first(event)
        assert not once.is_first(event)
        # It can still be read at its last moment, and no later.
        late = decode(SWARM, message.topic, message.payload, False, at + 60.0)
        assert isinstance(late, Event)
        assert not once.is_first(late)
        assert isinstance(decode(SWARM, message.topic, message.payload, False, at + 61.0), Rejected)
        at += 200.0
    assert len(once.until) == 1


def test_an_envelope_in_anothers_name_is_judged_as_that_others() -> None:
    def judge(kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        if agent_id == "worker-01":
            raise UnprovedError("not yours")
        return ""

    for outer, inner in (("worker-01", "mallory"), ("mallory", "worker-01")):
        writer = Writer(SWARM, outer, "general", new_id=lambda: "1", clock=lambda: 1.0)
        message = writer.message(Kind.HEARTBEAT, b.Heartbeat(agent_id=inner))
        assert isinstance(decode(SWARM, message.topic, message.payload, False, 1.0, judge), Rejected)


def test_a_guests_result_of_a_task_that_is_forgotten_is_acked_so_that_it_is_said_no_more(world: Proved) -> None:
    world.birth("birth", "i1")
    guest = b.Status(status="online", role="general", incarnation="g1", started_at=world.wall, pid=2)
    world.say("guest", Kind.STATUS, guest, "g", proved_by="")
    told = b.Complete(task_id="gone", agent_id="g", attempt=1, epoch=1, result="x")
    for agent_id, acked in (("g", ["g"]), ("a", []), ("mallory", [])):
        body = msgspec.structs.replace(told, agent_id=agent_id)
        says = world.say("told", Kind.TASK_COMPLETE, body, proved_by="")
        assert [say.key for say in says if isinstance(say.body, b.Inbox) and say.body.command == "ack"] == acked
    assert world.refused == ["an answer of one who was not asked"] * 3
