"""A clock that is off is told by whose it is and by how much; what others repeat tells nothing of a clock."""

import msgspec
import pytest

from swarm_tui.domain.dispatch import DispatchSettings, step
from swarm_tui.domain.dispatch.freshness import REPLAYED
from swarm_tui.domain.dispatch.model import Refuse
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import RULES, SWARM, World, of


class Clocks(World):
    def __init__(self) -> None:
        super().__init__(DispatchSettings(rules=RULES, proved=True))
        self.agent("w")
        self.beats: list[Event] = []

    def beat(self, off: float = 0.0) -> list[str]:
        """A heartbeat of an agent whose clock is off; what the dispatcher warns of."""
        self.tick(10.0)
        writer = Writer(SWARM, "w", "general", new_id=self._id, clock=lambda: self.wall + off)
        message = writer.message(Kind.HEARTBEAT, b.Heartbeat(agent_id="w", incarnation="i1"))
        event = decode(SWARM, message.topic, message.payload, False, self.wall, lambda *_: "agent:w@box")
        assert isinstance(event, Event)
        self.beats.append(event)
        return self.told(event)

    def told(self, event: Event) -> list[str]:
        said = self._carry_out(step(self.state, event, self.moment()))
        return [alert.message for alert in of(said, Kind.ALERT)]


@pytest.mark.parametrize(("off", "word"), [(-312.0, "312 s behind ours"), (4000.0, "4000 s ahead of ours")])
def test_it_is_told_once_with_its_agent_and_again_when_it_is_right(off: float, word: str) -> None:
    world = Clocks()
    assert world.beat() == []
    # One that is set back looks at first like its own beats, said again.
    (message,) = [alert for _ in range(9) for alert in world.beat(off)]
    assert message.startswith(f"the clock of w (box) is {word}")
    assert [world.beat(off) for _ in range(5)] == [[]] * 5
    assert world.beat() == ["the clock of w is right again"]
    assert world.beat() == []


@pytest.mark.parametrize("off", [-55.0, 0.0, 55.0])
def test_a_minute_is_no_matter(off: float) -> None:
    world = Clocks()
    assert [world.beat(off) for _ in range(10)] == [[]] * 10


def test_what_somebody_says_again_tells_nothing_of_a_clock() -> None:
    world = Clocks()
    for _ in range(30):
        world.beat()
    old = list(world.beats)
    world.tick(30.0)
    for event in old:
        assert world.told(msgspec.structs.replace(event, received=world.wall)) == []


def test_a_command_that_came_too_late_says_whose_clock_it_may_be() -> None:
    writer = Writer(SWARM, "operator:ann@box", "operator", new_id=lambda: "act-1", clock=lambda: 1000.0)
    message = writer.message(Kind.TASK_APPROVE, b.TaskAct(task_id="t"))
    heard = decode(SWARM, message.topic, message.payload, False, 1372.0, lambda *_: "operator:ann")
    assert isinstance(heard, Rejected)
    assert (heard.late, heard.unproved) == ("act-1", False)
    assert heard.reason == (
        "a command of operator:ann that expired 312 s ago: that clock is 372 s behind the one here, or it came so late"
    )


def test_of_two_beats_that_are_said_at_once_neither_is_taken_for_a_repeat() -> None:
    world, refused = Clocks(), list[str]()

    def hear(event: Event) -> None:
        refused.extend(one.why for one in step(world.state, event, world.moment()) if isinstance(one, Refuse))

    for _ in range(3):
        world.beat()
    last = world.beats[-1]
    hear(msgspec.structs.replace(last, id="another"))
    hear(msgspec.structs.replace(last, id="overtaken", at=last.at - 0.003))
    assert refused == []
    hear(last)
    hear(world.beats[0])
    assert refused == [REPLAYED] * 2
