"""`swarm-tui resume`: lift a halt."""

import click

from swarm_tui.cli.common import broker_option, swarm_option, target
from swarm_tui.cli.existence import check_halt_counts, check_heard, check_swarm_exists, halted_by
from swarm_tui.cli.follow import follow
from swarm_tui.protocol.topics import Kind


@click.command(epilog="Example: swarm-tui resume")
@swarm_option
@broker_option
def command(swarm: str | None, broker: str | None) -> int:
    """Lift a halt: tasks are dispatched again. What the halt cancelled stays cancelled."""
    found = target(swarm, broker)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        reason = halted_by(follower)
        if reason is None:
            click.echo(f"{found.swarm} is not halted")
            return 0
        follower.operator.clear(Kind.HALT)
        otherwise = f"{found.swarm} is still halted"
        check_heard(follower, lambda: follower.fleet.halted is None, otherwise)
        check_halt_counts(follower, "", otherwise)
    click.echo(f"{found.swarm} goes on (it was halted: {reason})")
    return 0
