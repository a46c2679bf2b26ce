"""What is wrong, worst first: what the strip under the header says, and where `p` goes."""

from collections import Counter

from msgspec import Struct

from swarm_tui.domain.states import TROUBLE, AgentState, TaskState
from swarm_tui.ui.model import Model
from swarm_tui.ui.text import ago, flat

RECENT = 900.0
"""Seconds for which a task that failed stays trouble."""
_GRAVE = frozenset({AgentState.HUNG, AgentState.LOST, AgentState.CRASHLOOP})


class Trouble(Struct, frozen=True):
    """One thing that is wrong; `where` is `agents` or `tasks` with an id, or `swarm`."""

    grave: bool
    text: str
    where: str = "swarm"
    id: str = ""


def troubles(model: Model, now: float) -> list[Trouble]:
    """All that is wrong now, grave first."""
    found = [*_swarm(model, now), *_agents(model), *_tasks(model, now), *_alerts(model)]
    return sorted(found, key=lambda trouble: not trouble.grave)


def _swarm(model: Model, now: float) -> list[Trouble]:
    fleet = model.fleet
    found = []
    if not fleet.broker_up:
        since = ago(now - model.link_changed_at)
        if model.linked_at is None:
            found.append(Trouble(True, f"NO BROKER for {since}: {flat(fleet.broker_reason or 'connecting')}"))
        else:
            reason = flat(fleet.broker_reason or "the connection ended")
            found.append(Trouble(True, f"BROKER LOST {since} ago: {reason}. All below is as it was then; trying again"))
    if fleet.halted is not None:
        found.append(Trouble(True, f"HALTED: {flat(fleet.halted) or 'nothing runs'}. H lifts it"))
    if fleet.dispatcher is not None and not fleet.dispatcher.online:
        found.append(Trouble(True, "the dispatcher is away: tasks wait until it is back"))
    for host in fleet.hosts.values():
        if not host.online:
            found.append(Trouble(True, f"the supervisor of {flat(host.host)} is away: nothing restarts there"))
    return found


def _agents(model: Model) -> list[Trouble]:
    found = []
    for agent in model.fleet.agents.values():
        if agent.state in TROUBLE or agent.witness is not None:
            word = agent.witness or agent.state.value
            why = f" ({flat(agent.reason, 60)})" if agent.reason else ""
            found.append(
                Trouble(agent.state in _GRAVE, f"{flat(agent.agent_id)} {word}{why}", "agents", agent.agent_id)
            )
    return found


def _tasks(model: Model, now: float) -> list[Trouble]:
    found = []
    for state in (TaskState.DEAD, TaskState.FAILED, TaskState.HELD, TaskState.AWAITING_APPROVAL):
        fresh = [model.fleet.tasks[i] for i in model.fleet.by_state.get(state, ()) if i in model.fleet.tasks]
        if state in (TaskState.FAILED, TaskState.DEAD):
            fresh = [task for task in fresh if now - task.updated_at < RECENT]
        for task in sorted(fresh, key=lambda task: -task.updated_at)[:20]:
            word = {TaskState.AWAITING_APPROVAL: "waits for approval: y or N"}.get(state, state.value)
            why = flat(task.error or task.reason or "", 60)
            found.append(
                Trouble(
                    state is TaskState.DEAD,
                    f"{flat(task.task_id, 40)} {word}{': ' + why if why else ''}",
                    "tasks",
                    task.task_id,
                )
            )
    return found


def _alerts(model: Model) -> list[Trouble]:
    return [
        Trouble(
            alert.severity == "critical",
            f"alert: {flat(alert.message, 100)}",
            "agents" if alert.agent_id else "swarm",
            alert.agent_id or "",
        )
        for alert in model.fleet.alerts.values()
    ]


def tally(found: list[Trouble]) -> str:
    """How many of what."""
    counts = Counter(trouble.where for trouble in found)
    names = {"agents": "agent", "tasks": "task", "swarm": "swarm"}
    return " ".join(f"{n} {names[where]}{'s' if n > 1 and where != 'swarm' else ''}" for where, n in counts.items())
