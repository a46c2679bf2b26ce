"""Keep what a host is to run: `up` writes it, the supervisor reads it, so a layout edited meanwhile changes nothing."""

import os
from errno import EDQUOT, ENOSPC
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.config.files import named, write_private
from swarm_tui.config.ids import name_agents, role_limits, spare_agents
from swarm_tui.config.load import Loaded
from swarm_tui.config.model import Layout, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.resolve import run_specs


class Plan(Struct, frozen=True, kw_only=True):
    """The layout as it was resolved. `embedded_port`: the port of the broker that we run, None when it is not ours.

    `join`: this host helps a swarm whose own broker and session are elsewhere. `by` and `at` say who had it run so, and
    when.
    """

    layout: Layout
    path: str
    workdir: str
    host: str
    session: str
    embedded_port: int | None = None
    join: bool = False
    by: str = ""
    at: float = 0.0

    @property
    def swarm(self) -> str:
        return self.layout.swarm

    @property
    def socket(self) -> str:
        return self.layout.tmux.socket

    def identity(self) -> str:
        """Return what two plans have in common when they are the same, whoever wrote them."""
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if name not in ("by", "at")}
        return sha256(msgspec.json.encode(fields)).hexdigest()[:16]

    def specs(self, state: StateDir) -> list[RunSpec]:
        """Return every agent that may run here, those of a scaled role up to its `max`, in the order of the file."""
        counts = {role: high for role, (_, high) in self.scaled().items()}
        loaded = Loaded(layout=self.layout, path=Path(self.path), workdir=Path(self.workdir))
        specs = run_specs(loaded, state=state, host=self.host, counts=counts)
        return [msgspec.structs.replace(spec, leaderless=False) for spec in specs] if self.join else specs

    def own(self, state: StateDir) -> frozenset[str]:
        """The agents that prove what they say: all but programs that speak MQTT by themselves."""
        specs = self.specs(state)
        return frozenset(spec.agent_id for spec in specs if spec.dialect == "swarm" and (not spec.command or spec.wrap))

    def scaled(self) -> dict[str, tuple[int, int]]:
        """Return role to (min, max), of the roles that are scaled."""
        return role_limits(self.layout)

    def scaled_agents(self) -> tuple[set[str], set[str]]:
        """Return the ids of the agents of scaled entries: those that are always there, and those that come and go."""
        counts = {role: high for role, (_, high) in self.scaled().items()}
        return spare_agents(self.layout, name_agents(self.layout, counts))


class DownRequest(Struct, frozen=True, kw_only=True):
    """Says what `down` asks of the supervisor; the file outlives a supervisor that dies on the way."""

    now: bool = False
    purge: bool = False
    """Its state goes too."""


#: Time of an empty request that asks not to drain, seconds since the epoch.
_NOW = 1.0


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
    """Leave the request for the supervisor; on a full disk an empty file, whose time tells the rest. Raises OSError."""
    path = down_path(state)
    try:
        write_private(path, msgspec.json.encode(request))
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            raise
        with named(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            os.utime(path, (_NOW, _NOW) if request.now else None)


def read_down(state: StateDir) -> DownRequest | None:
    """Return the request to go down; None when there is none."""
    try:
        raw, at = down_path(state).read_bytes(), down_path(state).stat().st_mtime
    except OSError:
        return None
    try:
        return msgspec.json.decode(raw, type=DownRequest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return DownRequest(now=at == _NOW)


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
