"""Acts on agents: they go to the supervisor of the agent's host, or to its inbox where it has none."""

from collections.abc import Sequence
from typing import Literal

from swarm_tui.domain.states import LIVE, AgentState
from swarm_tui.domain.views import AgentView
from swarm_tui.protocol.bodies import HostControl, Inbox
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.actions import AGENTS, Action
from swarm_tui.ui.acts.subjects import key, listed, names, some
from swarm_tui.ui.context import Context

Command = Literal["start", "stop", "restart"]
_DOWN = frozenset({AgentState.OFFLINE, AgentState.STOPPED, AgentState.CRASHLOOP, AgentState.BACKOFF, AgentState.LOST})


def host_of(context: Context, agent: AgentView) -> str | None:
    """The host whose supervisor minds the agent; None when nobody does."""
    hosts = context.model.fleet.hosts
    if agent.host in hosts:
        return agent.host
    return next(iter(hosts)) if len(hosts) == 1 and agent.witness != "foreign" else None


_some = some("agent", lambda context: context.agents)


def _minded(context: Context) -> str | None:
    """Some agent, and a supervisor for each."""
    if reason := _some(context):
        return reason
    lost = [agent.agent_id for agent in context.agents if host_of(context, agent) is None]
    return f"no supervisor minds {lost[0]}: it was not started by `swarm-tui up`" if lost else None


def _who(agents: Sequence[AgentView]) -> str:
    return listed([agent.agent_id for agent in agents], "agents")


def _stop_question(agents: Sequence[AgentView]) -> str:
    return f"Stop {_who(agents)}?{_busy(agents)}"


def _is_busy(agent: AgentView) -> bool:
    return bool(agent.task_id or agent.tasks or (agent.active and agent.state in LIVE))


def _busy(agents: Sequence[AgentView]) -> str:
    """What the act would break, as a sentence; empty where it breaks nothing."""
    busy = [agent for agent in agents if _is_busy(agent)]
    if not busy:
        return ""
    left = "goes back to the queue, or is held where it must not run twice."
    if len(busy) > 1:
        return f" {len(busy)} of them are at work and have 20 s to finish; what they leave {left}"
    agent = busy[0]
    at = agent.task_id or next(iter(agent.tasks), "a task that is not known here")
    others = max(len(agent.tasks), agent.active) - 1
    who = "It is" if len(agents) == 1 else f"{agent.agent_id} is"
    if others > 0:
        return f" {who} at {at} and {others} more, and has 20 s to finish; what it leaves {left}"
    return f" {who} at {at}, which it has 20 s to finish; else that {left}"


def _stop_if_busy(context: Context, agents: list[AgentView]) -> str | None:
    """What to ask before agents that were started are stopped again: they may have begun something since."""
    known = context.model.fleet.agents
    now = [known[agent.agent_id] for agent in agents if agent.agent_id in known]
    return _stop_question(now) if _busy(now) else None


def control(context: Context, command: Command, *, when_idle: bool = False) -> list[AgentView]:
    """Send `command` for each agent at hand."""
    agents = context.agents
    _command(context, command, agents, when_idle)
    context.unmark()
    return agents


def _command(
    context: Context, command: Command | Literal["drain", "undrain"], agents: list[AgentView], when_idle: bool = False
) -> list[AgentView]:
    """Tell the supervisors; those agents that none minds."""
    alone = []
    for agent in agents:
        if (host := host_of(context, agent)) is None:
            alone.append(agent)
        else:
            body = HostControl(command=command, agent_id=agent.agent_id, when_idle=when_idle)
            context.app.source.act(Kind.HOST_CONTROL, body, host)
    return alone


def restart(context: Context) -> None:
    agents = control(context, "restart")
    context.app.returns.expect(agents, context.model.clock())
    was = "" if _busy(agents) else " (idle)"
    context.say(f"restarting {names(agents)}{was}; this line tells who is back")


def restart_idle(context: Context) -> None:
    agents = control(context, "restart", when_idle=True)
    context.say(f"{names(agents)} will restart when idle")


def start_stop(context: Context) -> None:
    command: Command = "start" if would_start(context) else "stop"
    agents = control(context, command)
    other: Command = "stop" if command == "start" else "start"
    context.app.undo.push(
        f"{command} {names(agents)}",
        lambda: _command(context, other, agents),
        reverses=f"{other} {names(agents)}",
        asks=lambda: _stop_if_busy(context, agents) if command == "start" else None,
    )
    context.say(f"asked to {command} {names(agents)}; {key(context, 'undo')} undoes it")


def would_start(context: Context) -> bool:
    """Whether all at hand are down, so that the key starts them."""
    return all(agent.state in _DOWN for agent in context.agents)


def drain(context: Context) -> None:
    agents = context.agents
    undrain = all(agent.state is AgentState.DRAINING for agent in agents)
    if not undrain:
        agents = [agent for agent in agents if agent.state is not AgentState.DRAINING]
    _drain(context, agents, undrain)
    context.unmark()
    command, other = ("undrain", "drain") if undrain else ("drain", "undrain")
    context.app.undo.push(
        f"{command} {names(agents)}",
        lambda: _drain(context, agents, not undrain),
        reverses=f"{other} {names(agents)}",
    )
    one = len(agents) == 1
    says = "takes tasks again" if one else "take tasks again"
    if not undrain:
        says = "finishes its task and takes no more" if one else "finish their tasks and take no more"
    context.say(f"{names(agents)} {says}; {key(context, 'undo')} undoes it")


