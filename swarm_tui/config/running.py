"""The swarms that run on this machine: one small file in each one's state folder."""

import shlex
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from swarm_tui.config.files import remove, write_private
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import StateDir, config_home, shipped_layouts, state_dir, state_home, swarm_of
from swarm_tui.protocol.shards import By

_FILE = "swarm.json"


class Running(Struct, frozen=True, kw_only=True):
    """A swarm as `up` wrote it down; it is there from `up` until `down`.

    `cwd` is the folder that relative paths of the layout start from: it stays the one of the first `up`.
    """

    swarm: str
    session: str
    socket: str
    layout_path: str
    broker: Broker
    host: str
    version: str
    started_at: float
    embedded: bool = False
    cwd: str = "."
    guests: Literal["none", "publish", "work"] = "work"
    """The layout's `policy.guests`."""
    own: tuple[str, ...] = ()
    """The layout's agents that prove what they say."""
    led: bool = False
    """The layout has a task-manager, and no agent claims by itself."""

    shards: int = 0
    """The layout's `policy.shards`."""
    shard_by: By = "id"

    @property
    def state(self) -> StateDir:
        return state_dir(self.swarm)


def save_running(running: Running) -> Path:
    """Write `<state>/swarm.json`, 0600, in one step. Raises OSError."""
    path = state_dir(running.swarm).root / _FILE
    write_private(path, msgspec.json.encode(running))
    return path


def load_running(swarm: str) -> Running | None:
    """Return what runs under that name here; None when nothing does, or its file cannot be read."""
    return _read(state_dir(swarm).root / _FILE)


def is_running(swarm: str) -> bool:
    """Return whether it was brought up here and not down, also when its file is damaged."""
    return (state_dir(swarm).root / _FILE).exists()


def forget_running(swarm: str) -> None:
    """The swarm is down."""
    remove(state_dir(swarm).root / _FILE)


def up_again(running: Running) -> str:
    """Return the command that brings it up again: with its layout's name where any folder finds that, else its path."""
    path = Path(running.layout_path)
    named = path.parent in (shipped_layouts(), config_home() / "layouts")
    return f"swarm-tui up {shlex.quote(path.stem if named else str(path))}"


def list_running() -> list[Running]:
    """Every swarm that was brought up here and not down, by name."""
    found = [_read(path) for path in sorted(state_home().glob(f"*/{_FILE}"))]
    return [running for running in found if running is not None]


def running_names() -> list[str]:
    """The names of all swarms that were brought up here and not down, also of those whose file is damaged."""
    found = []
    for path in sorted(state_home().glob(f"*/{_FILE}")):
        running = _read(path)
        found.append(running.swarm if running is not None else swarm_of(path.parent))
    return found


def _read(path: Path) -> Running | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
