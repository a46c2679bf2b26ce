"""Say who may use the embedded broker: this swarm's identities and agents, each with a password of its own."""

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from swarm_tui.broker.accounts import CHOSEN_ROUNDS, hashed
from swarm_tui.broker.mosquitto import BrokerMissingError, EmbeddedBroker
from swarm_tui.bus.broker_address import credentials, parse_url
from swarm_tui.config.own_broker import Admission, Admitted, admission_path, read_admission
from swarm_tui.config.paths import StateDir, broker_dir
from swarm_tui.config.urls import broker_port, is_loopback
from swarm_tui.identity import account
from swarm_tui.identity.acl import Grant, Guests, grant, mosquitto_rules
from swarm_tui.identity.keys import agent_key, guest_key, host_key, operator_key
from swarm_tui.identity.registry import Identity, Registry
from swarm_tui.identity.store import read_registry, read_secret
from swarm_tui.supervisor import locks

if TYPE_CHECKING:
    from swarm_tui.supervisor.plan import Plan

#: Seconds that another swarm's change of the same broker may take.
_LOCK_WAIT = 5.0


def admit(plan: "Plan", state: StateDir, *, obeyed: bool = True, leaving: Iterable[str] = ()) -> None:
    """Write this swarm's part of the rules of the embedded broker of `plan`, and have them obeyed at once.

    Not `obeyed`, the broker goes on as it is, for who keeps it would start it again without rules. Agents that the plan
    names no more and that are still `leaving` keep what they had: they say farewell, and then `let_go` ends it.
    Does nothing where the broker is not ours or this host does not hold the swarm's secret. Raises OSError,
    IdentityError, BrokerMissingError.
    """
    secret = read_secret(state)
    if plan.embedded_port is None or secret is None:
        return
    broker = EmbeddedBroker(plan.embedded_port, broker_dir(plan.embedded_port))
    part = admission(plan, state, secret, read_registry(state))
    if (before := read_admission(admission_path(broker.folder, plan.swarm))) is not None:
        for name in leaving:
            for user in _users_of(plan.swarm, name):
                if user in before.users:
                    part.users.setdefault(user, before.users[user])
    _change(broker, lambda: broker.admit(part), obeyed=obeyed)


def let_go(plan: "Plan", state: StateDir, agent_id: str) -> None:
    """Have our embedded broker know an agent no more that has left, and that the plan does not name."""
    if plan.embedded_port is None or any(spec.agent_id == agent_id for spec in plan.specs(state)):
        return
    with suppress(OSError, BrokerMissingError):
        any(expel(plan.embedded_port, plan.swarm, user) for user in _users_of(plan.swarm, agent_id))


def _users_of(swarm: str, agent_id: str) -> list[str]:
    return [account.user_name(swarm, kind, agent_id) for kind in ("agent", "foreign")]


def forget_own(plan: "Plan") -> None:
    """Where the broker of `plan` is not ours, forget that one of ours had its place. Raises OSError."""
    port = broker_port(plan.layout.broker.url)
    if plan.embedded_port is None and port is not None:
        EmbeddedBroker(port, broker_dir(port)).dismiss(plan.swarm)


def dismiss(port: int, swarm: str) -> None:
    """Forget a swarm's part of the rules of the embedded broker on `port`. Raises OSError, BrokerMissingError."""
    broker = EmbeddedBroker(port, broker_dir(port))
    _change(broker, lambda: broker.dismiss(swarm))


def expel(port: int, swarm: str, user: str) -> bool:
    """Have the embedded broker on `port` know a user no more, and cut it off at once. False when it knows none such.

    It reads no layout, for nothing is to hold it up. Raises OSError, BrokerMissingError.
    """
    broker, known = EmbeddedBroker(port, broker_dir(port)), False

    def change() -> None:
        nonlocal known
        known = broker.expel(swarm, user)

    _change(broker, change)
    return known


def admission(plan: "Plan", state: StateDir, secret: bytes, registry: Registry) -> Admission:
    """Return what the broker is to know of the swarm."""
    guests: Guests = "none" if plan.layout.broker.secure else plan.layout.policy.guests
    own = sorted(plan.own(state))
    users = {
        user: Admitted(hashed(user, password), mosquitto_rules(granted))
        for user, password, granted in _users(plan, state, secret, registry)
    }
    chosen, password = credentials(plan.layout.broker, parse_url(plan.layout.broker.url))
    if chosen is not None:
        # Programs that the layout starts may have it; what they may is what a guest may.
        rules = mosquitto_rules(grant(plan.swarm, "guest", guests=guests))
        users[chosen] = Admitted(hashed(chosen, password or "", rounds=CHOSEN_ROUNDS), rules)
    open_to_all = grant(plan.swarm, "guest", guests=guests)
    broker = plan.layout.broker
    host = parse_url(broker.url).host
    return Admission(
        swarm=plan.swarm,
        url=broker.url,
        guests=mosquitto_rules(open_to_all),
        users=users,
        secure=broker.secure,
        names=sorted({host, "localhost", "127.0.0.1", "::1", socket.gethostname()}) if broker.secure else [],
        everywhere=broker.secure and not is_loopback(broker.url),
        agents=own,
    )


def _users(plan: "Plan", state: StateDir, secret: bytes, registry: Registry) -> Iterator[tuple[str, str, Grant]]:
    """Yield name, password and rights of the swarm, its own host, that host's agents, and the other identities."""
    swarm, home = plan.swarm, registry.home

    def one(kind: str, name: str, key: bytes) -> tuple[str, str, Grant]:
        granted = grant(swarm, kind, name, guests=plan.layout.policy.guests)
        return account.user_name(swarm, kind, name), account.password_of(key), granted

    yield one("swarm", "", secret)
    if (generation := registry.hosts().get(home)) is not None:
        host = host_key(secret, home, generation)
        yield one("host", home, host)
        for spec in plan.specs(state):
            yield one("agent" if spec.dialect == "swarm" else "foreign", spec.agent_id, agent_key(host, spec.agent_id))
    for name, identity in registry.identities.items():
        if identity.revoked is None and name != home:
            yield one(identity.kind, name, key_of(secret, name, identity))


def key_of(secret: bytes, name: str, identity: Identity) -> bytes:
    """Return the key from which an added identity's password is made."""
    if identity.kind == "agent":
        return agent_key(host_key(secret, name, identity.generation), name)
    make = {"host": host_key, "operator": operator_key, "guest": guest_key}[identity.kind]
    return make(secret, name, identity.generation)


def _change(broker: EmbeddedBroker, change: Callable[[], object], *, obeyed: bool = True) -> None:
    """Change the rules while nobody else does."""
    held = locks.take_within(broker.folder / "rules.lock", _LOCK_WAIT)
    try:
        change()
        if obeyed:
            broker.reload()
    finally:
        if held is not None:
            locks.release(held)
