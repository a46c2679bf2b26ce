"""Note who may use an embedded broker: one small file for each swarm on it, which also tells the swarm it is ours."""

from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.config.paths import broker_dir
from swarm_tui.config.urls import UNIX_MAX, broker_port, same_broker
from swarm_tui.protocol.names import swarm_hash


class Admitted(Struct, frozen=True):
    """A user of the broker: the hash of the password as mosquitto has it, and the lines of its ACL."""

    password: str
    rules: list[str]


class Admission(Struct, frozen=True, kw_only=True):
    """A swarm's part of the broker's rules. `guests` are the ACL's lines for clients without a name."""

    swarm: str
    url: str
    guests: list[str] = []
    users: dict[str, Admitted] = {}
    secure: bool = False
    """The broker speaks TLS to all but its Unix socket."""
    names: list[str] = []
    """Hosts and addresses that its certificate is for."""
    everywhere: bool = False
    """It listens on all addresses of this machine, not only on the loopback."""
    agents: list[str] = []
    """Agents of this host that have an account of their own; the others use the host's."""


def admission_path(folder: Path, swarm: str) -> Path:
    """Return where the broker with its files in `folder` keeps what it knows of the swarm."""
    return folder / "swarms" / f"{swarm_hash(swarm)}.json"


def read_admission(path: Path) -> Admission | None:
    """Return a swarm's part of the rules; None where there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Admission)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def authority_path(folder: Path) -> Path:
    """Return the certificate of the broker's own authority, by which others know it."""
    return folder / "tls" / "ca.pem"


def own_authority(url: str) -> str | None:
    """Return the file by which the embedded broker at `url` is known; None where none of ours speaks TLS there."""
    port = broker_port(url)
    path = None if port is None else authority_path(broker_dir(port))
    return str(path) if path is not None and path.exists() else None


def socket_path(folder: Path) -> Path | None:
    """Return the broker's Unix socket; None where the path is longer than an address holds, or has a space.

    mosquitto takes what stands before the space for all of it.
    """
    path = folder / "mqtt.sock"
    return path if len(str(path).encode()) <= UNIX_MAX and not any(map(str.isspace, str(path))) else None


def admission_at(home: Path, swarm: str, url: str) -> Admission | None:
    """Return what the embedded broker at `url` knows of the swarm, None where it is not ours; `home` has all state."""
    port = broker_port(url)
    if port is None:
        return None
    found = read_admission(admission_path(broker_dir(port, home), swarm))
    return found if found is not None and same_broker(found.url, url) else None
