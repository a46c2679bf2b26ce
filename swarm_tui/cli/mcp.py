"""`swarm-tui mcp`: the swarm as tools for any MCP client, over stdin and stdout."""

import os

import click

from swarm_tui.cli.common import FAILED, Failure, broker_option, swarm_option, target
from swarm_tui.cli.number_types import SPAN


@click.command(
    epilog='Example, in a client\'s configuration: {"command": "swarm-tui", "args": ["mcp", "--swarm", "dev"]}'
)
@click.option(
    "--longest-wait",
    type=SPAN,
    default=50.0,
    show_default=True,
    help="Seconds after which a call that waits answers that it still runs: less than the client's own limit.",
)
@swarm_option
@broker_option
def command(longest_wait: float, swarm: str | None, broker: str | None) -> int:
    """Serve the swarm's tools to an MCP client over stdin and stdout.

    Started by a task's own program it acts as the agent that does the task, and may do no more than that one. It never
    approves anything.
    """
    try:
        from swarm_tui.cli.mcp_server import serve
    except ImportError:
        raise Failure("the MCP SDK is not installed here: run `pip install 'swarm-tui[mcp]'`", FAILED) from None
    # A task's program is told its swarm.
    serve(target(swarm or os.environ.get("SWARM_NAME"), broker), longest_wait)
    return 0
