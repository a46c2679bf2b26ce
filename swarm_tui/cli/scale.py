"""`swarm-tui scale`: set how many agents a role has."""

import time

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, Failure, swarm_option, target
from swarm_tui.cli.hosts import HEAR_HOSTS, Hosts
from swarm_tui.protocol.bodies import HostControl
from swarm_tui.protocol.names import canonical_role


@click.command(epilog="Example: swarm-tui scale testing 3")
@click.argument("role")
@click.argument("number", type=click.IntRange(min=0), metavar="N")
@click.option("--wait", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait for it.")
@swarm_option
def command(role: str, number: int, wait: float, swarm: str | None) -> None:
    """Give ROLE at least N agents, within the layout's min and max; those that go are drained first."""
    name = canonical_role(role)
    with Hosts(target(swarm)) as hosts:
        hosts.until(lambda: bool(hosts.statuses), HEAR_HOSTS)

        def count() -> int:
            rows = (row for status in hosts.statuses.values() for row in status.panes)
            return sum(1 for row in rows if row.role == name and row.pid is not None and row.state != "draining")

        def refusal() -> str:
            events = (event for status in hosts.statuses.values() for event in status.events)
            last = [str(e.get("reason", "")) for e in events if e.get("what") == "scale" and e.get("at", 0) >= asked_at]
            return next((reason for reason in last if "up by" not in reason and "down to" not in reason), "")

        if not hosts.statuses:
            raise Failure("no supervisor answers; `swarm-tui up` starts the swarm, or mends it", NO_SUCH)
        if count() == 0 and not any(r.role == name for s in hosts.statuses.values() for r in s.panes):
            known = sorted({row.role for status in hosts.statuses.values() for row in status.panes})
            raise Failure(f"no role `{role}` here; there are {', '.join(known)}", NO_SUCH)
        asked_at = time.time() - 0.5
        for host in list(hosts.statuses):
            hosts.ask(host, HostControl(command="scale", role=name, count=number))
        hosts.until(lambda: count() == number or bool(refusal()), wait)
        if count() != number:
            raise Failure(f"{name} has {count()} agents, not {number}: {refusal() or 'not yet'}", FAILED)
        click.echo(f"{name} has {number} agents")
