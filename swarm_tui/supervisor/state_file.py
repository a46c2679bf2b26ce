"""Keep the supervisor's small state file: what tmux and the layout cannot tell its successor, and `up` waits on."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct, field

from swarm_tui.config.files import named, remove
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.restart import History
from swarm_tui.protocol.bodies import PaneStatus


class SavedUnit(Struct, kw_only=True):
    """Keeps what is counted of one agent. Times in `history` are seconds of the boot's monotonic clock."""

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


class FormerBroker(Struct, frozen=True, kw_only=True):
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
    members: dict[str, list[str]] = field(name="crews", default_factory=dict)
    """Agents that each scaled role has now; in the file `crews`, as supervisors of other versions read it."""
    minimums: dict[str, int] = field(name="floors", default_factory=dict)
    """Least number of agents that a person asked for, of each scaled role; in the file `floors`."""
    bus_up: bool = False
    bus_reason: str = ""
    stopping: list[str] = []
    """While it goes down: whom it waits for."""
    events: list[dict[str, object]] = []
    plan: str = ""
    """Identifies the plan that it works by."""
    dispatcher: str = ""
    """Id of the agent that dispatches, on whichever host; empty while nobody does."""
    cause: str = ""
    """Why the swarm cannot come up before somebody mends that, in a sentence; empty while it may."""
    orders: dict[str, float] = {}
    """Ids of what was ordered over the bus, each with the wall time until when it is not carried out again."""
    former: FormerBroker | None = None
    """Broker where what is retained is still to be cleared."""


def store_path(state: StateDir) -> Path:
    return state.root / "supervisor.json"


def save(state: StateDir, saved: Saved) -> None:
    """Replace the file in one step. No fsync: what it holds is worth nothing after a crash of the machine."""
    path = store_path(state)
    partial = path.with_suffix(".new")
    with named(path), os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(saved))
    if path.is_dir():
        remove(path)
    os.replace(partial, path)


def load(state: StateDir) -> Saved | None:
    """Return what the last supervisor wrote; None when nothing, or nothing that makes sense."""
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
