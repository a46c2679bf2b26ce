"""`swarm-tui restart`: restart agents."""

import click

from swarm_tui.cli.common import swarm_option, target
from swarm_tui.cli.completers import agents_and_roles
from swarm_tui.cli.name_checks import check_agents
from swarm_tui.cli.number_types import WAIT
from swarm_tui.cli.start import is_up
from swarm_tui.cli.supervisor_client import control_agents
from swarm_tui.protocol.bodies import PaneStatus


@click.command(epilog="Example: swarm-tui restart testing --when-idle")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT|ROLE...", shell_complete=agents_and_roles)
@click.option("--when-idle", is_flag=True, help="Each as soon as it has nothing to do.")
@click.option("--wait", type=WAIT, default=90.0, show_default=True, help="Seconds to wait for it.")
@swarm_option
def command(agents: tuple[str, ...], when_idle: bool, wait: float, swarm: str | None) -> None:
    """Restart AGENTs. A ROLE means all of its agents, one after another, each when the one before is back."""
    check_agents(agents)
    control_agents(target(swarm), agents, "restart", is_new, word="restarted", limit=wait, when_idle=when_idle)


def is_new(before: PaneStatus | None, now: PaneStatus | None) -> bool:
    """Return whether another process of it has registered."""
    return is_up(before, now) and (before is None or now is None or now.pid != before.pid)
