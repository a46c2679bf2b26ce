"""`swarm-tui halt`: stop all work of the swarm at once; it stays so until `resume`."""

import click

from swarm_tui.cli.common import broker_option, swarm_option, target
from swarm_tui.cli.existence import check_heard, check_swarm_exists
from swarm_tui.cli.follow import follow
from swarm_tui.protocol.bodies import Halt
from swarm_tui.protocol.topics import Kind


@click.command(epilog="Example: swarm-tui halt 'bad release'")
@click.argument("reason", required=False, default="halted by an operator")
@swarm_option
@broker_option
def command(reason: str, swarm: str | None, broker: str | None) -> int:
    """Stop dispatch and cancel everything that runs, now. It outlives restarts; `resume` lifts it."""
    found = target(swarm, broker)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        follower.operator.act(Kind.HALT, Halt(reason=reason))
        check_heard(follower, lambda: follower.fleet.halted is not None, f"{found.swarm} is not halted")
    click.echo(f"{found.swarm} is halted; `swarm-tui resume` lifts it")
    return 0
