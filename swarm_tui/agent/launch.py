"""Starts another program as an agent: in the caller's environment, under the lock of its id, with its placeholders.

Without `wrap` the program takes this process's place; with it, it runs as a child while we hold its presence.
"""

import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from swarm_tui.agent.lock import HeldError, take
from swarm_tui.agent.main import FAILED, USAGE_ERROR, complain
from swarm_tui.agent.options import UsageError, parse
from swarm_tui.config.environment import apply_environment
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import read_spec
from swarm_tui.config.urls import shown_url

#: Exit status of a program that is not there, as shells give it.
_NOT_FOUND = 127


def main(argv: Sequence[str] | None = None) -> int:
    """Start the program of `--spec FILE`; returns only when it cannot, or when it was wrapped."""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        if options.spec is None:
            raise UsageError("--spec FILE is needed")
        return launch(read_spec(Path(options.spec)))
    except (UsageError, ConfigError) as error:
        return complain(str(error), USAGE_ERROR)
    except HeldError as error:
        return complain(str(error), FAILED)
    except OSError as error:
        return complain(f"{error.filename or 'the program'}: {error.strerror or error}", FAILED)


def launch(spec: RunSpec) -> int:
    """Run the spec's command. Raises HeldError, OSError or UsageError."""
    state = StateDir(Path(spec.state_dir)).create()
    apply_environment(state.environment())
    os.environ.update(environment_of(spec))
    command = filled(spec)
    program = shutil.which(command[0]) or command[0]
    os.chdir(spec.workdir)
    held = take(state.lock(spec.agent_id), spec.agent_id, keep_over_exec=not spec.wrap)
    if spec.wrap:
        try:
            return _wrapped(spec, [program, *command[1:]])
        finally:
            os.close(held)
    try:
        os.execv(program, command)
    except FileNotFoundError:
        return complain(f"{command[0]} is not there: install it, or give its path in the layout", _NOT_FOUND)


def filled(spec: RunSpec) -> list[str]:
    """The command with `{agent_id} {role} {swarm} {broker} {workdir}` filled; the broker without its password."""
    if not spec.command:
        raise UsageError(f"{spec.agent_id} has no command to start")
    facts = {
        "agent_id": spec.agent_id,
        "role": spec.role,
        "swarm": own_swarm(spec),
        "broker": shown_url(spec.broker.url),
        "workdir": spec.workdir,
    }
    return [_fill(element, facts) for element in spec.command]


def own_swarm(spec: RunSpec) -> str:
    """The swarm as the program knows it: one of its own where it speaks only another dialect."""
    return spec.swarm if spec.dialect == "swarm" else f"{spec.swarm}/_a/{spec.agent_id}"


def environment_of(spec: RunSpec) -> dict[str, str]:
    """What the program is told besides its arguments: the broker's secrets go this way only."""
    told = {
        "OPENCTO_SWARM": own_swarm(spec),
        "MQTT_BROKER": shown_url(spec.broker.url),
        "SWARM_AGENT_ID": spec.agent_id,
    }
    if spec.broker.username is not None:
        told["MQTT_USERNAME"] = spec.broker.username
    if spec.broker.password is not None:
        told["MQTT_PASSWORD"] = spec.broker.password
    return told | spec.env


def _fill(element: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        element = element.replace(f"{{{name}}}", value)
    return element


def _wrapped(spec: RunSpec, command: list[str]) -> int:
    """Run the program on this terminal while our runtime holds its presence; its exit status."""
    from swarm_tui.agent.console import Console
    from swarm_tui.agent.runtime import AgentRuntime
    from swarm_tui.bus.mqtt import MqttBus
    from swarm_tui.protocol.names import client_id

    console = Console(silent=True)
    agent = AgentRuntime(spec, MqttBus(spec.broker, client_id(spec.swarm, spec.agent_id)), console)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # The terminal gives it to the program as well.
    try:
        child = subprocess.Popen(_dying_with_us(command))
    except FileNotFoundError:
        return complain(f"{command[0]} is not there: install it, or give its path in the layout", _NOT_FOUND)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: child.send_signal(number))

    def watch() -> None:
        status = child.wait()
        agent.voice.leave(f"its program ended ({status})", status if status >= 0 else 128 - status)

    agent.start()
    threading.Thread(target=watch, name="child", daemon=True).start()
    agent.voice.leaving.wait()
    if child.poll() is None:
        child.terminate()
    agent.close()
    console.close()
    return agent.voice.exit_code


def _dying_with_us(command: list[str]) -> list[str]:
    """The command, such that the kernel ends it when we die: a program without presence would be a stray."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else command


if __name__ == "__main__":
    sys.exit(main())
