"""Starts another program as an agent: in the caller's environment, under the lock of its id, with its placeholders.

Without `wrap` the program takes this process's place; with it, it runs as a child while we hold its presence.
Everything before that is a delay of the program's start, so only what it needs is imported.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm_tui.agent.lock import HeldError, take
from swarm_tui.config.environment import apply_environment
from swarm_tui.config.paths import StateDir
from swarm_tui.processes import marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FAILED, USAGE_ERROR = 1, 2
#: Exit status of a program that is not there, as shells give it.
NOT_FOUND = 127


def main(argv: Sequence[str] | None = None) -> int:
    """Start the program of `--spec FILE`; returns only when it cannot, or when it was wrapped."""
    words = sys.argv[1:] if argv is None else argv
    if len(words) != 2 or words[0] != "--spec":
        return _complain("--spec FILE is needed", USAGE_ERROR)
    path = Path(words[1])
    try:
        return launch(path, json.loads(path.read_bytes()))
    except HeldError as error:
        return _complain(str(error), FAILED)
    except OSError as error:
        return _complain(f"{error.filename or 'the program'}: {error.strerror or error}", FAILED)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _complain(f"{path}: is no agent's spec: {error}", USAGE_ERROR)


def launch(path: Path, spec: "Mapping[str, Any]") -> int:
    """Run the command of a RunSpec, read as JSON from `path`.

    Raises HeldError, OSError, and KeyError, TypeError or AttributeError for what is no spec.
    """
    state = StateDir(Path(spec["state_dir"]))
    apply_environment(state.environment())
    os.environ.update(environment_of(with_account(spec)))
    command = filled(spec)
    os.chdir(spec["workdir"])
    held = take(state.lock(spec["agent_id"]), spec["agent_id"], keep_over_exec=not spec["wrap"])
    try:
        if spec["wrap"]:
            from swarm_tui.agent.wrap import wrapped

            return wrapped(path, command)
        os.execvp(command[0], command)
    except FileNotFoundError:
        return _complain(f"{command[0]} is not there: install it, or give its path in the layout", NOT_FOUND)
    finally:
        os.close(held)


def filled(spec: "Mapping[str, Any]") -> list[str]:
    """Return the command with `{agent_id} {role} {swarm} {broker} {workdir}` filled, the broker without its secrets."""
    facts = {
        "agent_id": spec["agent_id"],
        "role": spec["role"],
        "swarm": own_swarm(spec),
        "broker": _broker(spec, shown=True),
        "workdir": spec["workdir"],
    }
    return [_fill(element, facts) for element in spec["command"]]


def own_swarm(spec: "Mapping[str, Any]") -> str:
    """Return the swarm as the program knows it: one of its own where it speaks only another dialect."""
    swarm, agent_id = spec["swarm"], spec["agent_id"]
    return str(swarm) if spec["dialect"] == "swarm" else f"{swarm}/_a/{agent_id}"


def environment_of(spec: "Mapping[str, Any]") -> dict[str, str]:
    """Return what the program is told besides its arguments: the broker's secrets go this way only."""
    told = {
        "OPENCTO_SWARM": own_swarm(spec),
        "MQTT_BROKER": _broker(spec),
        "SWARM_AGENT_ID": spec["agent_id"],
        marks.VARIABLE: marks.mark(spec["state_dir"], spec["agent_id"], marks.PROGRAM),
    }
    if spec["broker"]["username"] is not None:
        told["MQTT_USERNAME"] = spec["broker"]["username"]
    if spec["broker"]["password"] is not None:
        told["MQTT_PASSWORD"] = spec["broker"]["password"]
    if spec["broker"]["tls"]["ca"] is not None:
        told["MQTT_CA"] = spec["broker"]["tls"]["ca"]
    return {**told, **spec["env"]}


def with_account(spec: "Mapping[str, Any]") -> "Mapping[str, Any]":
    """Return the spec with what an embedded broker wants of a program of another dialect."""
    if spec["dialect"] == "swarm":
        return spec
    import msgspec

    from swarm_tui.config.model import Broker
    from swarm_tui.identity.account import broker_of_foreign

    way = broker_of_foreign(msgspec.convert(spec["broker"], Broker), spec["state_dir"], spec["agent_id"])
    return {**spec, "broker": msgspec.to_builtins(way)}


def _broker(spec: "Mapping[str, Any]", *, shown: bool = False) -> str:
    """Return its URL: without the password, which has a variable of its own, and where it is shown without any secret.

    What stands in a command line is shown to every user of the machine.
    """
    url = str(spec["broker"]["url"])
    if "@" not in url and "?" not in url:
        return url
    from swarm_tui.config.urls import shown_url, without_password

    return shown_url(url) if shown else without_password(url)


def _fill(element: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        element = element.replace(f"{{{name}}}", value)
    return element


def _complain(reason: str, code: int) -> int:
    from swarm_tui.agent.main import complain

    return complain(reason, code)


if __name__ == "__main__":
    sys.exit(main())
