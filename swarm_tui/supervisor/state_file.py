"""The supervisor's small state file: what tmux and the layout cannot tell its successor, and what `up` waits on."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.config.files import remove
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.restart import History
from swarm_tui.protocol.bodies import PaneStatus


class SavedUnit(Struct, kw_only=True):
    """One agent: counters and wishes. Times in `history` are of the boot's monotonic clock."""

    history: History = History()
    pid: int | None = None
    start_time: float | None = None
    incarnation: int = 0
    wanted: bool = True
    crashloop: bool = False
    exit_status: int | None = None
    exit_signal: int | None = None
    reason: str = ""
    tail: list[str] = []
    version: str = ""
    """The package's, as its own runtime says it; empty for other programs."""


class Former(Struct, frozen=True, kw_only=True):
    """The broker that the swarm was moved away from; `alone`: no other host was seen there. `port`: of one of ours."""

    broker: Broker
    alone: bool
    port: int | None = None


class Saved(Struct, kw_only=True):
    """`pid`, `start_time` and `version` of the supervisor that wrote it."""

    pid: int = 0
    start_time: float | None = None
    boot: str = ""
    version: str = ""
    units: dict[str, SavedUnit] = {}
    rows: list[PaneStatus] = []
    crews: dict[str, list[str]] = {}
    """Of scaled roles: who is in now."""
    floors: dict[str, int] = {}
    """Of scaled roles: the least that a person asked for."""
    bus_up: bool = False
    bus_reason: str = ""
    stopping: list[str] = []
    """While it goes down: whom it waits for."""
    events: list[dict[str, object]] = []
    plan: str = ""
    """Identifies the plan that it works by."""
    former: Former | None = None
    """What is retained there is still to be cleared."""


def store_path(state: StateDir) -> Path:
    return state.root / "supervisor.json"


def save(state: StateDir, saved: Saved) -> None:
    """Replace the file in one step. No fsync: what it holds is worth nothing after a crash of the machine."""
    path = store_path(state)
    partial = path.with_suffix(".new")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(saved))
    if path.is_dir():
        remove(path)
    os.replace(partial, path)


def load(state: StateDir) -> Saved | None:
    """What the last supervisor wrote; None when nothing, or nothing that makes sense."""
    try:
        return msgspec.json.decode(store_path(state).read_bytes(), type=Saved)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def boot_id() -> str:
    """Identifies this run of the machine: pids and monotonic times of another mean nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
