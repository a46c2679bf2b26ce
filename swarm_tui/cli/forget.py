"""`swarm-tui forget`: forget an agent that is gone."""

import click

from swarm_tui.cli.common import FAILED, Failure, swarm_option, target
from swarm_tui.cli.hosts import HEAR_HOSTS, Hosts, check_ids
from swarm_tui.protocol.bodies import HostControl
from swarm_tui.protocol.topics import Kind


@click.command(epilog="Example: swarm-tui forget testing-07")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT...")
@swarm_option
def command(agents: tuple[str, ...], swarm: str | None) -> None:
    """Clear what the swarm remembers of AGENTs that are gone: their retained status, their counters."""
    check_ids(agents)
    with Hosts(target(swarm)) as hosts:
        hosts.until(lambda: bool(hosts.statuses), HEAR_HOSTS)
        for agent_id in agents:
            row = hosts.row(agent_id)
            if row is not None and row.pid is not None:
                raise Failure(f"{agent_id} still runs: `swarm-tui stop {agent_id}` first", FAILED)
            for host in list(hosts.statuses):
                hosts.ask(host, HostControl(command="forget", agent_id=agent_id))
            hosts.operator.clear(Kind.STATUS, agent_id)
            click.echo(f"{agent_id} is forgotten")
