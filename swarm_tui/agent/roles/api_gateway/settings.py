"""Settings of the HTTP door: its address, and who may come in.

A layout says it in the agent's `env`; each has a default:

    SWARM_HTTP_HOST        localhost, which is 127.0.0.1 and ::1
    SWARM_HTTP_PORT        8080
    SWARM_HTTP_TOKEN_FILE  <state>/gateway.token, made with a fresh token (0600) when it is not there
    SWARM_HTTP_ORIGINS     further web origins whose pages may call, separated by commas
    SWARM_HTTP_HOSTS       further host names by which the door is reached, separated by commas
"""

import os
import secrets
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from swarm_tui.config.home import at_home
from swarm_tui.config.model import RunSpec


class DoorSettings(Struct, frozen=True, kw_only=True):
    """The door, resolved. `open_to_loopback`: who comes over loopback needs no token."""

    host: str
    port: int
    token_file: Path
    origins: frozenset[str]
    hosts: frozenset[str]
    open_to_loopback: bool


def settings(spec: RunSpec, environ: Mapping[str, str] = os.environ) -> DoorSettings:
    """Read them. Raises ValueError with a sentence."""

    def say(name: str, default: str = "") -> str:
        return spec.env.get(name) or environ.get(name) or default

    port = say("SWARM_HTTP_PORT", "8080")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"SWARM_HTTP_PORT is {port!r}: a port is a number from 1 to 65535")
    host = say("SWARM_HTTP_HOST", "localhost")
    names = {name.strip().lower() for name in say("SWARM_HTTP_HOSTS").split(",") if name.strip()}
    origins = {name.strip().rstrip("/").lower() for name in say("SWARM_HTTP_ORIGINS").split(",") if name.strip()}
    return DoorSettings(
        host=host,
        port=int(port),
        token_file=at_home(say("SWARM_HTTP_TOKEN_FILE", f"{spec.state_dir}/gateway.token")),
        origins=frozenset(origins),
        hosts=frozenset(names | {"localhost", "127.0.0.1", "::1", host.lower()} - {"0.0.0.0", "::"}),
        open_to_loopback=is_loopback(host) and spec.swarm.rpartition("/")[2].endswith("dev"),
    )


def is_loopback(host: str) -> bool:
    """Return whether an address (or `localhost`) is this machine's own."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def load_token(path: Path) -> str:
    """Return the token; a file that is not there is made. Raises OSError or ValueError with a sentence."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _make_token(path)
    with os.fdopen(handle) as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ValueError(f"others may read {path}: run `chmod 600 {path}` and change the token in it")
        token = file.read(4096).strip()
    if len(token) < 16:
        raise ValueError(f"{path} holds no token of 16 characters or more: delete it, and a good one is made")
    return token


def _make_token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(token + "\n")
    return token
