"""`swarm-tui attach`: the terminal becomes an agent's pane."""

import sys

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, Failure, Target, swarm_option, target
from swarm_tui.cli.completers import agents
from swarm_tui.cli.name_checks import check_agents
from swarm_tui.supervisor import host_access
from swarm_tui.tmux.attach import attach, attach_far
from swarm_tui.tmux.errors import TmuxError


@click.command(epilog="Example: swarm-tui attach testing-01")
@click.argument("agent", required=False, shell_complete=agents)
@swarm_option
def command(agent: str | None, swarm: str | None) -> None:
    """Show AGENT's pane, zoomed, in this terminal; detaching (Ctrl-b d) comes back. Without AGENT, the session."""
    if agent is not None:
        check_agents((agent,))
    found = target(swarm)
    if found.running is None:
        raise Failure(f"no swarm `{found.swarm}` runs here; `swarm-tui up` starts one", NO_SUCH)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure("this is not a terminal, so nothing can attach to it")
    tmux = host_access.server(found.running.socket)
    try:
        panes = tmux.panes()
    except TmuxError as error:
        raise Failure(str(error)) from None
    pane_id = None
    if agent is not None:
        pane = next((pane for pane in panes if pane.swarm == found.swarm and pane.agent == agent), None)
        if pane is None:
            _elsewhere(found, agent)
            return
        pane_id = pane.pane_id
    elif not any(pane.swarm == found.swarm for pane in panes):
        raise Failure(f"the session {found.running.session} is gone; `swarm-tui up` makes it again")
    code = attach(tmux, found.running.session, pane_id)
    if code:
        raise Failure(f"tmux ended with {code}", FAILED)


def _elsewhere(found: Target, agent: str) -> None:
    """On another host: over ssh, where its layout gives an address."""
    from swarm_tui.cli.supervisor_client import SupervisorClient

    with SupervisorClient(found) as supervisors:
        host, status = supervisors.find(agent)
    if found.running is not None and host == found.running.host:
        raise Failure(f"{agent} has no pane now; `swarm-tui logs {agent}` shows its last words", FAILED)
    if not status.address:
        raise Failure(
            f"{agent} runs on the host {host}, whose layout gives no `address`: log in there and attach", FAILED
        )
    try:
        problem = attach_far(status.address, found.swarm, agent)
    except (OSError, ValueError) as error:
        raise Failure(f"{agent} runs on the host {host}: {error}", FAILED) from None
    if problem is not None:
        raise Failure(problem, FAILED)
