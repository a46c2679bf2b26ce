"""`swarm-tui supervise`: what the supervisor's pane runs."""

import sys
from pathlib import Path

import click

from swarm_tui.cli.common import swarm_option, target


@click.command(epilog="Example: swarm-tui supervise --swarm opencto-dev")
@swarm_option
@click.option("--state", metavar="DIR", help="The swarm's state folder (default: where `up` keeps it).")
def command(swarm: str | None, state: str | None) -> None:
    """Keep a swarm's panes on this host alive; `up` starts it in a pane."""
    from swarm_tui.supervisor.main import supervise

    sys.exit(supervise(Path(state) if state else target(swarm).state.root))
