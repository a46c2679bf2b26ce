"""An agent as always, but for the one point at which it is to kill itself: `POINT FLAG agent-arguments…`.

It dies at the point as soon as the file FLAG exists, which it removes first.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm_tui.agent.main import main
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.journal.dispatch import Journal


def deadly(flag: Path, function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    """`function`, with a SIGKILL before or after it once the flag is there."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before:
            _die(flag)
        result = function(*arguments, **named)
        if not before:
            _die(flag)
        return result

    return wrapped


def _die(flag: Path) -> None:
    if flag.exists():
        flag.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, flag: Path) -> None:
    """Set the point; unknown names are a mistake of the test."""
    if point == "after-commit":
        Journal.commit = deadly(flag, Journal.commit, before=False)  # type: ignore[method-assign]
    elif point == "before-commit":
        Journal.commit = deadly(flag, Journal.commit, before=True)  # type: ignore[method-assign]
    elif point == "after-publish":
        MqttBus.publish_all = deadly(flag, MqttBus.publish_all, before=False)  # type: ignore[method-assign]
    else:
        raise ValueError(point)


if __name__ == "__main__":
    arm(sys.argv[1], Path(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
