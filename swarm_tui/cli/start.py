"""`swarm-tui start`: start stopped agents."""

import click

from swarm_tui.cli.common import swarm_option, target
from swarm_tui.cli.completers import agents as agents_known
from swarm_tui.cli.name_checks import check_agents
from swarm_tui.cli.number_types import WAIT
from swarm_tui.cli.supervisor_client import control_agents
from swarm_tui.protocol.bodies import PaneStatus

UP = ("online", "busy", "draining")


@click.command(epilog="Example: swarm-tui start testing-01")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT...", shell_complete=agents_known)
@click.option("--wait", type=WAIT, default=30.0, show_default=True, help="Seconds to wait for it.")
@swarm_option
def command(agents: tuple[str, ...], wait: float, swarm: str | None) -> None:
    """Start AGENTs that were stopped or gave up, and wait until they have registered."""
    check_agents(agents)
    control_agents(target(swarm), agents, "start", is_up, word="started", limit=wait)


def is_up(_before: PaneStatus | None, now: PaneStatus | None) -> bool:
    """Return whether it has registered."""
    return now is not None and now.state in UP and now.pid is not None
