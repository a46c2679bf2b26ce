"""Acts on agents: they go to the supervisor of the agent's host, or to its inbox where it has none."""

from collections.abc import Sequence
from typing import Literal

from swarm_tui.client.ids import new_message_id
from swarm_tui.domain.mail.model import MAX_TEXT
from swarm_tui.domain.states import LIVE, AgentState
from swarm_tui.domain.views import AgentView
from swarm_tui.protocol.bodies import HostControl, Inbox
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.subjects import key, listed, names, some
from swarm_tui.ui.desk.actions import AGENTS, Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.text import flat
from swarm_tui.ui.look.words import is_busy

Command = Literal["start", "stop", "restart"]
_DOWN = frozenset({AgentState.OFFLINE, AgentState.STOPPED, AgentState.CRASHLOOP, AgentState.BACKOFF, AgentState.LOST})


def host_of(context: Context, agent: AgentView) -> str | None:
    """Return the host whose supervisor minds the agent; None where none does, or it is away."""
    fleet = context.model.fleet
    host = fleet.hosts.get(fleet.minder(agent.agent_id) or "")
    return host.host if host is not None and host.online else None


_some = some("agent", lambda context: context.agents)


def minded(context: Context) -> str | None:
    """Return why there is no agent, or no supervisor for one of them."""
    if reason := _some(context):
        return reason
    lost = next((agent.agent_id for agent in context.agents if host_of(context, agent) is None), None)
    if lost is None:
        return None
    if (host := context.model.fleet.minder(lost)) is not None:
        return f"the supervisor of {host}, which minds {lost}, is away: `swarm-tui up` there starts it"
    return f"{lost} was started by hand, and no supervisor minds it: end or start it where it runs"


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
            context.desk.source.act(Kind.HOST_CONTROL, body, host)
    return alone


def restart(context: Context) -> None:
    agents = control(context, "restart")
    context.desk.restarts.expect(agents, context.model.clock())
    was = "" if busy(context, agents) else " (idle)"
    context.say(f"restarting {names(agents)}{was}; this line tells who is back")


def _restart_question(context: Context) -> str | None:
    """Ask always on a task's page: there the agent is not looked at, and the key may be meant for the task."""
    agents = context.agents
    ask = busy(context, agents) or len(agents) > 1 or context.scope == "task"
    return f"Restart {who(agents)} now?{busy(context, agents)}" if ask else None


def restart_idle(context: Context) -> None:
    agents = control(context, "restart", when_idle=True)
    context.say(f"{names(agents)} will restart when idle")


def start_stop(context: Context) -> None:
    command: Command = "start" if would_start(context) else "stop"
    agents = control(context, command)
    other: Command = "stop" if command == "start" else "start"
    context.desk.undo.push(
        f"{command} {names(agents)}",
        lambda: _command(context, other, agents),
        reverses=f"{other} {names(agents)}",
        asks=lambda: stop_if_busy(context, agents) if command == "start" else None,
    )
    context.say(f"asked to {command} {names(agents)}; {key(context, 'undo')} undoes it")


def would_start(context: Context) -> bool:
    """Tell whether all at hand are down, so that the key starts them."""
    return all(agent.state in _DOWN for agent in context.agents)


def drains(context: Context) -> bool:
    """Tell whether all at hand drain, so that the key takes them back."""
    return bool(context.agents) and all(agent.state is AgentState.DRAINING for agent in context.agents)


def drain(context: Context) -> None:
    agents, undrain = context.agents, drains(context)
    if not undrain:
        agents = [agent for agent in agents if agent.state is not AgentState.DRAINING]
    _drain(context, agents, undrain)
    context.unmark()
    command, other = ("undrain", "drain") if undrain else ("drain", "undrain")
    context.desk.undo.push(
        f"{command} {names(agents)}",
        lambda: _drain(context, agents, not undrain),
        reverses=f"{other} {names(agents)}",
    )
    one = len(agents) == 1
    says = "takes tasks again" if one else "take tasks again"
    if not undrain:
        at_work = any(is_busy(agent) for agent in agents)
        ends = ("finishes its task and " if one else "finish their tasks and ") if at_work else ""
        says = f"{ends}{'takes' if one else 'take'} no more"
    context.say(f"{names(agents)} {says}; {key(context, 'undo')} undoes it")


def _drain(context: Context, agents: list[AgentView], undrain: bool) -> None:
    command: Literal["drain", "undrain"] = "undrain" if undrain else "drain"
    for agent in _command(context, command, agents):
        context.desk.source.act(Kind.INBOX, Inbox(command=command), agent.agent_id)


def _forgettable(context: Context) -> str | None:
    if reason := _some(context):
        return reason
    alive = [agent.agent_id for agent in context.agents if agent.state in LIVE]
    return f"{alive[0]} is alive: only agents that are gone can be forgotten" if alive else None


