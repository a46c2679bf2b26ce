"""Which agents a host has: those of the plan, and of scaled entries as many as are wished."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from swarm_tui.config.model import AgentEntry, Layout, Policy
from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.reconciler import Reconciler
from swarm_tui.supervisor.scaler import Scaler


def wanted(folder: Path, former: dict[str, list[str]], *entries: AgentEntry) -> list[str]:
    plan = Plan(layout=Layout(swarm="s", agents=list(entries)), path="", workdir="/", host="h", session="s")
    nothing = cast(Any, SimpleNamespace(services=None))
    scaler = Scaler({}, Policy(), start=nothing, retire=nothing, before=nothing, elsewhere=nothing, say=nothing)
    reconciler = Reconciler(plan, StateDir(folder), nothing, scaler, nothing, nothing, restart=nothing)
    reconciler.fit_members(former)
    return list(reconciler.wanted())


def test_min_on_one_entry_keeps_no_sibling_of_its_role_from_starting(tmp_path: Path) -> None:
    entries = [
        AgentEntry(role="general", min=1, max=3),
        AgentEntry(role="general", id="builder"),
        AgentEntry(role="general", id="extra", min=1, max=2),
    ]
    assert wanted(tmp_path, {}, *entries) == ["general-01", "builder", "extra-01"]
    before = {"general": ["general-02", "builder", "gone-01"]}
    assert wanted(tmp_path, before, *entries) == ["general-01", "general-02", "builder", "extra-01"]
