"""Identities on disk: the swarm's secret and registry, or what another host was given; 0600 in the state folder."""

import os
import secrets
import stat
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from swarm_tui.config.files import write_private
from swarm_tui.config.paths import StateDir
from swarm_tui.identity.keys import agent_key, common_key, host_key, operator_key
from swarm_tui.identity.registry import Registry

#: Seconds between two looks whether the registry on disk is another; between two for proofs that do not hold.
LOOK_EVERY, LOOK_AGAIN = 0.5, 0.05
_PREFIX = "SWARM_"


class IdentityError(Exception):
    """An identity that cannot be used: the text says which file, why, and what to do."""


class Held(Struct, frozen=True, kw_only=True):
    """The keys that a process holds: its kind, its name (an agent's as `id@host`), and its keys."""

    kind: Literal["swarm", "host", "agent", "operator", "guest"]
    name: str
    key: bytes
    common: bytes = b""


def folder_of(state: StateDir) -> Path:
    """The folder of a swarm's identities."""
    return state.root / "identity"


def check_private(folder: Path) -> None:
    """Raise IdentityError unless nobody else may write to `folder` of ours, or put another there; missing is fine."""
    try:
        found, around = folder.lstat(), folder.parent.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise IdentityError(f"{folder}: {error.strerror or error}") from None
    if around.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not around.st_mode & stat.S_ISVTX:
        # Whoever may write there may put another folder in its place.
        raise IdentityError(f"others may write to {folder.parent}: run `chmod go-w {folder.parent}`")
    if around.st_uid not in (0, os.geteuid()):
        raise IdentityError(f"{folder.parent} belongs to another user: name a place of your own by XDG_STATE_HOME")
    if stat.S_ISLNK(found.st_mode):
        raise IdentityError(f"{folder} is a link: remove it, or name another place by XDG_STATE_HOME")
    if found.st_uid != os.geteuid():
        raise IdentityError(f"{folder} belongs to another user: name a place of your own by XDG_STATE_HOME")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise IdentityError(f"others may write to {folder}: run `chmod 700 {folder}`")


def make_secret(state: StateDir, home: str, former: Sequence[str] = ()) -> bytes:
    """The swarm's secret, 32 random bytes; made with an empty registry where there is none yet.

    `former`: the agents that run already, without keys.

    Raises IdentityError when the folder is not ours alone, OSError when it cannot be written.
    """
    check_private(state.root)
    folder = folder_of(state)
    check_private(folder)
    path = folder / "secret"
    if not path.exists():
        write_private(path, b64encode(secrets.token_bytes(32)) + b"\n")
    if not (folder / "registry.json").exists():
        write_registry(state, Registry(home=home, former=tuple(sorted(former))))
    return _secret(path)


def read_secret(state: StateDir) -> bytes | None:
    """The swarm's secret; None where this host does not hold it. Raises IdentityError for a damaged or unsafe one."""
    path = folder_of(state) / "secret"
    if not path.exists():
        return None
    check_private(state.root)
    check_private(path.parent)
    return _secret(path)


def _secret(path: Path) -> bytes:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise IdentityError(f"others may read or write {path}: run `chmod 600 {path}`")
        key = b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, ValueError) as error:
        raise IdentityError(f"{path} cannot be read ({error}): restore it, or remove it and run `up` again") from None
    if len(key) != 32:
        raise IdentityError(f"{path} holds no key of 32 bytes: restore it, or remove it and run `up` again")
    return key


def write_registry(state: StateDir, registry: Registry) -> None:
    """Keep the registry. Raises OSError."""
    write_private(folder_of(state) / "registry.json", msgspec.json.format(msgspec.json.encode(registry), indent=2))


def read_registry(state: StateDir) -> Registry:
    """The swarm's registry. Raises IdentityError when it is missing or damaged."""
    path = folder_of(state) / "registry.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Registry)
    except (OSError, msgspec.DecodeError) as error:
        raise IdentityError(f"{path}: {error}: restore it, or remove it and run `up` again") from None


def forget_former(state: StateDir, agent_id: str) -> None:
    """Let the agent speak by proof alone: it has its keys now. Raises IdentityError, OSError."""
    registry = read_registry(state)
    if agent_id in registry.former:
        left = tuple(name for name in registry.former if name != agent_id)
        write_registry(state, msgspec.structs.replace(registry, former=left))


class RegistryFile:
    """The registry as it is on disk now: looked at again at most every LOOK_EVERY seconds, or when a proof fails.

    One that cannot be read any more leaves the last one that could.
    """

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._path = folder_of(state) / "registry.json"
        self._stamp = self._mark()
        self._registry = read_registry(state)
        self._looked = time.monotonic()

    def current(self) -> Registry:
        """Return the identities as they are now."""
        self._look(LOOK_EVERY)
        return self._registry

    def is_newer(self) -> bool:
        """Look again, for a proof that does not hold; whether there are others: who was added just now is known."""
        before = self._registry
        self._look(LOOK_AGAIN)
        return self._registry is not before

    def _look(self, after: float) -> None:
        now = time.monotonic()
        if now - self._looked < after:
            return
        self._looked = now
        if (stamp := self._mark()) != self._stamp:
            self._stamp = stamp
            with suppress(IdentityError):
                self._registry = read_registry(self._state)

    def _mark(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino


def agent_identity(held: Held, agent_id: str, host: str, generation: int = 1) -> Held:
    """The identity of an agent on `host`, from the swarm's secret or from that host's own key."""
    key = host_key(held.key, host, generation) if held.kind == "swarm" else held.key
    return Held(kind="agent", name=f"{agent_id}@{host}", key=agent_key(key, agent_id), common=common_key(key))


def join_text(secret: bytes, kind: str, name: str, generation: int, lines: Mapping[str, str]) -> str:
    """A join file, NAME=value a line: `lines` (the broker's MQTT_… and the swarm), then the identity and its key."""
    said = {**lines, f"{_PREFIX}IDENTITY": f"{kind}:{name}"}
    if kind == "agent":
        host = host_key(secret, name, generation)
        said[f"{_PREFIX}KEY"] = b64encode(agent_key(host, name)).decode()
        said[f"{_PREFIX}COMMON"] = b64encode(common_key(host)).decode()
    elif kind != "guest":
        key = (host_key if kind == "host" else operator_key)(secret, name, generation)
        said[f"{_PREFIX}KEY"] = b64encode(key).decode()
    return "".join(f"{field}={value}\n" for field, value in said.items())


def read_join(path: Path) -> tuple[Held, dict[str, str]]:
    """The identity of a join file, and its other lines. Raises IdentityError with the line that is wrong."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise IdentityError(f"{path}: {error}") from None
    fields: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        field, sign, value = line.partition("=")
        if not sign:
            raise IdentityError(f"{path}:{number}:1: NAME=value is expected")
        fields[field.strip()] = value.strip()
    kind, _, name = fields.pop(f"{_PREFIX}IDENTITY", "").partition(":")
    key, common = (_key(fields.pop(f"{_PREFIX}{field}", "")) for field in ("KEY", "COMMON"))
    wanted = {"host": (32, 0), "operator": (32, 0), "agent": (32, 32), "guest": (0, 0)}.get(kind)
    if not name or wanted != (len(key), len(common)):
        raise IdentityError(f"{path} is no join file: make one by `swarm-tui broker add NAME --as host`")
    if kind == "host":
        common = common_key(key)
    whole = f"{name}@{name}" if kind == "agent" else name
    return msgspec.convert({"kind": kind, "name": whole, "key": key, "common": common}, Held), fields


def _key(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b"\0"
