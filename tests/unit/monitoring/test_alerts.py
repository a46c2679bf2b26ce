"""The rules: what is warned of and what is not, and that a warning is said once, repeated, and taken back."""

import pytest

from swarm_tui.domain.alerts import Alarm, Limits, Past, findings
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.bodies import Alert
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.topics import Kind as K
from tests.unit.fleet.swarm import SWARM, Paper


class Watched(Paper):
    """A swarm on paper with the rules watching."""

    def __init__(self) -> None:
        super().__init__()
        self.past = Past(Limits())

    def say(self, sender, kind, body, key="", *, retained=False):  # type: ignore[no-untyped-def]
        event = self.event(sender, kind, body, key, retained=retained)
        changes = self.fleet.apply(event, self.now)
        self.past.note(self.fleet, event, changes, self.now)
        return changes

    def names(self) -> set[str]:
        self.past.forget(self.fleet, self.now)
        return set(findings(self.fleet, self.past, self.now))

    def task(self, name: str, ok: bool) -> None:
        self.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id=name, agent_id="a1", attempt=1, epoch=1))
        if ok:
            self.say("a1", K.TASK_COMPLETE, b.Complete(task_id=name, agent_id="a1", attempt=1))
        else:
            self.say("a1", K.TASK_FAILED, b.Failed(task_id=name, agent_id="a1", attempt=1))


@pytest.fixture
def swarm() -> Watched:
    made = Watched()
    made.birth("a1")
    made.birth("a2")
    return made


def test_a_calm_swarm_warns_of_nothing(swarm: Watched) -> None:
    for number in range(20):
        swarm.task(f"t{number}", ok=number % 3 != 0)
    swarm.pass_time(60, beating=("a1", "a2"))
    assert swarm.names() == set()


def test_a_lost_agent(swarm: Watched) -> None:
    swarm.pass_time(50, beating=("a2",))
    assert swarm.names() == {"agent:a1"}
    swarm.beat("a1")
    assert swarm.names() == set()


def test_an_agent_that_vanishes(swarm: Watched) -> None:
    swarm.birth("a1", status="offline")
    assert swarm.names() == {"agent:a1"}
    swarm.birth("a1", "i2")
    assert swarm.names() == set()


def test_all_silent_is_one_warning(swarm: Watched) -> None:
    swarm.pass_time(60)
    assert swarm.names() == {"silence"}


def test_a_task_that_waits_too_long(swarm: Watched) -> None:
    swarm.say("o", K.TASK_NEW, b.Task(task_id="t", type="x"))
    swarm.say("tm", K.TASK_QUEUED, b.Queued(task_id="t"))
    swarm.pass_time(290, beating=("a1", "a2"))
    assert swarm.names() == set()
    swarm.pass_time(20, beating=("a1", "a2"))
    assert swarm.names() == {"queue-age"}
    swarm.say("o", K.HALT, b.Halt(reason="wait"))
    assert swarm.names() == set(), "halted: waiting is what was asked for"


def test_most_tasks_fail(swarm: Watched) -> None:
    for number in range(4):
        swarm.task(f"t{number}", ok=False)
    assert swarm.names() == set(), "four are not enough to judge"
    swarm.task("t4", ok=True)
    assert swarm.names() == {"failure-rate"}
    swarm.now += 700
    assert swarm.names() == set()


def test_restarts_of_one_and_of_many(swarm: Watched) -> None:
    for restarts in range(4):
        panes = [b.PaneStatus(agent_id="a1", pid=restarts, restarts=restarts)]
        swarm.say("h", K.HOST_STATUS, b.HostStatus(panes=panes), "h")
    assert swarm.names() == {"restarts:a1"}
    for restarts in range(4):
        panes = [
            b.PaneStatus(agent_id="a1", pid=3, restarts=3),
            b.PaneStatus(agent_id="a2", pid=restarts, restarts=restarts),
        ]
        swarm.say("h", K.HOST_STATUS, b.HostStatus(panes=panes), "h")
    assert swarm.names() == {"restarts:a1", "restarts:a2", "restart-storm"}
    swarm.now += 130
    assert swarm.names() == set()


def test_restarts_before_we_came_are_no_storm(swarm: Watched) -> None:
    swarm.say("h", K.HOST_STATUS, b.HostStatus(panes=[b.PaneStatus(agent_id="a1", pid=1, restarts=50)]), "h")
    assert swarm.names() == set()


def test_a_clock_that_is_off(swarm: Watched) -> None:
    message = swarm.writer("a1").message(K.HEARTBEAT, b.Heartbeat(agent_id="a1"))
    event = decode(SWARM, message.topic, message.payload, False, swarm.now + 30)
    assert event is not None
    changes = swarm.fleet.apply(event, swarm.now)
    swarm.past.note(swarm.fleet, event, changes, swarm.now)
    found = findings(swarm.fleet, swarm.past, swarm.now)
    assert found["clock:a1"].message == "the clock of a1 is 30 s behind ours"


def test_a_flood_of_unreadable_messages(swarm: Watched) -> None:
    for _ in range(20):
        event = decode(SWARM, f"{SWARM}/tasks/new", b"\xff", False, swarm.now)
        assert event is not None
        swarm.past.note(swarm.fleet, event, swarm.fleet.apply(event, swarm.now), swarm.now)
    assert swarm.names() == {"refused"}


def test_a_dispatcher_that_stays_away(swarm: Watched) -> None:
    swarm.say("tm", K.DISPATCHER, b.Dispatcher(instance="x", epoch=1, online=False, agent_id="tm"))
    assert swarm.names() == set()
    swarm.now += 40
    assert swarm.names() == {"dispatcher"}


def test_an_alarm_is_raised_once_repeated_and_taken_back() -> None:
    alarm, alert = Alarm(), Alert(name="n", severity="warning", message="m")
    assert alarm.step({"n": alert}, 0.0) == [alert]
    assert alarm.step({"n": alert}, 10.0) == []
    assert alarm.step({"n": alert}, 301.0) == [alert]
    worse = Alert(name="n", severity="critical", message="m")
    assert alarm.step({"n": worse}, 302.0) == [worse]
    assert alarm.step({}, 310.0) == [], "gone for a moment is not over"
    assert [(over.name, over.active) for over in alarm.step({}, 320.0)] == [("n", False)]
    assert alarm.now() == []
    alarm.step({"n": alert}, 330.0)
    assert [over.active for over in alarm.clear_all()] == [False]


def test_alarms_are_bounded() -> None:
    alarm = Alarm()
    alarm.step({str(n): Alert(name=str(n)) for n in range(1000)}, 0.0)
    assert len(alarm.now()) == 200
