"""A fleet in few words: the header, `status --json`, rows of tasks."""

from collections import Counter
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.problems import problems
from swarm_tui.domain.states import CANCEL_WITHIN, LIVE, AgentState
from swarm_tui.domain.views import AgentView, TaskView
from swarm_tui.domain.workflows.model import RUNNING
from swarm_tui.domain.workflows.run import CANCELLED, COMPLETE, FAILED
from swarm_tui.protocol.rows import TaskRow

JsonObject = dict[str, Any]
#: An agent that is one of these does nothing, whatever it did when it was last heard.
_GONE = frozenset(
    {AgentState.STARTING, AgentState.OFFLINE, AgentState.STOPPED, AgentState.BACKOFF, AgentState.CRASHLOOP}
)
_FIELDS = (
    "task_id",
    "type",
    "state",
    "priority",
    "attempt",
    "agent_id",
    "created_at",
    "updated_at",
    "duration",
    "progress",
    "result",
    "error",
    "reason",
    "cancel_requested_at",
    "cancel_within",
    "runs_again",
)
_DETAILS = (
    "message",
    "assigned_to",
    "max_attempts",
    "payload",
    "payload_hash",
    "approvals",
    "errors",
    "usage",
    "spent",
    "late",
    "merge",
    "hops",
)


def task_counts(fleet: Fleet) -> dict[str, int]:
    """Return how many of the tasks that are kept are in each state, every state named."""
    return {state.value: len(ids) for state, ids in fleet.by_state.items()}


def run_counts(fleet: Fleet) -> dict[str, int]:
    """Return how many of the runs that are known are in each state, every state named."""
    states = Counter(run.state for run in fleet.runs.values())
    return {state: states[state] for state in (RUNNING, COMPLETE, FAILED, CANCELLED)}


def status_json(fleet: Fleet, *, now: float, session: str | None = None, url: str = "") -> JsonObject:
    """Return what `status --json` prints at `now`, seconds since the epoch. `url` is the broker's, without password."""
    leader = fleet.dispatcher
    return {
        "swarm": fleet.swarm,
        "session": session,
        "broker": {"url": url, "connected": fleet.broker_up, "reason": fleet.broker_reason},
        "dispatcher": None
        if leader is None
        else {"agent_id": leader.agent_id, "epoch": leader.epoch, "online": leader.online, "instance": leader.instance},
        "agents": [agent_json(fleet.agents[agent_id], now) for agent_id in sorted(fleet.agents)],
        "tasks": task_counts(fleet),
        "runs": run_counts(fleet),
        "halted": fleet.halted,
        "hosts": [msgspec.to_builtins(host) for host in fleet.hosts.values()],
        "alerts": [msgspec.to_builtins(alert) for alert in fleet.alerts.values()],
        "asks": len(fleet.asks.open),
        "usage_today": None if fleet.usage_today is None else msgspec.to_builtins(fleet.usage_today),
        "scale": {role: {"desired": wish.desired, "reason": wish.reason} for role, wish in fleet.scale.items()},
        "messages": {
            "received": fleet.counts.received,
            "refused": fleet.counts.refused,
            "warned": fleet.counts.warned,
        },
        "problems": [msgspec.to_builtins(problem) for problem in problems(fleet, now)],
        "refusals": [{"topic": r.topic, "reason": r.reason, "at": r.received} for r in list(fleet.refusals)[-10:]],
    }


def agent_json(agent: AgentView, now: float) -> JsonObject:
    """Return an agent's row of `status --json`. `uptime` and ages in seconds; `task_id` is what it does now."""
    gone = agent.state in _GONE
    return {
        "agent_id": agent.agent_id,
        "role": agent.role,
        "state": agent.state.value,
        "pid": agent.pid,
        "pane_id": agent.pane_id,
        "uptime": uptime(agent, now),
        "restarts": agent.restarts,
        "last_heartbeat_age": None if agent.last_heartbeat is None else round(max(0.0, now - agent.last_heartbeat), 1),
        "task_id": None if gone else agent.task_id,
        "memory_rss": agent.memory_rss,
        "cpu": agent.cpu,
        "host": agent.host,
        "incarnation": agent.incarnation,
        "version": agent.version,
        "capacity": agent.capacity,
        "active": 0 if gone else agent.active,
        "witness": agent.witness,
        "reason": agent.reason,
        "trouble": agent.trouble,
        "next_start": agent.next_start,
        "exit_status": agent.exit_status,
        "exit_signal": agent.exit_signal,
        "tail": list(agent.tail),
    }


def uptime(agent: AgentView, now: float) -> float | None:
    """Return the seconds since the agent's process started; None when it does not run, as far as is known."""
    if agent.started_at is None or agent.state not in LIVE | {AgentState.SUSPECT, AgentState.HUNG}:
        return None
    return round(max(0.0, now - agent.started_at), 1)


def task_row(task: TaskView) -> TaskRow:
    """Return the view as the row that a query answers."""
    return TaskRow(
        task_id=task.task_id,
        type=task.type,
        state=task.state.value,
        priority=task.priority,
        attempt=task.attempt,
        agent_id=task.agent_id,
        created_at=task.created_at,
        updated_at=task.updated_at,
        duration=task.duration,
        progress=task.progress,
        result=task.result,
        error=task.error,
        message=task.message,
        reason=task.reason,
        assigned_to=task.assigned_to,
        max_attempts=task.max_attempts,
        payload=task.payload,
        hops=task.hops,
        payload_hash=task.payload_hash,
        errors=list(task.errors),
        late=list(task.late),
        cancel_requested_at=task.cancel_requested_at,
        cancel_within=CANCEL_WITHIN if task.cancel_requested_at is not None else None,
        runs_again=task.runs_again,
        merge=task.merge,
    )


def task_json(row: TaskRow, *, hops: bool = False) -> JsonObject:
    """Return a row as `tasks --json` prints it, in TaskRow's units; with `hops`, its hops and payload too."""
    plain: JsonObject = msgspec.to_builtins(row)
    plain["reason"] = row.waits or row.reason
    names = (*_FIELDS, *_DETAILS) if hops else _FIELDS
    return {name: plain[name] for name in names}


class Header(Struct, frozen=True, kw_only=True):
    """The answers to a glance. `rate` is messages a second."""

    broker_up: bool
    broker_reason: str
    dispatcher: str
    agents_up: int
    agents_total: int
    tasks: dict[str, int]
    rate: float
    received: int
    refused: int
    halted: str | None
    problems: int
    worst: str | None


def header(fleet: Fleet, now: float) -> Header:
    """Return the header's facts."""
    found = problems(fleet, now)
    return Header(
        broker_up=fleet.broker_up,
        broker_reason=fleet.broker_reason,
        dispatcher=dispatcher_words(fleet),
        agents_up=sum(agent.state in LIVE for agent in fleet.agents.values()),
        agents_total=len(fleet.agents),
        tasks=task_counts(fleet),
        rate=fleet.rate,
        received=fleet.counts.received,
        refused=fleet.counts.refused,
        halted=fleet.halted,
        problems=len(found),
        worst=found[0].what if found else None,
    )


def dispatcher_words(fleet: Fleet) -> str:
    """Tell of the dispatcher in a few words."""
    leader = fleet.dispatcher
    if leader is None:
        return "no dispatcher: best effort"
    name = leader.agent_id or leader.instance[:12]
    return f"{name} epoch {leader.epoch}" if leader.online else f"{name} is away, tasks wait for it"
