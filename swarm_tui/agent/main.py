"""`swarm-tui agent`: one agent in this terminal."""

import faulthandler
import os
import signal
import sys
from collections.abc import Sequence

from swarm_tui.agent.command_line import USAGE, AgentOptions, UsageError, parse
from swarm_tui.protocol.names import InvalidNameError
from swarm_tui.protocol.text import clean

DONE, FAILED, USAGE_ERROR = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run an agent until it is told to leave; the exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        options = parse(words)
    except UsageError as error:
        return complain(str(error), USAGE_ERROR)
    if options.help:
        return show(USAGE.format(program="swarm-tui agent"))
    if options.version:
        return show_version()
    return run(options)


def run(options: AgentOptions) -> int:
    """Run the agent that the options describe; the exit code."""
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    from swarm_tui.agent.agent_process import live
    from swarm_tui.agent.lock import HeldError
    from swarm_tui.agent.settings import resolve
    from swarm_tui.bus.port import BusError
    from swarm_tui.config.errors import ConfigError
    from swarm_tui.config.paths import why_not

    try:
        settings = resolve(options, os.environ)
        return live(settings, take_over=options.take_over)
    except (UsageError, InvalidNameError, ConfigError) as error:
        return complain(str(error), USAGE_ERROR)
    except (HeldError, BusError) as error:
        return complain(str(error), FAILED)
    except OSError as error:
        return complain(why_not(error), FAILED)


def complain(reason: str, code: int) -> int:
    """Say why on stderr; returns `code`."""
    for line in reason.splitlines():
        print(f"swarm-tui agent: {clean(line, 500)}", file=sys.stderr)
    return code


def show(text: str) -> int:
    """Print help; a reader that went away is no failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return DONE


def show_version() -> int:
    """Print the version."""
    from swarm_tui import __version__

    return show(f"swarm-tui {__version__}\n")


if __name__ == "__main__":
    sys.exit(main())
