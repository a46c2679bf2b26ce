"""The keys that a process has: those of the swarm where its secret is, else what this host or this person was given."""

from pathlib import Path

from swarm_tui.config.files import write_private
from swarm_tui.config.paths import StateDir
from swarm_tui.identity.keyring import (
    GUEST,
    SWARM,
    AgentKeyring,
    HostKeyring,
    Keyring,
    OperatorKeyring,
    SwarmKeyring,
    WatcherKeyring,
)
from swarm_tui.identity.store import (
    Held,
    IdentityError,
    RegistryFile,
    agent_identity,
    check_private,
    folder_of,
    read_join,
    read_secret,
)
from swarm_tui.processes.workers import worker_of, works


def place_join(state: StateDir, path: Path) -> Held:
    """Keep a copy of a join file as this host's identity in the swarm. Raises IdentityError, OSError."""
    held, _ = read_join(path)
    check_private(state.root)
    write_private(folder_of(state) / "join", path.read_bytes())
    return held


def has_identity(state: StateDir) -> bool:
    """Return whether this host has keys of the swarm: its secret, or what another host gave it."""
    return any((folder_of(state) / name).exists() for name in ("secret", "join"))


def joined(state: StateDir) -> Held | None:
    """Return what this host was given by another's `broker add`, or None. Raises IdentityError."""
    path = folder_of(state) / "join"
    if not path.exists():
        return None
    check_private(state.root)
    check_private(path.parent)
    return read_join(path)[0]


def open_swarm(
    state: StateDir, issuer: str, *, guests: str = "work", own: frozenset[str] = frozenset()
) -> SwarmKeyring | None:
    """The keys of whoever holds the swarm's secret; None where it is not. Raises IdentityError."""
    secret = read_secret(state)
    if secret is None:
        return None
    file = RegistryFile(state)
    return SwarmKeyring(secret, file.current, issuer=issuer, guests=guests, own=own, is_newer=file.is_newer)


def open_host(state: StateDir, *, guests: str = "work", own: frozenset[str] = frozenset()) -> Keyring:
    """A supervisor's keys; a guest's on a host that was given none. Raises IdentityError."""
    if (keys := open_swarm(state, SWARM, guests=guests, own=own)) is not None:
        return keys
    held = joined(state)
    return HostKeyring(held.name, held.key, own) if held is not None and held.kind == "host" else GUEST


def open_agent(state_dir: str, agent_id: str) -> Keyring:
    """An agent's keys, from the state folder `state_dir`; a guest's where there are none.

    Raises IdentityError, also in a process that works for another agent of the swarm.
    """
    state = StateDir(Path(state_dir))
    works_for = worker_of(str(state.root.absolute()))
    if works_for and works_for != agent_id:
        raise IdentityError(f"this process works for {works_for}, and does not speak as {agent_id}")
    secret = read_secret(state)
    if secret is not None:
        registry = RegistryFile(state).current()
        own = registry.hosts().get(registry.home, 1)
        held = agent_identity(Held(kind="swarm", name="", key=secret), agent_id, registry.home, own)
    else:
        given = joined(state)
        if given is None or given.kind in ("operator", "guest"):
            return GUEST
        if given.kind == "agent":
            if given.name.partition("@")[0] != agent_id:
                raise IdentityError(f"the join file of this host is {given.name}'s, not {agent_id}'s")
            held = given
        else:
            held = agent_identity(given, agent_id, given.name)
    return AgentKeyring(agent_id, held.name.partition("@")[2], held.key, held.common)


def open_watcher(state_dir: str, agent_id: str, *, guests: str, own: frozenset[str]) -> Keyring:
    """The keys of monitoring or the gateway: where the swarm's secret is, they judge all that they hear.

    Elsewhere they are any agent's. Raises IdentityError.
    """
    keys, state = open_agent(state_dir, agent_id), StateDir(Path(state_dir))
    secret = read_secret(state)
    if secret is None or not isinstance(keys, AgentKeyring):
        return keys
    file = RegistryFile(state)
    return WatcherKeyring(keys, secret, file.current, guests=guests, agents=own, is_newer=file.is_newer)


def open_operator(
    state: StateDir, person: str, file: Path | None = None, *, guests: str = "work", own: frozenset[str] = frozenset()
) -> Keyring:
    """A person's keys: of the join file named, else the swarm's where its secret is.

    Whoever works for an agent is no person, and gets that agent's keys; whoever works in another swarm, a guest's.
    On a host that another brought in they are that host's, or its one agent's: they ask, and publish tasks.
    `person` is who sits here, as the record shall name them where they hold the secret itself. Raises IdentityError.
    """
    if works():
        if file is not None:
            raise IdentityError(f"this runs within a task: it may not use {file}, for who works does not order")
        works_for = worker_of(str(state.root.absolute()))
        return open_agent(str(state.root), works_for) if works_for else GUEST
    if file is not None:
        held, _ = read_join(file)
        if held.kind != "operator":
            raise IdentityError(f"{file} is the identity of the {held.kind} {held.name}: an operator's is needed")
        return OperatorKeyring(held.name, held.key)
    if (keys := open_swarm(state, f"operator:{person}", guests=guests, own=own)) is not None:
        return keys
    given = joined(state)
    if given is None or given.kind == "guest":
        return GUEST
    if given.kind == "operator":
        return OperatorKeyring(given.name, given.key)
    if given.kind == "host":
        return HostKeyring(given.name, given.key)
    agent_id, _, host = given.name.partition("@")
    return AgentKeyring(agent_id, host, given.key, given.common)


def may_order(keys: Keyring) -> bool:
    """Return whether they are a person's or the swarm's, by which acts count; others ask, and publish tasks."""
    return isinstance(keys, SwarmKeyring | OperatorKeyring)
