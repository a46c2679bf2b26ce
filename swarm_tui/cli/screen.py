"""`swarm-tui screen`: the screen of a swarm, running here or anywhere the broker reaches."""

import click

from swarm_tui.cli.bare import open_screen
from swarm_tui.cli.common import broker_option, swarm_option


@click.command(epilog="Example: swarm-tui screen --swarm opencto-prod --broker mqtts://broker.example:8883")
@click.argument("name", metavar="[SWARM]", required=False)
@swarm_option
@broker_option
@click.option("--read-only", is_flag=True, help="Look, and touch nothing.")
def command(name: str | None, swarm: str | None, broker: str | None, read_only: bool) -> int:
    """Open the screen of a swarm. It is only a client: leaving it changes nothing."""
    return open_screen(swarm if name is None else name, broker, read_only=read_only, anywhere=True)
