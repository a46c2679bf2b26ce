"""Where a swarm keeps its state; every folder is 0700."""

import os
from errno import EDQUOT, ENOSPC
from pathlib import Path

from swarm_tui.config.home import base_folder

#: Bytes on the disk with the state below which little goes on: a broker saves, a dispatcher journals.
LEAST_FREE = 8 * 2**20


class StateDir:
    """`$XDG_STATE_HOME/swarm-tui/<swarm>/`; a `/` in the swarm's name becomes `%2F`."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def recorder(self) -> Path:
        return self.root / "recorder.db"

    @property
    def dispatch(self) -> Path:
        return self.root / "dispatch.db"

    @property
    def take_over(self) -> Path:
        """The mark by which a person has the next dispatcher lead, whoever else does."""
        return self.root / "take-over"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, agent_id: str) -> Path:
        return self.logs / f"{agent_id}.log"

    def spec(self, agent_id: str) -> Path:
        """The agent's RunSpec, 0600."""
        return self.root / "agents" / f"{agent_id}.json"

    def environment(self) -> Path:
        """The caller's environment for the panes, a JSON object, 0600."""
        return self.root / "environment.json"

    def lock(self, name: str) -> Path:
        """The lock of an agent id, or of the swarm (`_swarm`), the supervisor (`_supervisor`)."""
        return self.root / "locks" / name

    def worker(self, agent_id: str) -> Path:
        """The worker's journal: what it was offered, what it must still report."""
        return self.root / "work" / f"{agent_id}.journal"

    def screen(self, agent_id: str) -> Path:
        """Return the folder of an interactive agent's CLI: its hooks' socket and settings, its session's name."""
        return self.root / "screens" / agent_id

    def mailbox(self, agent_id: str) -> Path:
        """The agent's mail: what came, what was read, what it sent."""
        return self.root / "mail" / f"{agent_id}.db"

    def results(self) -> Path:
        """Results too large for a message."""
        return self.root / "results"

    def tasks(self) -> Path:
        """Return what the programs of tasks printed, a few files an attempt."""
        return self.root / "tasks"

    def create(self) -> "StateDir":
        """Make the folders, 0700. Raises OSError."""
        for folder in (
            self.root.parent,
            self.root,
            self.logs,
            self.root / "agents",
            self.root / "locks",
            self.root / "work",
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self


def state_home() -> Path:
    """`$XDG_STATE_HOME/swarm-tui`, by default under `~/.local/state`."""
    return base_folder("XDG_STATE_HOME") / "swarm-tui"


def config_home() -> Path:
    """`$XDG_CONFIG_HOME/swarm-tui`, by default under `~/.config`."""
    return base_folder("XDG_CONFIG_HOME") / "swarm-tui"


def state_dir(swarm: str) -> StateDir:
    """The swarm's state folder; it need not exist."""
    return StateDir(state_home() / swarm.replace("%", "%25").replace("/", "%2F"))


def why_not(error: OSError) -> str:
    """Return what the disk says, in words; where it is about the state folder, also what to do."""
    if not isinstance(error.filename, str):
        return error.strerror or str(error)
    named = f"{error.filename}: {error.strerror or error}"
    if error.errno in (ENOSPC, EDQUOT):
        return f"{named}: make room on that disk"
    path, home = Path(error.filename), state_home()
    if path.is_relative_to(home) or home.is_relative_to(path):
        return f"{named}; the state folder must be yours to write: set XDG_STATE_HOME to another"
    return named


def disk_trouble() -> str:
    """Return a sentence when next to nothing can be written where the state is; empty while there is room."""
    place = next(path for path in (state_home(), *state_home().parents) if path.exists())
    try:
        found = os.statvfs(place)
    except OSError:
        return ""
    free = found.f_bavail * found.f_frsize
    return f"the disk of {state_home()} has {free // 2**20} MB left: make room on it" if free < LEAST_FREE else ""


def swarm_of(root: Path) -> str:
    """The name of the swarm whose state folder this is."""
    return root.name.replace("%2F", "/").replace("%25", "%")


def broker_dir(port: int, home: Path | None = None) -> Path:
    """The embedded broker's own files: it belongs to the user and the port, not to one swarm. `home` has all state."""
    return (home or state_home()) / f"_broker-{port}"


#: Where the layouts and workflows come from that nobody here wrote.
SHIPPED = "shipped"


def shipped_layouts() -> Path:
    """The folder of the layouts that come with the package, in a wheel and in a checkout alike."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "layouts"
    return installed if installed.is_dir() else package.parent / "layouts"
