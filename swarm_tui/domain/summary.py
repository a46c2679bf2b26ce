"""What is said of a fleet in few words: the header, `status --json`, rows of tasks, and the list of problems."""

from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import LIVE, AgentState, TaskState
from swarm_tui.domain.views import AgentView, TaskView
from swarm_tui.protocol.rows import TaskRow

JsonObject = dict[str, Any]
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
)
_DETAILS = ("message", "reason", "assigned_to", "max_attempts", "payload", "payload_hash", "errors", "late", "hops")


def task_counts(fleet: Fleet) -> dict[str, int]:
    """How many tasks are in each state, every state named."""
    return {state.value: len(ids) for state, ids in fleet.by_state.items()}


def status_json(fleet: Fleet, *, now: float, session: str | None = None, url: str = "") -> JsonObject:
    """The shape of `status --json`. `url` is the broker's, without its password."""
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
        "halted": fleet.halted,
        "hosts": [msgspec.to_builtins(host) for host in fleet.hosts.values()],
        "alerts": [msgspec.to_builtins(alert) for alert in fleet.alerts.values()],
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
    """One agent's row of `status --json`. `uptime` and ages in seconds."""
    return {
        "agent_id": agent.agent_id,
        "role": agent.role,
        "state": agent.state.value,
        "pid": agent.pid,
        "pane_id": agent.pane_id,
        "uptime": uptime(agent, now),
        "restarts": agent.restarts,
        "last_heartbeat_age": None if agent.last_heartbeat is None else round(max(0.0, now - agent.last_heartbeat), 1),
        "task_id": agent.task_id,
        "memory_rss": agent.memory_rss,
        "cpu": agent.cpu,
        "host": agent.host,
        "incarnation": agent.incarnation,
        "version": agent.version,
        "capacity": agent.capacity,
        "active": agent.active,
        "witness": agent.witness,
        "reason": agent.reason,
        "trouble": agent.trouble,
        "next_start": agent.next_start,
        "exit_status": agent.exit_status,
        "exit_signal": agent.exit_signal,
        "tail": list(agent.tail),
    }


def uptime(agent: AgentView, now: float) -> float | None:
    """Seconds since the agent's process started; None when it does not run, as far as is known."""
    if agent.started_at is None or agent.state not in LIVE | {AgentState.SUSPECT, AgentState.HUNG}:
        return None
    return round(max(0.0, now - agent.started_at), 1)


def task_row(task: TaskView) -> TaskRow:
    """The view as the row that a query answers."""
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
    )


def task_json(row: TaskRow, *, hops: bool = False) -> JsonObject:
    """A row as `tasks --json` prints it; with `hops`, one task whole: its hops, payload and reason too."""
    plain: JsonObject = msgspec.to_builtins(row)
    names = (*_FIELDS, *_DETAILS) if hops else _FIELDS
    return {name: plain[name] for name in names}


class Header(Struct, frozen=True, kw_only=True):
    """What a glance must answer. `rate` is messages a second."""

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
    """The header's facts."""
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
    """The dispatcher in a few words."""
    leader = fleet.dispatcher
    if leader is None:
        return "no dispatcher: best effort"
    name = leader.agent_id or leader.instance[:12]
    return f"{name} epoch {leader.epoch}" if leader.online else f"{name} is away, tasks wait for it"


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong: `subject` is `broker`, `dispatcher`, `swarm`, `agent`, `task`, `host` or `alert`."""

    severity: str
    """`critical`, `warning` or `info`."""
    subject: str
    id: str
    what: str
    todo: str
    kind: str = ""
    """What sort of trouble, in a word: a state, a witness, an alert's name."""
    at: float | None = None
    """When it became so, in seconds since the epoch, where that is known."""


_ORDER = {"critical": 0, "warning": 1, "info": 2}
_AGENT_TODO = {
    AgentState.SUSPECT: ("warning", "wait for its next heartbeat, or look at its pane"),
    AgentState.LOST: ("critical", "look at its host; restart it"),
    AgentState.HUNG: ("critical", "read its log, then restart it"),
    AgentState.BACKOFF: ("warning", "it starts again by itself; read its log"),
    AgentState.CRASHLOOP: ("critical", "read its last lines and its log, mend the cause, then start it"),
}
_WITNESS_TODO = {
    "foreign": ("info", "nothing, when you started it yourself; else stop it where it runs"),
    "stray": ("warning", "stop it, or add it to the layout and run up"),
    "split": ("critical", "stop one of the two"),
}
_TASK_TODO = {
    TaskState.HELD: ("critical", "look what it did, then retry or cancel it"),
    TaskState.DEAD: ("warning", "read its errors; retry it when the cause is mended"),
    TaskState.AWAITING_APPROVAL: ("warning", "approve or deny it"),
    TaskState.FAILED: ("info", "read its error; retry it when the cause is mended"),
}
_ENDED_FRESH = 3600.0
_MOST_TASKS = 200


