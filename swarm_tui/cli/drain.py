"""`swarm-tui drain`: let agents finish and take no more."""

import click

from swarm_tui.cli.common import broker_option, swarm_option, target
from swarm_tui.cli.completers import agents_and_roles
from swarm_tui.cli.draining import order
from swarm_tui.cli.name_checks import check_agents


@click.command(epilog="Example: swarm-tui drain testing-01")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT|ROLE...", shell_complete=agents_and_roles)
@swarm_option
@broker_option
def command(agents: tuple[str, ...], swarm: str | None, broker: str | None) -> None:
    """Let AGENTs finish what they do and take no more tasks, until `undrain` or a restart.

    One that was started by hand heeds it too.
    """
    check_agents(agents)
    order(target(swarm, broker), agents, "drain", "finishes what it does and takes no more")
