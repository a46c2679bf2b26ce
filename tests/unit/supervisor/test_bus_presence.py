"""Silence as the supervisor judges it: nobody is charged with the time that it could not hear."""

from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.unit import Phase, Unit


def test_silence_while_all_stood_still_is_nobodys() -> None:
    units = {}
    for name in ("a", "b"):
        spec = RunSpec(agent_id=name, role="general", swarm="s", broker=Broker(), workdir="/", state_dir="/")
        units[name] = Unit(spec)
        units[name].phase, units[name].presence.heard = Phase.RUNNING, 100.0
    presences = Presences(units, "here")

    def silent(now: float) -> list[str]:
        return [unit.agent_id for unit in presences.silent(now, after=35.0, bus_since=0.0, echo=now)]

    assert silent(134.0) == []
    assert silent(220.0) == ["a", "b"]
    presences.stood_still(220.0)
    assert silent(220.0) == []
    assert silent(254.0) == []
    units["a"].presence.heard = 250.0
    assert silent(256.0) == ["b"]
