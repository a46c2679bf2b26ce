"""The work that agents have in hand, and what an act would break of it, in words."""

from collections.abc import Sequence

from swarm_tui.domain.views import AgentView
from swarm_tui.ui.acts.subjects import listed
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.words import is_busy


def who(agents: Sequence[AgentView]) -> str:
    """Whom a question is about."""
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