def problems(fleet: Fleet, now: float) -> list[Problem]:
    """What is wrong now, the worst first, each with what to do."""
    found = [*_swarm(fleet, now), *_agents(fleet), *_tasks(fleet, now), *_alerts(fleet)]
    return sorted(found, key=lambda problem: _ORDER[problem.severity])


def _no_broker(fleet: Fleet, now: float) -> str:
    passed = int(max(0.0, now - (now if fleet.link_changed is None else fleet.link_changed)))
    since = f"{passed} s" if passed < 120 else f"{passed // 60} min"
    if fleet.was_linked:
        return f"BROKER LOST {since} ago: {fleet.broker_reason or 'the connection ended'} (all else is as it was then)"
    return f"NO BROKER for {since}: {fleet.broker_reason}"


def _swarm(fleet: Fleet, now: float) -> list[Problem]:
    found = []
    if not fleet.broker_up:
        what = _no_broker(fleet, now)
        todo = "run `swarm-tui doctor`; everything waits and goes on by itself when it is back"
        found.append(Problem(severity="critical", subject="broker", id="", what=what, todo=todo))
    elif fleet.common_silence is not None:
        what, todo = fleet.common_silence, "run `swarm-tui doctor`"
        found.append(Problem(severity="critical", subject="broker", id="", what=what, todo=todo))
    if fleet.halted is not None:
        what = f"HALTED: {fleet.halted or 'nothing runs'}"
        todo = "`swarm-tui resume`, or H on the screen, lifts it"
        found.append(Problem(severity="warning", subject="swarm", id="", what=what, todo=todo))
    if fleet.dispatcher is not None and not fleet.dispatcher.online:
        what, todo = "the dispatcher is away: tasks wait", "start the task-manager"
        leader = fleet.dispatcher.agent_id or ""
        found.append(Problem(severity="critical", subject="dispatcher", id=leader, what=what, todo=todo))
    for host in fleet.hosts.values():
        if not host.online:
            what, todo = f"the supervisor of {host.host} is away", "run `swarm-tui up` there"
            found.append(Problem(severity="warning", subject="host", id=host.host, what=what, todo=todo))
    return found


def _agents(fleet: Fleet) -> list[Problem]:
    found = []
    for agent in fleet.agents.values():
        advice = _AGENT_TODO.get(agent.state) or _WITNESS_TODO.get(agent.witness or "")
        if agent.vanished and agent.state is AgentState.OFFLINE:
            what, todo = f"{agent.agent_id} vanished without a farewell", "start it again, or forget it"
            found.append(
                Problem(severity="warning", subject="agent", id=agent.agent_id, what=what, todo=todo, kind="vanished")
            )
        elif advice is not None:
            word = agent.state.value if agent.state in _AGENT_TODO else agent.witness
            what = f"{agent.agent_id} {word}" + (f": {agent.reason}" if agent.reason else "")
            found.append(
                Problem(
                    severity=advice[0], subject="agent", id=agent.agent_id, what=what, todo=advice[1], kind=word or ""
                )
            )
        if agent.trouble and agent.state in LIVE:
            what, todo = f"{agent.agent_id}: {agent.trouble}", "mend that: it tries again by itself; its log says more"
            found.append(
                Problem(severity="warning", subject="agent", id=agent.agent_id, what=what, todo=todo, kind="service")
            )
    return found


def _tasks(fleet: Fleet, now: float) -> list[Problem]:
    found = []
    for state, (severity, todo) in _TASK_TODO.items():
        for task_id in list(fleet.by_state[state])[-_MOST_TASKS:]:
            task = fleet.tasks[task_id]
            if task.ended_at is not None and now - task.ended_at > _ENDED_FRESH:
                continue
            why = task.error or task.reason
            word = "waits for approval" if state is TaskState.AWAITING_APPROVAL else state.value
            what = f"{task_id} {word}" + (f": {why}" if why else "")
            found.append(
                Problem(
                    severity=severity, subject="task", id=task_id, what=what, todo=todo, kind=state.value,
                    at=task.ended_at,
                )
            )  # fmt: skip
    return found


def _alerts(fleet: Fleet) -> list[Problem]:
    return [
        Problem(
            severity=alert.severity if alert.severity in _ORDER else "warning",
            subject="alert",
            id=alert.agent_id or alert.task_id or alert.name,
            what=alert.message,
            todo="",
            kind=alert.name,
        )
        for alert in fleet.alerts.values()
    ]
