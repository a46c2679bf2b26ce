"""`swarm-tui halt`: stop all work of the swarm at once; it stays so until `resume`."""

import click

from swarm_tui.cli.common import broker_option, swarm_option, target
from swarm_tui.cli.existence import Echoes, check_halt_counts, check_heard, check_swarm_exists, halted_by
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
        was, otherwise = halted_by(follower), f"{found.swarm} is not halted"
        if was is not None:
            otherwise = f"{found.swarm} is halted as it was ({was}), and not by this"
        echoes = Echoes(follower, Kind.HALT)
        said = follower.operator.act(Kind.HALT, Halt(reason=reason))
        check_heard(follower, lambda: said in echoes.ids, otherwise)
        check_halt_counts(follower, said, otherwise)
    click.echo(f"{found.swarm} is halted; `swarm-tui resume` lifts it")
    return 0
