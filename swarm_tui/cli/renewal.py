"""Agents of another version of the package: `up` names them, and offers to restart them one after another."""

import sys
import time

import click

from swarm_tui import __version__
from swarm_tui.cli.common import Failure, note, target
from swarm_tui.cli.hosts import HEAR_HOSTS, Hosts
from swarm_tui.protocol.bodies import HostControl
from swarm_tui.supervisor.up import Prepared, of_another_version

QUESTION = "Restart them one after another, each as soon as it is idle?"


def offer(ready: Prepared, *, renew: bool, ask: bool, wait: float) -> str | None:
    """Name the agents of another version and have them restarted where that is wished: `renew`, or a person's yes.

    `ask`: a person may be asked. Waits up to `wait` seconds for the last of them; a sentence when some are left then.
    """
    old = of_another_version(ready.state) if ready.running else {}
    if not old:
        return None
    named = ", ".join(f"{name} ({was})" for name, was in sorted(old.items()))
    note(f"of another version than {__version__}: {named}")
    if not renew and not (ask and sys.stdin.isatty() and click.confirm(QUESTION, default=False, err=True)):
        note(
            f"    they go on as they are; `swarm-tui up --renew {ready.plan.path}` restarts each as soon as it is idle"
        )
        return None
    _ask(ready, list(old))
    if not wait:
        note("    they are restarted one after another, each as soon as it is idle")
        return None
    end = time.monotonic() + wait
    while (left := sorted(of_another_version(ready.state))) and time.monotonic() < end:
        time.sleep(0.05)
    if left:
        return f"still of another version after {wait:g} s: {', '.join(left)}; each is restarted as soon as it is idle"
    click.echo(f"{len(old)} agents are of {__version__} now")
    return None


def _ask(ready: Prepared, names: list[str]) -> None:
    """The dispatcher goes last, so that it knows of all the others' restarts."""
    leaders = {spec.agent_id for spec in ready.plan.specs(ready.state) if spec.role == "task-manager"}
    names.sort(key=lambda name: (name in leaders, name))
    with Hosts(target(ready.plan.swarm)) as hosts:
        if not hosts.until(lambda: ready.plan.host in hosts.statuses, HEAR_HOSTS):
            raise Failure("the supervisor is not on the bus yet, so nobody can be restarted: run `up` again")
        hosts.ask(ready.plan.host, HostControl(command="restart", agent_ids=names, when_idle=True))
