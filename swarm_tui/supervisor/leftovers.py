"""Find what is left of a swarm whose plan cannot be read: panes, locks and agents' files tell enough to end it all."""

import os
from contextlib import suppress
from pathlib import Path

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.home import home
from swarm_tui.config.model import AgentEntry, Broker, Layout, RunSpec
from swarm_tui.config.model import Tmux as TmuxLayout
from swarm_tui.config.paths import StateDir
from swarm_tui.config.running import Running, load_running
from swarm_tui.config.spec import read_spec
from swarm_tui.config.urls import is_loopback
from swarm_tui.protocol.names import is_agent_id
from swarm_tui.supervisor import locks
from swarm_tui.supervisor.broker_pane import BROKER
from swarm_tui.supervisor.host_access import Say, server
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.shutdown import port_of
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import socket_folder


def plan_of_leftovers(swarm: str, state: StateDir, say: Say) -> Plan | None:
    """Return a plan of what is there, good for nothing but to end it; None when nothing is.

    `say` hears what could not be read, and what was found by other means.
    """
    running = load_running(swarm)
    socket, panes = _panes(swarm, running)
    specs = _specs(state)
    named = sorted({pane.agent for pane in panes if is_agent_id(pane.agent)} | specs.keys() | _locked(state))
    # A `down` that waited for another one asks again, and holds the swarm's lock itself by then.
    alive = bool(panes) or any(set(locks.holders(path)) - {os.getpid()} for path in _files(state.root / "locks"))
    if not alive and running is None:
        return None
    say(f"{state.root / 'plan.json'} cannot be read; what runs is found by its panes, locks and files")
    broker = running.broker if running is not None else next((spec.broker for spec in specs.values()), None)
    if broker is None:
        say("which broker it used is not known: what it retained there stays")
    session = next((pane.session for pane in panes), running.session if running is not None else swarm)
    layout = Layout(
        swarm=swarm,
        session=session,
        # A socket that is not there: nobody else's broker is touched by mistake.
        broker=broker or Broker(url=f"unix://{state.root}/none", embedded="never"),
        tmux=TmuxLayout(socket=socket),
        agents=[AgentEntry(role=specs[name].role if name in specs else "general", id=name) for name in named],
    )
    return Plan(
        layout=layout,
        path=running.layout_path if running is not None else "",
        workdir=str(home()),
        host=running.host if running is not None else next((spec.host for spec in specs.values() if spec.host), "here"),
        session=session,
        embedded_port=_embedded(panes, running, broker),
    )


def _panes(swarm: str, running: Running | None) -> tuple[str, list[Pane]]:
    """Return the tmux server that has panes of the swarm, by their tags, and those panes."""
    known = running.socket if running is not None else TmuxLayout().socket
    others = [path.name for path in _files(socket_folder()) if path.name != known]
    for socket in [known, *others]:
        with suppress(TmuxError):
            found = [pane for pane in server(socket).panes() if pane.swarm == swarm]
            if found:
                return socket, found
    return known, []


def _specs(state: StateDir) -> dict[str, RunSpec]:
    found = {}
    for path in _files(state.root / "agents"):
        with suppress(ConfigError):
            spec = read_spec(path)
            if is_agent_id(spec.agent_id) and path == state.spec(spec.agent_id):
                found[spec.agent_id] = spec
    return found


def _locked(state: StateDir) -> set[str]:
    return {path.name for path in _files(state.root / "locks") if is_agent_id(path.name) and path.name[0] != "_"}


def _embedded(panes: list[Pane], running: Running | None, broker: Broker | None) -> int | None:
    port = next((pane.port for pane in panes if pane.role == BROKER), None)
    if port is None and running is not None and running.embedded and broker is not None and is_loopback(broker.url):
        return port_of(broker.url)
    return port


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError:
        return []
