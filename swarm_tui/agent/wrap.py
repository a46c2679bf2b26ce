"""A program without MQTT of its own, run as a child while our runtime holds its presence."""

import faulthandler
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from swarm_tui.agent.console import Console
from swarm_tui.agent.main import USAGE_ERROR, complain
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.spec import read_spec
from swarm_tui.identity.account import broker_of_agent
from swarm_tui.identity.open import open_agent
from swarm_tui.processes.descendants import dying_with_us
from swarm_tui.processes.marks import PROGRAM, end_marked
from swarm_tui.protocol.client_ids import client_id

#: Seconds that the program has to end by itself when the agent leaves.
_TERM_WAIT = 10.0


def wrapped(path: Path, command: Sequence[str]) -> int:
    """Run the program on this terminal while the agent of the spec at `path` is present; its exit status.

    Raises FileNotFoundError when it is not there, and other OSErrors.
    """
    try:
        spec = read_spec(path)
    except ConfigError as error:
        return complain(str(error), USAGE_ERROR)
    console = Console(silent=True)
    keys = open_agent(spec.state_dir, spec.agent_id)
    way = broker_of_agent(spec.broker, spec.state_dir, spec.agent_id)
    agent = AgentRuntime(spec, MqttBus(way, client_id(spec.swarm, spec.agent_id)), console, keys=keys)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # The terminal gives it to the program as well.
    child = subprocess.Popen(_dying_with_us(command))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: child.send_signal(number))

    def watch() -> None:
        status = child.wait()
        agent.reporter.leave(f"its program ended ({status})", status if status >= 0 else 128 - status)

    agent.start()
    threading.Thread(target=watch, name="child", daemon=True).start()
    agent.reporter.leaving.wait()
    if child.poll() is None:
        child.terminate()
    agent.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_TERM_WAIT)
    # What it started in sessions of their own has nobody any more.
    end_marked(spec.state_dir, lambda one: (one.agent_id, one.token) == (spec.agent_id, PROGRAM))
    console.close()
    return agent.reporter.exit_code


def _dying_with_us(command: Sequence[str]) -> list[str]:
    """Return the command, such that the kernel ends it when we die: without presence it would be a stray."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(command[0])
    return dying_with_us([program, *command[1:]], "TERM")