def forget(context: Context) -> None:
    for agent in context.agents:
        context.desk.source.clear(Kind.STATUS, agent.agent_id)
    context.say(f"asked to forget {names(context.agents)}")
    context.unmark()


def who(agents: Sequence[AgentView]) -> str:
    """Return whom a question is about."""
    return listed([agent.agent_id for agent in agents], "agents")


def busy(context: Context, agents: Sequence[AgentView]) -> str:
    """Return what the act would break, as a sentence; empty where it breaks nothing."""
    wait = context.desk.source.facts.drain_wait
    time = "some time" if wait is None else f"{wait:g} s"
    working = [agent for agent in agents if is_busy(agent)]
    if not working:
        return ""
    left = "goes back to the queue, or is held where it must not run twice."
    if len(working) > 1:
        return f" {len(working)} of them are at work and have {time} to finish; what they leave {left}"
    agent = working[0]
    at = agent.task_id or next(iter(agent.tasks), "a task that is not known here")
    others = max(len(agent.tasks), agent.active) - 1
    first = "It is" if len(agents) == 1 else f"{agent.agent_id} is"
    if others > 0:
        return f" {first} at {at} and {others} more, and has {time} to finish; what it leaves {left}"
    return f" {first} at {at}, which it has {time} to finish; else that {left}"


def stop_if_busy(context: Context, agents: Sequence[AgentView]) -> str | None:
    """Return what to ask before agents that were started are stopped again: they may have begun something since."""
    known = context.model.fleet.agents
    now = [known[agent.agent_id] for agent in agents if agent.agent_id in known]
    return stop_question(context, now) if busy(context, now) else None


def stop_question(context: Context, agents: Sequence[AgentView]) -> str:
    """Return what to ask before these are stopped."""
    return f"Stop {who(agents)}?{busy(context, agents)}"


def write(context: Context) -> None:
    receivers = [agent.agent_id for agent in context.agents]
    whom = names(context.agents)

    def typed(line: str) -> None:
        asks, text = line.startswith("?"), line.removeprefix("?").strip()
        if not text:
            context.say("nothing was written")
            return
        if len(text.encode()) > MAX_TEXT:
            context.say(f"a message has at most {MAX_TEXT:,} bytes", bad=True)
            return
        for agent_id in receivers:
            body = MessageNew(message_id=new_message_id(), to=agent_id, text=text, expects_answer=asks)
            context.desk.source.act(Kind.MESSAGE_NEW, body)
            context.desk.sent_mail.expect(body, context.model.clock())
        context.unmark()
        context.say(f"{'asked' if asks else 'wrote to'} {whom}: {flat(text, 100)}; its page shows how far it is")

    context.screen.ask(f"to {whom} (? first: wants an answer):", "", typed)


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
        now=lambda c: "undrain" if drains(c) else None,
        asked_for=lambda c: drains(c),
        help="Give the agent no more tasks; one that it has in hand it finishes. Once more takes it back.",
        confirm=lambda c: f"Drain {who(c.agents)}?" if len(c.agents) > 1 else None,
        about=drains,
    ),
    Action(
        name="restart",
        keys=("r",),
        label="restart",
        group="agents",
        scopes=(*AGENTS, "task"),
        writes=True,
        rank=40,
        can=minded,
        run=restart,
        of_incarnation=True,
        help="End the agent and start it again. An idle one at once; one at work, and a task's, only after a yes: it "
        "has the layout's `drain_wait` to finish, else its task goes back to the queue.",
        confirm=_restart_question,
    ),
    Action(
        name="restart_idle",
        keys=("R",),
        label="restart when idle",
        group="agents",
        scopes=(*AGENTS, "task"),
        writes=True,
        can=minded,
        run=restart_idle,
        help="Restart the agent as soon as it has no task.",
        confirm=lambda c: f"Restart {who(c.agents)} as soon as it has no task?" if c.scope == "task" else None,
        yes=lambda _: "restart",
    ),
    Action(
        name="start_stop",
        keys=("s",),
        label="start/stop",
        group="agents",
        scopes=AGENTS,
        writes=True,
        rank=60,
        can=minded,
        run=start_stop,
        now=lambda c: "start" if would_start(c) else "stop",
        asked_for=lambda c: bool(c.agents) and would_start(c),
        help="Start an agent that is down, or stop one that runs, after a yes (it stays down).",
        yes=lambda _: "stop",
        confirm=lambda c: None if would_start(c) else stop_question(c, c.agents),
        about=would_start,
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
        confirm=lambda c: f"Forget {who(c.agents)}?",
    ),
    Action(
        name="write",
        keys=("M",),
        label="write",
        group="agents",
        scopes=AGENTS,
        writes=True,
        order=False,
        rank=65,
        can=_some,
        run=write,
        help="Write to the agent: its next task reads it, or the next turn of an AI agent's. Its page shows the talk. "
        "A question mark first asks for an answer.",
    ),
)