def _drain(context: Context, agents: list[AgentView], undrain: bool) -> None:
    command: Literal["drain", "undrain"] = "undrain" if undrain else "drain"
    for agent in _command(context, command, agents):
        context.app.source.act(Kind.INBOX, Inbox(command=command), agent.agent_id)


def _one_role(context: Context) -> str | None:
    """A supervisor, and one role only: more or fewer of which, else?"""
    if reason := _minded(context):
        return reason
    roles = sorted({agent.role for agent in context.agents})
    return f"those marked are of several roles: {', '.join(roles)}" if len(roles) > 1 else None


def _counted(context: Context, by: int) -> int:
    """How many of the role are wished for before the act."""
    return context.app.wishes.now(context.agents[0].role, context.model.clock(), by)


def _scale(context: Context, by: int) -> None:
    agent, old = context.agents[0], _counted(context, by)
    host = host_of(context, agent)
    if host is None:
        return
    _wish(context, agent.role, host, old + by)
    context.app.undo.push(f"scale {agent.role}", lambda: _wish(context, agent.role, host, old))
    context.unmark()
    noun = "agent" if old + by == 1 else "agents"
    context.say(f"asked for {old + by} {agent.role} {noun}, not {old}; {key(context, 'undo')} undoes it")


def _wish(context: Context, role: str, host: str, count: int) -> None:
    context.app.wishes.set(role, count, context.model.clock())
    context.app.source.act(Kind.HOST_CONTROL, HostControl(command="scale", role=role, count=count), host)


def _can_shrink(context: Context) -> str | None:
    if reason := _one_role(context):
        return reason
    return f"{context.agents[0].role} has no agent to take away" if _counted(context, -1) <= 0 else None


def _shrink_question(context: Context) -> str:
    role, old = context.agents[0].role, _counted(context, -1)
    runs = context.app.wishes.runs(role)
    now = "" if runs == old else f" {runs} run{'s' if runs == 1 else ''} now."
    return f"Run one {role} agent less ({role}: {old} → {old - 1})?{now}"


def _forgettable(context: Context) -> str | None:
    if reason := _some(context):
        return reason
    alive = [agent.agent_id for agent in context.agents if agent.state in LIVE]
    return f"{alive[0]} is alive: only agents that are gone can be forgotten" if alive else None


def forget(context: Context) -> None:
    for agent in context.agents:
        context.app.source.clear(Kind.STATUS, agent.agent_id)
    context.say(f"asked to forget {names(context.agents)}")
    context.unmark()


AGENT_ACTS = (
    Action(
        name="drain",
        keys=("d",),
        label="drain",
        group="agents",
        scopes=AGENTS,
        writes=True,
        rank=50,
        can=_some,
        run=drain,
        help="Let the agent finish its task and take no more; once more takes it back.",
        confirm=lambda c: f"Drain {_who(c.agents)}?" if len(c.agents) > 1 else None,
    ),
    Action(
        name="restart",
        keys=("r",),
        label="restart",
        group="agents",
        scopes=AGENTS,
        writes=True,
        rank=40,
        can=_minded,
        run=restart,
        of_life=True,
        help="End the agent and start it again. An idle one at once; one at work only after a yes: it has 20 s "
        "to finish, else its task goes back to the queue.",
        confirm=lambda c: (
            f"Restart {_who(c.agents)} now?{_busy(c.agents)}" if _busy(c.agents) or len(c.agents) > 1 else None
        ),
    ),
    Action(
        name="restart_idle",
        keys=("R",),
        label="restart when idle",
        group="agents",
        scopes=AGENTS,
        writes=True,
        can=_minded,
        run=restart_idle,
        help="Restart the agent as soon as it has no task.",
    ),
    Action(
        name="start_stop",
        keys=("s",),
        label="start/stop",
        group="agents",
        scopes=AGENTS,
        writes=True,
        rank=60,
        can=_minded,
        run=start_stop,
        help="Start an agent that is down, or stop one that runs, after a yes (it stays down).",
        yes=lambda _: "stop",
        confirm=lambda c: None if would_start(c) else _stop_question(c.agents),
    ),
    Action(
        name="scale_up",
        keys=("plus",),
        label="one more",
        group="agents",
        scopes=AGENTS,
        writes=True,
        can=_one_role,
        run=lambda c: _scale(c, 1),
        help="Run one more agent of this role.",
    ),
    Action(
        name="scale_down",
        keys=("minus",),
        label="one less",
        group="agents",
        scopes=AGENTS,
        writes=True,
        can=_can_shrink,
        run=lambda c: _scale(c, -1),
        help="Run one agent less of this role; an idle one goes first, drained.",
        confirm=_shrink_question,
    ),
    Action(
        name="forget",
        keys=("X",),
        label="forget",
        group="agents",
        scopes=("agents", "agent"),
        writes=True,
        can=_forgettable,
        run=forget,
        help="Take an agent that is gone off the list.",
        confirm=lambda c: f"Forget {_who(c.agents)}?",
    ),
)
