"""Whose wish counts for a scaled role: the dispatcher's, a person's, and what other hosts already give it."""

from collections.abc import Callable

import pytest

from swarm_tui.config.model import Broker, Policy, RunSpec
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.scaler import Scaler
from swarm_tui.supervisor.unit import Phase, Unit

NAMES = [f"testing-{number:02d}" for number in range(1, 7)]


class Host:
    """A scaler whose agents start and end at once; `others` of the role run on hosts that come first."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self.said: list[str] = []
        self.others = 0
        self.scaler = Scaler(
            self.units,
            Policy(scale_down_every=0.0),
            start=self.start,
            retire=self.retire,
            before=lambda role: self.others,
            elsewhere=lambda: self.others,
            say=lambda what, agent_id, reason: self.said.append(reason),
        )
        self.scaler.limits = {"testing": (1, 4)}
        self.scaler.candidates = {"testing": NAMES}
        self.scaler.members = {"testing": NAMES[:1]}
        self.start(NAMES[0])

    def start(self, agent_id: str) -> None:
        spec = RunSpec(agent_id=agent_id, role="testing", swarm="s", broker=Broker(), workdir="/", state_dir="/")
        self.units[agent_id] = Unit(spec)
        self.units[agent_id].phase = Phase.RUNNING

    def retire(self, unit: Unit, then: Callable[[], None]) -> None:
        del self.units[unit.agent_id]
        then()

    def number(self) -> int:
        return len(self.units)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(processes, "memory_left", lambda: 8 << 30)
    return Host()


def test_the_dispatchers_wish_rises_and_sinks(host: Host) -> None:
    host.scaler.set_desired("testing", 3, retained=False)
    assert host.number() == 3
    host.scaler.set_desired("testing", 2, retained=False)
    assert host.number() == 2
    assert ["up by 2" in line or "down to 2" in line for line in host.said] == [True, True]


def test_a_wish_that_only_sinks_brings_nobody_back_that_a_person_let_go(host: Host) -> None:
    host.scaler.set_desired("testing", 4, retained=False)
    assert host.scaler.set_minimum("testing", 1) == ""
    assert host.number() == 1
    host.scaler.set_desired("testing", 3, retained=False)
    assert host.number() == 1
    host.scaler.set_desired("testing", 4, retained=False)
    assert host.number() == 4


def test_what_a_person_asked_for_outlives_the_supervisor(host: Host) -> None:
    host.scaler.restore({"testing": 2})
    host.scaler.set_desired("testing", 4, retained=True)
    host.scaler.tick()
    assert host.number() == 2


def test_hosts_share_a_wish(host: Host) -> None:
    host.others = 3
    host.scaler.set_minimum("testing", 5)
    assert host.number() == 2
    host.others = 0
    host.scaler.tick()
    assert host.number() == 4


def test_what_limits_is_said_each_time_a_person_asks(host: Host) -> None:
    host.scaler.set_minimum("testing", 9)
    host.scaler.set_minimum("testing", 9)
    assert sum("1 to 4" in line for line in host.said) == 2
    assert "`min` and `max` there, then run `swarm-tui up` again" in host.scaler.set_minimum("docs", 2)


def test_memory_and_the_fleets_cap_stop_it_and_are_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "memory_left", lambda: 300 << 20)
    host.scaler.set_desired("testing", 4, retained=False)
    assert host.number() == 1
    assert "memory" in host.said[-1]
    monkeypatch.setattr(processes, "memory_left", lambda: 8 << 30)
    host.scaler.policy = Policy(max_agents=2)
    host.others = 1
    host.scaler.tick()
    assert host.number() == 1
    host.others = 0
    host.scaler.tick()
    assert host.number() == 2
    assert any("cap" in line for line in host.said)


def test_the_first_of_each_entry_is_never_let_go(host: Host) -> None:
    host.scaler.limits = {"testing": (2, 4)}
    host.scaler.candidates = {"testing": [*NAMES[:3], "other-01"]}
    host.scaler.always = {NAMES[0], "other-01"}
    host.scaler.members = {"testing": [NAMES[0], "other-01"]}
    host.start("other-01")
    host.scaler.set_desired("testing", 4, retained=False)
    assert set(host.units) == {"other-01", *NAMES[:3]}
    host.scaler.set_minimum("testing", 0)
    host.scaler.set_desired("testing", 1, retained=False)
    assert set(host.units) == {"other-01", NAMES[0]}
