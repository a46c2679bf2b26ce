"""`swarm-tui drain`: let agents finish and take no more."""

import click

from swarm_tui.cli.common import swarm_option, target
from swarm_tui.cli.hosts import Hosts
from swarm_tui.cli.ids import check_agents


@click.command(epilog="Example: swarm-tui drain testing-01")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT...")
@swarm_option
def command(agents: tuple[str, ...], swarm: str | None) -> None:
    """Let AGENTs finish what they do and take no more tasks, until `undrain`."""
    check_agents(agents)
    with Hosts(target(swarm)) as hosts:
        for agent_id in hosts.agents(agents):
            hosts.order(agent_id, "drain")
            click.echo(f"{agent_id} is asked to finish and take no more")
