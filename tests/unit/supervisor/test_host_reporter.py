"""What a supervisor says of its host, and when."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from swarm_tui.config.model import Broker, Layout, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.host_reporter import HostReporter
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.state_file import load
from swarm_tui.supervisor.unit import Phase, Unit


def test_the_host_is_not_said_anew_for_each_task(tmp_path: Path) -> None:
    spec = RunSpec(agent_id="a", role="general", swarm="s", broker=Broker(), workdir="/", state_dir="/")
    unit, said, state = Unit(spec), cast("list[Any]", []), StateDir(tmp_path)
    unit.phase, unit.presence.registered = Phase.RUNNING, True
    link = SimpleNamespace(
        is_up=True,
        reason="",
        orders=SimpleNamespace(until={}),
        publish=said.append,
        writer=SimpleNamespace(message=lambda kind, body, key: body.panes[0].state),
    )
    plan = Plan(layout=Layout(swarm="s"), path="/l", workdir="/", host="h", session="s")
    loop = SimpleNamespace(post=lambda call: call())
    reporter = HostReporter(plan, state, cast(Any, loop), cast(Any, link), Presences({"a": unit}, "h"))

    def now(status: str) -> str:
        unit.presence.status = status
        reporter.changed()
        return saved.rows[0].state if (saved := load(state)) is not None else ""

    assert now("online") == "online"
    assert [now("busy"), now("online"), now("busy")] == ["busy", "online", "busy"], "the state file knows at once"
    assert said == ["online"]
    now("draining")
    now("online")
    assert said == ["online", "draining", "online"]
    now("busy")
    reporter.publish()
    reporter.changed()
    assert said == ["online", "draining", "online", "busy"], "it is said with what is repeated"
