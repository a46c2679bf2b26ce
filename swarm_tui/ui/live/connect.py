"""The real source of a swarm: its bus, its panes, its task types, made from what is known of it."""

import os
from contextlib import suppress
from pathlib import Path

from swarm_tui.agent.handlers import registry
from swarm_tui.bus.bulk_client import unique_client_id
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.home import host_name, user_name
from swarm_tui.config.model import Broker, HandlerSpec, Layout, RestartPolicy
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import Running, up_again
from swarm_tui.config.urls import shown_url
from swarm_tui.identity.account import broker_of_person
from swarm_tui.identity.acl import told
from swarm_tui.identity.keyring import Keyring, SwarmKeyring
from swarm_tui.identity.open import has_identity, may_order, open_operator
from swarm_tui.protocol.client_ids import Client
from swarm_tui.protocol.names import ROLE_TYPES, canonical_role, type_matches
from swarm_tui.ui.live.live_source import LiveSource, NoPanes
from swarm_tui.ui.live.neighbours import Neighbours
from swarm_tui.ui.model.restarts import restart_time
from swarm_tui.ui.model.source import Facts, Panes, TaskType

#: Seconds in which what comes is gathered: the screen looks ten times a second at most.
GATHER = 0.08
#: Why nobody orders here, whose keys are a host's or an agent's.
NO_ORDERS = "`swarm-tui screen --identity FILE` opens this as one"


def open_source(
    swarm: str, broker: Broker, running: Running | None, layout: Layout | None, identity: Path | None = None
) -> LiveSource:
    """Return the source, which speaks by the join file `identity` where that is named.

    Nothing connects before it is started. Raises IdentityError.
    """
    user, host, state = user_name(), (running.host if running else host_name()), state_dir(swarm)
    way = broker if identity is not None else broker_of_person(broker, state)
    bus = MqttBus(way, unique_client_id(Client.SCREEN, swarm, f"{user}@{host}"))
    bus.lulls.seconds = GATHER
    keys = open_operator(
        state,
        f"{user}@{host}",
        identity,
        guests="work" if running is None else running.guests,
        own=frozenset(() if running is None else running.own),
    )
    operator = Operator(bus, swarm, user=user, host=host, keys=keys)
    known = layout if layout is not None else _layout(running)
    facts = Facts(
        swarm=swarm,
        broker=shown_url(broker.url),
        embedded=bool(running and running.embedded),
        guard=_guard(running, keys, keyless=not has_identity(state)),
        no_orders=NO_ORDERS if not may_order(keys) and has_identity(state) else "",
        session=running.session if running else None,
        host=host,
        user=user,
        types=types_of(known),
        drain_wait=known.supervisor.drain_wait if known is not None else None,
        restart_within=restart_time(known.supervisor if known is not None else RestartPolicy()),
        layout=running.layout_path if running else None,
        shards=running.shards if running else 0,
    )
    neighbours = Neighbours(swarm, broker)
    again = "" if running is None else up_again(running)
    return LiveSource(operator, facts, _panes(running), state, neighbours, up_again=again)


def _guard(running: Running | None, keys: Keyring, *, keyless: bool) -> str:
    """Return how the swarm is guarded, where its own host is this one; elsewhere its dispatcher knows."""
    if running is None or not (keyless or isinstance(keys, SwarmKeyring)):
        return ""
    return told(None if keyless else running.guests)


def _layout(running: Running | None) -> Layout | None:
    if running is None:
        return None
    from swarm_tui.config.load import load_layout

    with suppress(ConfigError, OSError):
        return load_layout(Path(running.layout_path), os.environ).layout
    return None


def _panes(running: Running | None) -> Panes:
    """Return this host's panes, where the swarm was brought up here."""
    if running is None:
        return NoPanes()
    from swarm_tui.tmux.server import Tmux
    from swarm_tui.ui.live.tmux_panes import TmuxPanes

    return TmuxPanes(Tmux(running.socket), running.session)


def types_of(layout: Layout | None) -> list[TaskType]:
    """Return every type with its schema, templates and the roles that do it, by name."""
    roles: dict[str, list[str]] = {}
    specs: dict[str, HandlerSpec] = {}
    present = {canonical_role(entry.role) for entry in layout.agents} if layout else set(ROLE_TYPES)
    for role, names in ROLE_TYPES.items():
        if role in present:
            for name in names:
                roles.setdefault(name, []).append(role)
    for entry in layout.agents if layout else []:
        for name, spec in entry.handlers.items():
            roles.setdefault(name, [])
            if entry.role not in roles[name]:
                roles[name].append(entry.role)
            specs[name] = spec
    approve = layout.policy.approve if layout else []
    return [_type(name, roles[name], specs.get(name), approve) for name in sorted(roles)]


def _type(name: str, roles: list[str], spec: HandlerSpec | None, approve: list[str]) -> TaskType:
    schema = registry.schema(name, spec)
    return TaskType(
        name=name,
        summary=registry.about(name, spec),
        schema=schema,
        templates=dict(spec.templates) if spec else {},
        timeout=spec.timeout if spec else None,
        roles=roles,
        approve=any(type_matches(pattern, name) for pattern in approve),
    )
