"""Names and passwords of a swarm's identities on an embedded broker, all derived from their keys.

The broker belongs to a user and a port and may carry several swarms, so a name holds its swarm too:
`host.helper@opencto-dev`.
"""

from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

from msgspec.structs import replace

from swarm_tui.config.model import Broker, Tls
from swarm_tui.config.own_broker import Admission, admission_at, authority_path, socket_path
from swarm_tui.config.paths import StateDir, broker_dir, swarm_of
from swarm_tui.config.urls import broker_port
from swarm_tui.identity.keys import agent_key, host_key
from swarm_tui.identity.store import RegistryFile, read_secret
from swarm_tui.processes.workers import worker_of, works
from swarm_tui.protocol.proof import derive

SWARM = "swarm"


def user_name(swarm: str, kind: str, name: str = "") -> str:
    """Return an identity's name on the broker; neither `:` nor a space is in it."""
    return f"{kind}{'.' if name else ''}{name}@{quote(swarm, safe='/')}"


def password_of(key: bytes) -> str:
    """Return the password of whoever has the key; it tells nothing of the key."""
    return urlsafe_b64encode(derive(key, "broker")).decode()


def broker_of_swarm(broker: Broker, state: StateDir) -> Broker:
    """Return the way to the broker for whoever holds the swarm's secret; as it is where the broker is not ours.

    Raises IdentityError for a damaged or unsafe secret.
    """
    found, secret = _found(broker, state)
    if found is None or secret is None:
        return broker
    return _through(broker, state, found, user_name(found.swarm, SWARM), password_of(secret))


def broker_of_person(broker: Broker, state: StateDir) -> Broker:
    """Return the way to the broker for whoever calls a command: whoever works for an agent comes as that agent.

    Raises IdentityError as above.
    """
    if not works():
        return broker_of_swarm(broker, state)
    works_for = worker_of(str(state.root.absolute()))
    return broker_of_agent(broker, str(state.root), works_for) if works_for else broker


def broker_of_foreign(broker: Broker, state_dir: str, agent_id: str) -> Broker:
    """Return the way to the broker for a program that knows only another dialect: its own account, over TCP.

    Raises IdentityError as above.
    """
    state = StateDir(Path(state_dir))
    found, secret = _found(broker, state)
    user = "" if found is None else user_name(found.swarm, "foreign", agent_id)
    if found is None or secret is None or user not in found.users:
        return broker
    registry = RegistryFile(state).current()
    host = host_key(secret, registry.home, registry.hosts().get(registry.home, 1))
    return _over_tcp(broker, state, found, user, password_of(agent_key(host, agent_id)))


def broker_of_agent(broker: Broker, state_dir: str, agent_id: str) -> Broker:
    """Return the way to the broker for an agent of the swarm's own host; as it is where the broker is not ours.

    An agent that the layout does not name uses its host's account. Raises IdentityError as above.
    """
    state = StateDir(Path(state_dir))
    found, secret = _found(broker, state)
    if found is None or secret is None:
        return broker
    registry = RegistryFile(state).current()
    host = host_key(secret, registry.home, registry.hosts().get(registry.home, 1))
    if agent_id in found.agents:
        return _through(
            broker, state, found, user_name(found.swarm, "agent", agent_id), password_of(agent_key(host, agent_id))
        )
    return _through(broker, state, found, user_name(found.swarm, "host", registry.home), password_of(host))


def _found(broker: Broker, state: StateDir) -> tuple[Admission | None, bytes | None]:
    admission = admission_at(state.root.parent, swarm_of(state.root), broker.url)
    return admission, None if admission is None else read_secret(state)


def _through(broker: Broker, state: StateDir, found: Admission, user: str, password: str) -> Broker:
    """The broker by its Unix socket, else by its URL."""
    port = broker_port(broker.url)
    assert port is not None
    socket = socket_path(broker_dir(port, state.root.parent))
    if socket is None:
        return _over_tcp(broker, state, found, user, password)
    return replace(broker, url=f"unix://{socket}", username=user, password=password, tls=Tls())


def _over_tcp(broker: Broker, state: StateDir, found: Admission, user: str, password: str) -> Broker:
    port = broker_port(broker.url)
    assert port is not None
    ca = str(authority_path(broker_dir(port, state.root.parent))) if found.secure else broker.tls.ca
    return replace(broker, username=user, password=password, tls=replace(broker.tls, ca=ca))
