"""`min` and `max` on one entry of a role are the matter of that entry: its siblings are there as they are written."""

from pathlib import Path

from swarm_tui.config.model import AgentEntry, Layout
from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor.plan import Plan


def plan_of(*entries: AgentEntry) -> Plan:
    return Plan(layout=Layout(swarm="s", agents=list(entries)), path="", workdir="/", host="h", session="s")


def test_siblings_of_a_scaled_entry_are_always_there(tmp_path: Path) -> None:
    plan = plan_of(
        AgentEntry(role="general", min=1, max=3),
        AgentEntry(role="general", id="builder"),
        AgentEntry(role="general", id="pair", count=2),
        AgentEntry(role="general", id="extra", min=0, max=1),
        AgentEntry(role="testing"),
    )
    assert plan.scaled() == {"general": (1, 4)}
    assert plan.scaled_agents() == ({"general-01"}, {"general-02", "general-03", "extra-01"})
    named = [spec.agent_id for spec in plan.specs(StateDir(tmp_path))]
    assert named == [
        "general-01", "general-02", "general-03", "builder", "pair-01", "pair-02", "extra-01", "testing-01",
    ]  # fmt: skip


def test_a_role_of_fixed_entries_is_not_scaled() -> None:
    assert plan_of(AgentEntry(role="general"), AgentEntry(role="general", id="b")).scaled() == {}
