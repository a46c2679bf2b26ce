"""`swarm-tui forget`: forget an agent that is gone."""

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, Failure, swarm_option, target
from swarm_tui.cli.completers import agents as agents_known
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.name_checks import check_agents
from swarm_tui.cli.status import hear_beats
from swarm_tui.domain.states import LIVE
from swarm_tui.protocol.bodies import HostControl
from swarm_tui.protocol.topics import Kind


@click.command(epilog="Example: swarm-tui forget testing-07")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT...", shell_complete=agents_known)
@swarm_option
def command(agents: tuple[str, ...], swarm: str | None) -> None:
    """Clear what the swarm remembers of AGENTs that are gone: their retained status, their counters."""
    check_agents(agents)
    with follow(target(swarm)) as follower:
        follower.settle()
        hear_beats(follower)
        for agent_id in agents:
            _check(follower, agent_id)
        for agent_id in agents:
            for host in list(follower.fleet.hosts):
                follower.operator.act(Kind.HOST_CONTROL, HostControl(command="forget", agent_id=agent_id), host)
            follower.operator.clear(Kind.STATUS, agent_id)
            click.echo(f"{agent_id} is forgotten")


def _check(follower: Follower, agent_id: str) -> None:
    """Raises Failure for an agent that nobody remembers, or that is not gone."""
    with follower.lock:
        agent = follower.fleet.agents.get(agent_id)
        known = sorted(follower.fleet.agents)
    if agent is None:
        raise Failure(f"nothing is remembered of `{agent_id}`; there are {', '.join(known) or 'none'}", NO_SUCH)
    if agent.witness == "foreign" and agent.state in LIVE:
        raise Failure(f"{agent_id} still speaks, and has no pane here: end it where it runs first", FAILED)
    if agent.state in LIVE:
        raise Failure(f"{agent_id} still runs: `swarm-tui stop {agent_id}` first", FAILED)
