"""`swarm-tui undrain`: let drained agents take tasks again."""

import click

from swarm_tui.cli.common import swarm_option, target
from swarm_tui.cli.hosts import Hosts
from swarm_tui.cli.ids import check_agents


@click.command(epilog="Example: swarm-tui undrain testing-01")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT...")
@swarm_option
def command(agents: tuple[str, ...], swarm: str | None) -> None:
    """Let AGENTs that were drained take tasks again."""
    check_agents(agents)
    with Hosts(target(swarm)) as hosts:
        for agent_id in hosts.agents(agents):
            hosts.order(agent_id, "undrain")
            click.echo(f"{agent_id} is asked to take tasks again")
