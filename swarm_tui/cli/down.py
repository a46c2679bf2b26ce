"""`swarm-tui down`: drain and stop a swarm; leave nothing running."""

from shutil import rmtree

import click

from swarm_tui.cli.common import NO_SUCH, Failure, Target, target, tell
from swarm_tui.config.paths import why_not
from swarm_tui.config.running import is_running
from swarm_tui.supervisor import down
from swarm_tui.supervisor.host_access import UpError, swarm_lock
from swarm_tui.supervisor.leftovers import plan_of_leftovers
from swarm_tui.supervisor.plan import load_plan
from swarm_tui.tmux.errors import TmuxError


@click.command(epilog="Example: swarm-tui down opencto-dev --now")
@click.argument("swarm", required=False)
@click.option("--swarm", "named", metavar="NAME", help="The same as the argument.")
@click.option("--now", is_flag=True, help="Do not let agents finish their work first.")
@click.option("--purge", is_flag=True, help="Delete its state too: journal, record and logs.")
def command(swarm: str | None, named: str | None, now: bool, purge: bool) -> None:
    """Drain and stop SWARM in reverse order: nothing of it runs on. Its record, journal and logs stay."""
    found = target(named if swarm is None else swarm)
    try:
        if _nothing_is_there(found):
            if not (purge and _purge(found)):
                raise Failure(f"no swarm `{found.swarm}` runs here; `swarm-tui up` starts one", NO_SUCH)
            click.echo(f"{found.swarm} was down; its state is deleted")
            return
        if now:
            down.hurry(found.state)
        with swarm_lock(found.state, tell):
            was_there = down.bring_down(found.swarm, now=now, purge=purge, say=tell, waits=_waits)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(why_not(error)) from None
    except (UpError, TmuxError) as error:
        raise Failure(str(error)) from None
    if not was_there:
        raise Failure(f"no swarm `{found.swarm}` runs here; `swarm-tui up` starts one", NO_SUCH)
    click.echo(f"{found.swarm} is down")


def _nothing_is_there(found: Target) -> bool:
    """Return whether nothing of the swarm runs here; ask before the lock of its `down` is made, which looks alive."""
    if is_running(found.swarm) or load_plan(found.state) is not None:
        return False
    return plan_of_leftovers(found.swarm, found.state, lambda line: None) is None


def _purge(found: Target) -> bool:
    """Delete the state that an earlier `down` left; False when there is none."""
    if not found.state.root.joinpath("locks").is_dir():
        return False
    with swarm_lock(found.state, tell):
        if load_plan(found.state) is None:
            rmtree(found.state.root)
    return True


def _waits(names: list[str]) -> None:
    if names:
        tell(f"waiting for {', '.join(names)}")
