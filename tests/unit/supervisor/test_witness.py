"""Who is hung, and where process, pane and bus disagree."""

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.domain import witness
from swarm_tui.domain.restart import History
from swarm_tui.domain.witness import AgentPulse, judge, silent_ones
from swarm_tui.protocol.bodies import HostStatus, PaneStatus
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.unit import Phase, Unit


def silent(
    pulses: list[AgentPulse], now: float = 1000.0, bus_since: float | None = 0.0, echo: float | None = 999.0
) -> list[str]:
    return silent_ones(pulses, now, silent_after=35.0, bus_since=bus_since, echo=echo)


def fleet(*ages: float) -> list[AgentPulse]:
    return [AgentPulse(agent_id=f"a{number}", last=1000.0 - age) for number, age in enumerate(ages)]


def test_one_silent_among_others_is_hung() -> None:
    assert silent(fleet(1, 40, 2)) == ["a1"]


def test_all_silent_together_is_the_broker() -> None:
    assert silent(fleet(40, 41, 50)) == []


def test_a_lone_agent_can_hang() -> None:
    assert silent(fleet(40)) == ["a0"]


@given(st.lists(st.floats(0, 500), min_size=1, max_size=20), st.none() | st.floats(966, 1000))
def test_nobody_is_judged_over_a_young_or_missing_link(ages: list[float], since: float | None) -> None:
    assert silent(fleet(*ages), bus_since=since) == []


@given(st.lists(st.floats(0, 500), min_size=1, max_size=20), st.none() | st.floats(0, 980))
def test_nobody_is_judged_while_we_do_not_hear_ourselves(ages: list[float], echo: float | None) -> None:
    assert silent(fleet(*ages), echo=echo) == []


def seen(**known: object) -> witness.Testimony:
    facts: dict[str, object] = {"pane": True, "alive": True, "in_layout": True, "heard": True, "pid": 7}
    return witness.Testimony(**(facts | known))  # type: ignore[arg-type]


def test_agreement_has_no_name() -> None:
    assert judge(seen(bus_pids=frozenset({7}))) is None


def test_each_disagreement_has_its_name() -> None:
    assert judge(seen(silent=True, heard=False)) == "hung"
    assert judge(seen(bus_pids=frozenset({7, 8}))) == "split"
    assert judge(seen(elsewhere=True)) == "split"
    assert judge(seen(in_layout=False)) == "stray"
    assert judge(seen(pane=False, alive=False)) == "foreign"
    assert judge(seen(pane=False, alive=False, elsewhere=True)) is None


def test_a_stray_that_says_nothing_is_left_to_a_person() -> None:
    units = {}
    for name in ("ours", "stray"):
        spec = RunSpec(agent_id=name, role="docs", swarm="s", broker=Broker(), workdir="/", state_dir="/")
        units[name] = unit = Unit(spec)
        unit.phase, unit.saved.pid = Phase.RUNNING, 1
        unit.saved.history = History(started_at=100.0)
    units["stray"].in_layout = False
    silent = Presences(units, "here").silent(200.0, after=35.0, bus_since=100.0, echo=199.0)
    assert [unit.agent_id for unit in silent] == ["ours"]


def test_what_another_host_said_holds_for_a_while_and_not_for_ever() -> None:
    here = Presences({}, "near")

    def say(status: str, now: float) -> None:
        writer = Writer("s", "supervisor:far", "supervisor", new_id=lambda: "i", clock=lambda: now)
        rows = [PaneStatus(agent_id="a", role="docs", pid=7, state="online")] if status == "online" else []
        said = writer.message(Kind.HOST_STATUS, HostStatus(status=status, panes=rows), "far")
        event = decode("s", said.topic, said.payload, True, now)
        assert isinstance(event, Event)
        here.hear(event, now)

    def listen(now: float, bus_since: float | None) -> str | None:
        here.silent(now, after=35.0, bus_since=bus_since, echo=now)
        return here.host_of("a")

    say("online", 100.0)
    assert (listen(130.0, 0.0), here.others(), here.before("docs")) == ("far", True, 1)
    assert listen(500.0, None) == listen(500.0, 490.0) == "far"
    say("online", 500.0)
    say("offline", 510.0)
    assert (listen(530.0, 0.0), here.others()) == ("far", False)
    assert listen(536.0, 0.0) is None
