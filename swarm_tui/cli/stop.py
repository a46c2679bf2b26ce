"""`swarm-tui stop`: stop agents."""

import click

from swarm_tui.cli.common import swarm_option, target
from swarm_tui.cli.completers import agents as agents_known
from swarm_tui.cli.name_checks import check_agents
from swarm_tui.cli.number_types import WAIT
from swarm_tui.cli.supervisor_client import control_agents
from swarm_tui.protocol.bodies import PaneStatus


@click.command(epilog="Example: swarm-tui stop testing-01")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT...", shell_complete=agents_known)
@click.option("--wait", type=WAIT, default=45.0, show_default=True, help="Seconds to wait for it.")
@swarm_option
def command(agents: tuple[str, ...], wait: float, swarm: str | None) -> None:
    """Drain and stop AGENTs; they stay stopped until `start`."""
    check_agents(agents)
    control_agents(target(swarm), agents, "stop", is_down, word="stopped", limit=wait)


def is_down(_before: PaneStatus | None, now: PaneStatus | None) -> bool:
    """Return whether it has ended."""
    return now is None or (now.state == "stopped" and now.pid is None)
