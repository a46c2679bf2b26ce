"""The screen of a swarm: `swarm-tui screen`, what `up` ends in, and what `swarm-tui` alone opens."""

import os
import sys
from collections.abc import Callable
from typing import Literal

import click
from msgspec.structs import replace

from swarm_tui.cli.common import (
    NO_SUCH,
    USAGE,
    Failure,
    Target,
    any_shard,
    broker_option,
    keys_of,
    note,
    swarm_option,
    target,
)
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import is_running, running_names
from swarm_tui.protocol.names import DEFAULT_SWARM


@click.command(epilog="Example: swarm-tui screen --swarm opencto-prod --broker mqtts://broker.example:8883")
@click.argument("name", metavar="[SWARM]", required=False)
@swarm_option
@broker_option
@click.option("--read-only", is_flag=True, help="Look, and touch nothing.")
def command(name: str | None, swarm: str | None, broker: str | None, read_only: bool) -> int:
    """Open the screen of a swarm. It is only a client: leaving it changes nothing.

    Where several run here and none is named, the page of all swarms comes first; where a swarm is named that is divided
    into shards, the page over them.
    """
    return open_screen(swarm if name is None else name, broker, read_only=read_only, anywhere=True)


def open_screen(
    swarm: str | None = None, broker: str | None = None, *, read_only: bool = False, anywhere: bool = False
) -> int:
    """Open the screen and stay until the person leaves; its exit code.

    Without `anywhere` only a swarm that was brought up on this machine is meant. Raises Failure when there is none, and
    without a terminal.
    """
    several = swarm is None and broker is None and "OPENCTO_SWARM" not in os.environ and len(running_names()) > 1
    found = target(_first() if several else swarm, broker)
    choose: Literal["", "swarms", "shards"] = "swarms" if several else ""
    if not several and (one := any_shard(found)) is not None:
        found, choose = target(one.swarm), "shards"
    if found.running is None and not anywhere:
        raise Failure(
            f"no swarm `{found.swarm}` runs here: `swarm-tui up` starts one, `swarm-tui screen --broker URL` looks at "
            "one elsewhere, `swarm-tui --help` lists the commands",
            NO_SUCH,
        )
    in_browser = bool(os.environ.get("TEXTUAL_DRIVER"))
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure("this is not a terminal, so no screen can open: `swarm-tui status` prints the facts", USAGE)
    if not in_browser and not sys.stderr.isatty():
        # The screen is drawn on stderr.
        raise Failure("stderr is not a terminal, and the screen is drawn there: leave out the `2>`", USAGE)
    keys_of(found)
    while True:
        if not in_browser:
            # The screen's own code takes a moment to load; the screen covers this line and takes it away.
            print(f"opening the screen of {found.swarm}…", end="", file=sys.stderr, flush=True)
        from swarm_tui.ui.run import run_screen

        code, wanted = run_screen(
            swarm=found.swarm,
            broker=found.broker,
            running=found.running,
            read_only=read_only,
            bring_down=None if found.running is None or read_only else _down(found),
            choose=choose,
            identity=found.identity,
        )
        if wanted is None:
            return code
        choose, found = "", _other(wanted, found)


def _first() -> str:
    """Return the swarm that stands behind the page of all when there are several, and none was named."""
    names = running_names()
    return DEFAULT_SWARM if DEFAULT_SWARM in names else sorted(names)[0]


def _other(name: str, shown: Target) -> Target:
    """Return another swarm: one that was brought up here by what is known of it, else as one on the same broker."""
    if is_running(name):
        return target(name)
    return replace(shown, swarm=name, state=state_dir(name), running=None, identity=None)


def _down(found: Target) -> Callable[[], int]:
    def bring_down() -> int:
        from swarm_tui.cli.group import run

        note(f"bringing {found.swarm} down")
        return run(["down", found.swarm])

    return bring_down
