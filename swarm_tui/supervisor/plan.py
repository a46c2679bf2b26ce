"""Keep what a host is to run: `up` writes it, the supervisor reads it, so a layout edited meanwhile changes nothing."""

from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.config.files import write_private
from swarm_tui.config.ids import bounds
from swarm_tui.config.load import Loaded
from swarm_tui.config.model import Layout, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.resolve import run_specs
from swarm_tui.protocol.names import canonical_role


class Plan(Struct, frozen=True, kw_only=True):
    """The layout as it was resolved. `embedded_port`: the port of the broker that we run, None when it is not ours.

    `join`: this host helps a swarm whose own broker and session are elsewhere.
    """

    layout: Layout
    path: str
    workdir: str
    host: str
    session: str
    embedded_port: int | None = None
    join: bool = False

    @property
    def swarm(self) -> str:
        return self.layout.swarm

    @property
    def socket(self) -> str:
        return self.layout.tmux.socket

    def identity(self) -> str:
        """Return what two plans have in common when they are the same."""
        return sha256(msgspec.json.encode(self)).hexdigest()[:16]

    def specs(self, state: StateDir) -> list[RunSpec]:
        """Return every agent that may run here, those of a scaled role up to its `max`, in the order of the file."""
        counts = {role: high for role, (_, high) in self.scaled().items()}
        loaded = Loaded(layout=self.layout, path=Path(self.path), workdir=Path(self.workdir))
        return run_specs(loaded, state=state, host=self.host, counts=counts)

    def scaled(self) -> dict[str, tuple[int, int]]:
        """Return role to (min, max), of the roles that are scaled."""
        limits = ((canonical_role(entry.role), bounds(entry)) for entry in self.layout.agents)
        return {role: limit for role, limit in limits if limit is not None}


class DownRequest(Struct, frozen=True, kw_only=True):
    """Says what `down` asks of the supervisor; the file outlives a supervisor that dies on the way."""

    now: bool = False
    purge: bool = False
    """Its state goes too."""


def plan_path(state: StateDir) -> Path:
    return state.root / "plan.json"


def down_path(state: StateDir) -> Path:
    return state.root / "down.json"


def save_plan(state: StateDir, plan: Plan) -> None:
    """Write the plan, 0600. Raises OSError."""
    write_private(plan_path(state), msgspec.json.encode(plan))


def load_plan(state: StateDir) -> Plan | None:
    """Return the plan; None when there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(plan_path(state).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def request_down(state: StateDir, request: DownRequest) -> None:
    """Leave the request for the supervisor. Raises OSError."""
    write_private(down_path(state), msgspec.json.encode(request))


def read_down(state: StateDir) -> DownRequest | None:
    """Return the request to go down; None when there is none."""
    try:
        return msgspec.json.decode(down_path(state).read_bytes(), type=DownRequest)
    except OSError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return DownRequest()


def differs(old: RunSpec, new: RunSpec) -> bool:
    """Return whether a running agent must be told; what only the dispatcher reads does not matter to the others."""
    if new.role == "task-manager":
        return old != new
    plain = RunSpec(agent_id="", role="", swarm="", broker=new.broker, workdir="", state_dir="")

    def own(spec: RunSpec) -> RunSpec:
        return msgspec.structs.replace(
            spec, types=plain.types, scale=plain.scale, policy=plain.policy, foreign=plain.foreign
        )

    return own(old) != own(new)
