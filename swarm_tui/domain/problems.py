"""Problems of a fleet now, the worst first, each with what to do."""

from collections.abc import Iterator
from itertools import islice
from signal import Signals

from msgspec import Struct

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.outcome import outcome, verdict_failed
from swarm_tui.domain.states import LIVE, AgentState, TaskState
from swarm_tui.domain.views import AgentView, TaskView


class Problem(Struct, frozen=True, kw_only=True):
    """A thing that is wrong: `subject` is `broker`, `dispatcher`, `swarm`, `agent`, `task`, `host` or `alert`."""

    severity: str
    """`critical`, `warning` or `info`."""
    subject: str
    id: str
    what: str
    todo: str
    kind: str = ""
    """The sort of trouble, in a word: a state, a witness, an alert's name."""
    at: float | None = None
    """When it became so, in seconds since the epoch, where that is known."""
    others: tuple[str, ...] = ()
    """The agents besides whom the advice is about."""


_ORDER = {"critical": 0, "warning": 1, "info": 2}
_AGENT_TODO = {
    AgentState.SUSPECT: ("warning", "wait for its next heartbeat, or look at its pane"),
    AgentState.LOST: ("critical", "look at its host; restart it"),
    AgentState.HUNG: ("critical", "read its log, then restart it"),
    AgentState.BACKOFF: ("warning", "it starts again by itself; read its log"),
    AgentState.CRASHLOOP: ("critical", "read its last lines and its log, mend the cause, then start it"),
}
_WITNESS_TODO = {
    "stray": ("warning", "stop it, or add it to the layout and run up"),
    "split": ("critical", "stop one of the two"),
}
_TASK_TODO = {
    TaskState.HELD: ("critical", "look what it did, then retry or cancel it"),
    TaskState.DEAD: ("warning", "read its errors; retry it when the cause is mended"),
    TaskState.AWAITING_APPROVAL: ("warning", "approve or deny it"),
    TaskState.FAILED: ("info", "read its error; retry it when the cause is mended"),
    TaskState.COMPLETE: ("info", "open it to see what failed; mend that, then publish it anew"),
}
#: Seconds after which what ended badly is no longer trouble, and after which an agent that was started again is none.
_ENDED_FRESH, _DIED_FRESH = 3600.0, 600.0
_MOST_TASKS = 200
#: How the dispatcher's alerts about tasks begin that nobody can be given: `nobody:TYPE` or `nobody:TYPE:AGENT`.
NOBODY = "nobody:"
#: Words in an agent's trouble that a person is to see to in its pane: a CLI asks there.
IN_ITS_PANE = "its pane"


def problems(fleet: Fleet, now: float) -> list[Problem]:
    """Return what is wrong now, the worst first, each with what to do."""
    barred = list(_barred(fleet))
    found = [
        *_asks(fleet),
        *_swarm(fleet, now),
        *_agents(fleet, now),
        *_tasks(fleet, now),
        *(problem for _, problem in barred),
    ]
    found += _alerts(fleet, {name for name, _ in barred})
    return sorted(found, key=lambda problem: _ORDER[problem.severity])


def _asks(fleet: Fleet) -> list[Problem]:
    """Asks of AI agents: nothing is louder, for somebody stands still until it is answered."""
    found = []
    for row in fleet.asks.open.values():
        what = f"{row.agent_id} ASKS: {row.tool} {row.title}"
        todo = "answer it on its row: yes or no; silence is a no"
        found.append(
            Problem(
                severity="critical", subject="task", id=row.task_id, what=what, todo=todo, kind=f"ask:{row.ask_id}",
                at=row.since, others=(row.agent_id,),
            )
        )  # fmt: skip
    return found


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
        todo = "`swarm-tui resume` lifts it; on the screen, halting once more"
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


def _agents(fleet: Fleet, now: float) -> list[Problem]:
    found = []
    for agent in fleet.agents.values():
        if agent.state in LIVE and not (agent.witness or agent.restarts or agent.trouble):
            continue
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
        elif (how := died(agent, now)) is not None:
            what, todo = f"{agent.agent_id} {how} and was started again", "nothing; if it happens again, read its log"
            found.append(
                Problem(
                    severity="info", subject="agent", id=agent.agent_id, what=what, todo=todo, kind="died",
                    at=agent.started_at,
                )
            )  # fmt: skip
        if agent.trouble and agent.state in LIVE:
            what = f"{agent.agent_id}: {agent.trouble}"
            todo = "mend that: it tries again by itself; its log says more"
            if IN_ITS_PANE in agent.trouble:
                todo = "attach to it, and answer there"
            found.append(
                Problem(severity="warning", subject="agent", id=agent.agent_id, what=what, todo=todo, kind="service")
            )
    return found


def died(agent: AgentView, now: float) -> str | None:
    """Tell how the last process of an agent that lives again ended lately; None where it ended well, or long ago."""
    if agent.state not in LIVE or not agent.restarts or now - (agent.started_at or 0.0) > _DIED_FRESH:
        return None
    return ended_badly(agent)


