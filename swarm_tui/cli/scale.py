"""`swarm-tui scale`: set how many agents a role has."""

import re
import time

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, Failure, note, swarm_option, target
from swarm_tui.cli.completers import roles
from swarm_tui.cli.name_checks import check_role
from swarm_tui.cli.number_types import WAIT, Whole
from swarm_tui.cli.supervisor_client import HEAR_HOSTS, UNSCALED, SupervisorClient
from swarm_tui.config.paths import disk_trouble
from swarm_tui.protocol.bodies import HostControl, HostStatus, JsonObject
from swarm_tui.protocol.names import canonical_role

#: More agents than any host runs; a number of more than 64 bits no supervisor would read.
_MOST = 1_000_000
_ALLOWED = re.compile(r"the layout allows (\d+) to (\d+)")


@click.command(epilog="Example: swarm-tui scale testing 3")
@click.argument("role", shell_complete=roles)
@click.argument("number", type=Whole(min=0, max=_MOST), metavar="N")
@click.option("--wait", type=WAIT, default=60.0, show_default=True, help="Seconds to wait for it.")
@swarm_option
def command(role: str, number: int, wait: float, swarm: str | None) -> None:
    """Give ROLE at least N agents, within the layout's min and max; those that go are drained first."""
    check_role(role)
    name = canonical_role(role)
    with SupervisorClient(target(swarm)) as supervisors:
        supervisors.until(lambda: bool(supervisors.statuses), HEAR_HOSTS)

        def count() -> int:
            rows = (row for status in supervisors.statuses.values() for row in status.panes)
            return sum(1 for row in rows if row.role == name and row.pid is not None and row.state != "draining")

        def refusals() -> list[str]:
            """Return what each host says against it, those last that give the role no limits at all."""
            said = [_refusal(status, name, known.get(host, [])) for host, status in supervisors.statuses.items()]
            against = sorted((reason for reason in said if reason), key=lambda reason: reason.startswith(UNSCALED))
            return against if len(against) == len(said) else []

        running = supervisors.found.running
        supervisors.check_here({running.host} if running is not None else ())
        if not supervisors.statuses:
            raise Failure("no supervisor answers; `swarm-tui up` starts the swarm, or mends it", NO_SUCH)
        if count() == 0 and not any(r.role == name for s in supervisors.statuses.values() for r in s.panes):
            roles = sorted({row.role for status in supervisors.statuses.values() for row in status.panes})
            raise Failure(f"no role `{role}` here; there are {', '.join(roles)}", NO_SUCH)
        known = {host: status.events for host, status in supervisors.statuses.items()}
        before, end = count(), time.monotonic() + wait
        for host in list(supervisors.statuses):
            supervisors.ask(host, HostControl(command="scale", role=name, count=number))
        supervisors.until(lambda: count() == number or bool(refusals()), wait)
        wanted = number
        if count() != number and (limits := allowed(refusals())) is not None:
            wanted = max(limits[0], min(limits[1], number))
            what = f"{name}: {limits[0]} to {limits[1]} allowed"
            if wanted == before:
                raise Failure(f"{what}, and {before} run: nothing is done about {number}", FAILED)
            note(f"{what}; {wanted} asked for instead of {number}")
            supervisors.until(lambda: count() == wanted, max(0.0, end - time.monotonic()))
        if count() != wanted:
            why = next(iter(refusals()), "").removeprefix(UNSCALED) if wanted == number else ""
            why = why or disk_trouble() or f"not yet, after {wait:g} s"
            raise Failure(f"{name} has {_agents(count())}, not {wanted}: {why}", FAILED)
        click.echo(f"{name} has {_agents(wanted)}")


def _agents(number: int) -> str:
    return f"{number} agent{'' if number == 1 else 's'}"


def allowed(reasons: list[str]) -> tuple[int, int] | None:
    """The least and the most agents of the role that the hosts' layouts allow together, as their reasons say."""
    found = [match for reason in reasons if (match := _ALLOWED.search(reason)) is not None]
    if not found:
        return None
    return sum(int(match[1]) for match in found), sum(int(match[2]) for match in found)


def _refusal(status: HostStatus, role: str, known: list[JsonObject]) -> str:
    """Why a host that was asked does not do it, or does less than was wished; empty while it says nothing of that."""
    for event in status.events:
        reason = str(event.get("reason", ""))
        if event.get("what") != "scale" or event in known or "up by" in reason or "down to" in reason:
            continue
        if reason.startswith((UNSCALED, f"{role}: ")):
            return reason
    return ""
