"""What is refused is counted, told by its first ones, and an alert while it repeats."""

import pytest

from swarm_tui.agent.roles.task_manager.refusals import HINTS, MANY, OVER_AFTER, WITHIN, Refusals
from swarm_tui.identity.acl import told
from swarm_tui.identity.keyring import GUEST
from swarm_tui.protocol.bodies import Alert
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Rejected
from swarm_tui.protocol.versions import OTHER_VERSION

WHY = "an order without proof"


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.alerts: list[Alert] = []
        self.refusals = Refusals(self.lines.append, self.alerts.append)

    def add(self, now: float, times: int = 1) -> None:
        self.refusals.add(WHY, now, place="s/tasks/approve", who="mallory", times=times)


def test_an_alert_is_raised_once_while_they_repeat_and_lowered_when_they_are_over() -> None:
    said = Told()
    for number in range(20):
        said.add(number * 1.0)
        said.refusals.tick(number * 1.0)
    assert [(a.active, a.name) for a in said.alerts] == [(True, f"refused:{WHY}")]
    assert "s/tasks/approve by mallory" in said.alerts[0].message
    said.refusals.tick(19.0 + OVER_AFTER - 1)
    assert len(said.alerts) == 1
    said.refusals.tick(19.0 + OVER_AFTER)
    assert [a.active for a in said.alerts] == [True, False]
    assert said.refusals.row("work", "h") == {"guests": "work", "refused": {WHY: 20}, "halt": "h"}
    assert said.refusals.row("work", "h", "bad release")["halted"] == "bad release"


def test_another_version_is_told_while_it_is_heard() -> None:
    said, hint = Told(), "a dispatcher claims to lead and proves nothing\x1b"
    for number in range(3):
        said.refusals.add(WHY, float(number), hint=hint)
    assert [(a.name, a.active, a.severity) for a in said.alerts] == [(OTHER_VERSION, True, "warning")]
    assert said.refusals.row("work", "")["hints"] == [said.alerts[0].message]
    assert said.alerts[0].message.isprintable()
    for number in range(100):
        said.refusals.add(f"{WHY} {number}", 4.0, hint=f"{number}, by whoever chooses the words")
    assert len(said.alerts) == HINTS, "no more are told without a pause"
    said.refusals.add(WHY, 15.0, hint="a late one")
    told = said.refusals.row("work", "")["hints"]
    assert isinstance(told, list)
    assert (len(told), told[-1]) == (HINTS, "a late one")
    said.refusals.tick(15.0 + OVER_AFTER)
    assert [a.active for a in said.alerts] == [True] * (HINTS + 1) + [False]
    assert "hints" not in said.refusals.row("work", "")
    said.refusals.add(WHY, 300.0, hint=hint)
    assert said.alerts[-1].active


def test_a_few_in_a_long_time_are_no_alert() -> None:
    said = Told()
    for number in range(10):
        said.add(number * WITHIN)
    assert said.alerts == []
    assert len(said.lines) == 2, "the first and the tenth are told"


def test_many_at_once_are_told_once() -> None:
    said = Told()
    said.add(1.0, times=20_000)
    assert len(said.lines) == 1
    assert "20,000 so far" in said.lines[0]
    assert len(said.alerts) == 1
    assert MANY < 20_000


@pytest.mark.parametrize(
    ("raw", "who"),
    [
        (b'{"agent_id":"mallory","payload":3}', "mallory"),
        (b'{"id":"1","agentId": "m-2","payload":3}', "m-2"),
        (b'{"payload":3,"proof":"operator:eve swarm=x"}', "operator:eve"),
        (b"\xff\xfe", ""),
        (b'{"agent_id":"\x1b[31m"}', ""),
    ],
)
def test_a_refusal_names_who_it_says_has_said_it(raw: bytes, who: str) -> None:
    heard = decode("s", "s/tasks/approve", raw, False, 1.0, GUEST.judge)
    assert isinstance(heard, Rejected)
    assert heard.who == who


def test_how_a_swarm_is_guarded_is_said_in_a_few_words() -> None:
    words = [told(guests) for guests in ("none", "publish", "work", None, "anything")]
    assert words == ["closed", "open to guests: publish", "open to guests: work", "unguarded", "unguarded"]