def ended_badly(agent: AgentView) -> str | None:
    """Tell how the agent's last process ended, in words; None for a good end, or none that is known."""
    if agent.exit_signal:
        try:
            return f"was killed by {Signals(agent.exit_signal).name}"
        except ValueError:
            return f"was killed by signal {agent.exit_signal}"
    return f"ended with exit status {agent.exit_status}" if agent.exit_status else None


def _tasks(fleet: Fleet, now: float) -> list[Problem]:
    found = []
    for state, (severity, todo) in _TASK_TODO.items():
        for task in _newest(fleet, state, now):
            why = task.error or task.reason
            word = "waits for approval" if state is TaskState.AWAITING_APPROVAL else state.value
            if state is TaskState.COMPLETE:
                if not verdict_failed(task.result):
                    continue
                word, why = f"came out {outcome(task.result)}", ""
            what = f"{task.task_id} {word}" + (f": {why}" if why else "")
            found.append(
                Problem(
                    severity=severity, subject="task", id=task.task_id, what=what, todo=todo, kind=state.value,
                    at=task.ended_at,
                )
            )  # fmt: skip
    return found


def _newest(fleet: Fleet, state: TaskState, now: float) -> Iterator[TaskView]:
    """The tasks that came to `state` last, but for those whose end is old news; the newest of them first."""
    for task_id in islice(reversed(fleet.by_state[state]), _MOST_TASKS):
        task = fleet.tasks[task_id]
        if task.ended_at is None or now - task.ended_at <= _ENDED_FRESH:
            yield task


def _barred(fleet: Fleet) -> Iterator[tuple[str, Problem]]:
    """The tasks that wait, and all who are there and could do them drain; with the name of the alert that says so."""
    if not any(agent.state is AgentState.DRAINING for agent in fleet.agents.values()):
        return
    who: dict[tuple[str, str | None], tuple[str, ...]] = {}
    for state in (TaskState.QUEUED, TaskState.RETRY_WAIT):
        for task_id in islice(fleet.by_state[state], _MOST_TASKS):
            task = fleet.tasks[task_id]
            key = (task.type, task.assigned_to)
            those = who[key] = who[key] if key in who else _draining(fleet, *key)
            if not those:
                continue
            drains, verb = ", ".join(those), "drains" if len(those) == 1 else "drain"
            does = ", for whom it is meant, drains" if task.assigned_to else f" {verb}, and no other does {task.type}"
            todo = f"undrain {drains}" + ("" if task.assigned_to else f", or start another that does {task.type}")
            yield NOBODY + ":".join(filter(None, key)), Problem(
                severity="warning", subject="task", id=task_id, what=f"{task_id} waits: {drains}{does}", todo=todo,
                kind="barred", others=those,
            )  # fmt: skip


def why_it_waits(problem: Problem) -> str:
    """Tell why the task of a `barred` problem waits, without its id."""
    return problem.what.removeprefix(f"{problem.id} waits: ")


def _draining(fleet: Fleet, task_type: str, wanted: str | None) -> tuple[str, ...]:
    """Return the agents that could do it, where all of them drain; else nobody."""
    able = [
        agent
        for agent in fleet.agents.values()
        if agent.state in LIVE and task_type in agent.capabilities and wanted in (None, agent.agent_id)
    ]
    drains = all(agent.state is AgentState.DRAINING for agent in able)
    return tuple(sorted(agent.agent_id for agent in able)) if drains else ()


def _alerts(fleet: Fleet, told: set[str]) -> list[Problem]:
    """The alerts, but for those by whose name all tasks that they are about are `told` already."""
    return [
        Problem(
            severity=alert.severity if alert.severity in _ORDER else "warning",
            subject="alert",
            id=alert.agent_id or alert.task_id or alert.name,
            what=alert.message,
            todo=_alert_todo(alert.name, drains := _who_drains(fleet, alert.name)),
            others=drains,
            kind=alert.name,
        )
        for alert in fleet.alerts.values()
        if alert.name not in told
    ]


def _who_drains(fleet: Fleet, name: str) -> tuple[str, ...]:
    """The agents that drain and could do what an alert says that nobody does."""
    if not name.startswith(NOBODY):
        return ()
    task_type = name.removeprefix(NOBODY).partition(":")[0]
    able = (agent for agent in fleet.agents.values() if task_type in agent.capabilities)
    return tuple(sorted(agent.agent_id for agent in able if agent.state is AgentState.DRAINING))


def _alert_todo(name: str, drains: tuple[str, ...]) -> str:
    """Tell what to do about an alert, where more is known of it than its words."""
    if not name.startswith(NOBODY):
        return ""
    if drains:
        one = len(drains) == 1
        does, it = ("drains and takes", "it") if one else ("drain and take", "one")
        return f"{', '.join(drains)} {does} no more: undrain {it}, or start another that does this"
    return "start an agent that does this, or bring back the one that is away"
