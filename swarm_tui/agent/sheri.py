"""`sheri-ml`, the agent command of the seed document: with `--mqtt`, an agent of the swarm."""

import sys
from collections.abc import Sequence

from swarm_tui.agent.command_line import USAGE, UsageError, parse
from swarm_tui.agent.main import USAGE_ERROR, complain, run, show, show_version

_WITHOUT_MQTT = """\
sheri-ml is an agent of a swarm that talks over MQTT; without --mqtt there is nothing that it does here.
Start one with:  sheri-ml --mqtt --role testing --agent-id test-01
A whole swarm:   swarm-tui up opencto-dev
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the agent; the exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        options = parse(words)
    except UsageError as error:
        return complain(str(error), USAGE_ERROR)
    if options.help:
        return show(USAGE.format(program="sheri-ml --mqtt"))
    if options.version:
        return show_version()
    if not options.mqtt:
        sys.stderr.write(_WITHOUT_MQTT)
        return USAGE_ERROR
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
