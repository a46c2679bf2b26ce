"""Drain and undrain: tell agents over the bus, however they were started, and hear that they do it."""

from typing import Literal

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, Failure, Target
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.domain.states import LIVE, AgentState
from swarm_tui.domain.views import AgentView
from swarm_tui.protocol.bodies import Inbox
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.topics import Kind

#: Seconds in which one whose status is not retained may be heard of, and in which an agent says that it does it.
HEAR, PATIENCE = 1.0, 5.0
_HEARS = LIVE | {AgentState.SUSPECT}
_DONE = {
    "drain": frozenset({AgentState.DRAINING}),
    "undrain": frozenset({AgentState.ONLINE, AgentState.BUSY}),
}


def order(found: Target, names: tuple[str, ...], command: Literal["drain", "undrain"], word: str) -> None:
    """Give the order to each agent that the names mean, and print `word` of each. Raises Failure."""
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        agents = _agents(follower, names, command)
        for agent_id in agents:
            follower.operator.act(Kind.INBOX, Inbox(command=command), agent_id)
        follower.wait_for(lambda: all(_does(follower, agent_id, command) for agent_id in agents), PATIENCE)
        late = []
        for agent_id in agents:
            if _does(follower, agent_id, command):
                click.echo(f"{agent_id} {word}")
            else:
                late.append(agent_id)
    if late:
        raise Failure(
            f"asked to {command}, but not heard within {PATIENCE:g} s that they do: {', '.join(late)}; "
            "`swarm-tui status` shows how they are; a program of another dialect knows no such order: stop it instead",
            FAILED,
        )


def _agents(follower: Follower, names: tuple[str, ...], command: str) -> list[str]:
    """Return the agents that the names, or roles, mean. Raises Failure for one that cannot be told anything."""
    follower.wait_for(lambda: all(_meant(follower, name) for name in names), HEAR)
    agents: list[str] = []
    for name in names:
        with follower.lock:
            meant = _meant(follower, name)
            known = sorted(follower.fleet.agents)
        if not meant:
            swarm = follower.fleet.swarm
            raise Failure(f"no agent `{name}` in {swarm}; there are {', '.join(known) or 'none'}", NO_SUCH)
        if command == "drain" and all(agent.role == "task-manager" for agent in meant):
            raise Failure(f"{name} gives tasks out and does none to finish; `swarm-tui halt` stops all work")
        there = [agent.agent_id for agent in meant if agent.state in _HEARS]
        if not there:
            who = f"{name} is {meant[0].state.value}" if name in known else f"no agent of the role {name} runs"
            raise Failure(f"{who}: it takes no tasks, and would not hear of it; {_todo(name, meant)}")
        agents += [agent_id for agent_id in there if agent_id not in agents]
    return agents


def _todo(name: str, meant: list[AgentView]) -> str:
    if any(agent.state is AgentState.STARTING for agent in meant):
        return "wait until it has registered"
    if any(agent.pane_id is not None for agent in meant):
        return f"`swarm-tui start {name}` starts it"
    return "start it where it ran"


def _meant(follower: Follower, name: str) -> list[AgentView]:
    agents = follower.fleet.agents
    if name in agents:
        return [agents[name]]
    role = canonical_role(name)
    return [agent for agent in agents.values() if agent.role == role]


def _does(follower: Follower, agent_id: str, command: str) -> bool:
    agent = follower.fleet.agents.get(agent_id)
    return agent is not None and agent.state in _DONE[command]
