"""More or fewer agents of a role: counted from what was asked for or runs, and told from how many to how many."""

from swarm_tui.protocol.bodies import HostControl
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.agents import host_of, minded
from swarm_tui.ui.acts.subjects import key
from swarm_tui.ui.desk.actions import AGENTS, Action
from swarm_tui.ui.desk.context import Context


def _one_role(context: Context) -> str | None:
    """Return why there is no supervisor, or not one role only: more or fewer of which, else?"""
    if reason := minded(context):
        return reason
    roles = sorted({agent.role for agent in context.agents})
    return f"those marked are of several roles: {', '.join(roles)}" if len(roles) > 1 else None


def _counted(context: Context, by: int) -> int:
    """Return how many of the role are asked for before the act."""
    return context.desk.scales.now(context.agents[0].role, context.model.clock(), by)


def _scale(context: Context, by: int) -> None:
    agent, old = context.agents[0], _counted(context, by)
    host = host_of(context, agent)
    if host is None:
        return
    _request(context, agent.role, host, old + by)
    context.desk.undo.push(f"scale {agent.role}", lambda: _request(context, agent.role, host, old))
    context.unmark()
    noun = "agent" if old + by == 1 else "agents"
    context.say(f"asked for {old + by} {agent.role} {noun}, not {old}; {key(context, 'undo')} undoes it")


def _request(context: Context, role: str, host: str, count: int) -> None:
    context.desk.scales.set(role, count, context.model.clock())
    context.desk.source.act(Kind.HOST_CONTROL, HostControl(command="scale", role=role, count=count), host)


def _can_shrink(context: Context) -> str | None:
    if reason := _one_role(context):
        return reason
    return f"{context.agents[0].role} has no agent to take away" if _counted(context, -1) <= 0 else None


def _shrink_question(context: Context) -> str:
    role, old = context.agents[0].role, _counted(context, -1)
    runs = context.desk.scales.runs(role)
    now = "" if runs == old else f" {runs} run{'s' if runs == 1 else ''} now."
    return f"Run one {role} agent less ({role}: {old} → {old - 1})?{now}"


SCALE_ACTS = (
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
)
