"""`swarm-tui undrain`: let drained agents take tasks again."""

import click

from swarm_tui.cli.common import broker_option, swarm_option, target
from swarm_tui.cli.completers import agents_and_roles
from swarm_tui.cli.draining import order
from swarm_tui.cli.name_checks import check_agents


@click.command(epilog="Example: swarm-tui undrain testing-01")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT|ROLE...", shell_complete=agents_and_roles)
@swarm_option
@broker_option
def command(agents: tuple[str, ...], swarm: str | None, broker: str | None) -> None:
    """Let AGENTs that were drained take tasks again."""
    check_agents(agents)
    order(target(swarm, broker), agents, "undrain", "takes tasks again")
