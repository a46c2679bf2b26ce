"""`swarm-tui broker`: the identities of a swarm, and what each may do on its broker."""

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, USAGE, Failure, Target, json_option, print_json, swarm_option, target
from swarm_tui.cli.name_checks import check_role
from swarm_tui.config.files import write_private
from swarm_tui.config.own_broker import Admission, admission_at, authority_path
from swarm_tui.config.paths import broker_dir
from swarm_tui.config.urls import broker_port, shown_url
from swarm_tui.identity import account, acl, registry, store
from swarm_tui.identity.registry import Identity, IdentityKind, Registry
from swarm_tui.protocol.names import InvalidNameError, check_agent_id

_KINDS = ("agent", "host", "operator", "guest")


@click.group(epilog="Example: swarm-tui broker add helper --as host")
def command() -> None:
    """Name who may do what in a swarm: show, add, rotate and revoke its identities."""


@command.command(epilog="Example: swarm-tui broker show --json")
@swarm_option
@json_option
def show(swarm: str | None, as_json: bool) -> None:
    """List the identities of a swarm: its own host, and those added."""
    found, known = _known(swarm)
    rows = [
        {
            "name": name,
            "kind": identity.kind,
            "role": identity.role,
            "state": "revoked" if identity.revoked is not None else "live",
            "generation": identity.generation,
            "added": identity.added or None,
        }
        for name, identity in {known.home: Identity(kind="host"), **known.identities}.items()
    ]
    guests = found.running.guests if found.running is not None else "work"
    if as_json:
        print_json({"swarm": found.swarm, "broker": shown_url(found.broker.url), "guests": guests, "identities": rows})
        return
    click.echo(f"{found.swarm} at {shown_url(found.broker.url)}; guests may {acl.GUESTS_MAY[guests]}")
    for row in rows:
        about = f" ({row['role']})" if row["role"] else ""
        own = " this host, holds the swarm's secret" if row["name"] == known.home else ""
        click.echo(f"  {row['kind']:<9} {row['name']}{about}  {row['state']}, generation {row['generation']}{own}")


@command.command(epilog="Example: swarm-tui broker add helper --as host")
@click.argument("name")
@click.option("--as", "kind", type=click.Choice(_KINDS), required=True, help="What it is.")
@click.option("--role", help="Of an agent: its role.")
@swarm_option
def add(name: str, kind: str, role: str | None, swarm: str | None) -> None:
    """Add an identity; print the path of its join file.

    Copy the file (0600) to where it is used: `up --join FILE`, `sheri-ml --config FILE` and `--identity FILE` of every
    command take it.
    """
    _check_name(name)
    if role is not None:
        check_role(role)
    with _changing(swarm) as (found, known):
        before = known.identities.get(name)
        if before is not None and before.revoked is None:
            raise Failure(f"{name} is there, as {before.kind}: `broker rotate` gives it another key", FAILED)
        if name == known.home:
            raise Failure(f"{name} is this host, which holds the swarm's secret", USAGE)
        identity = Identity(kind=cast(IdentityKind, kind), role=role, added=time.time())
        known = registry.add(known, name, identity)
        _keep(found, known)
    click.echo(_write_join(found, name, known.identities[name]))


@command.command(epilog="Example: swarm-tui broker rotate helper")
@click.argument("name")
@swarm_option
def rotate(name: str, swarm: str | None) -> None:
    """Give an identity another key; print its new join file's path.

    What it held before is worth nothing from then on.
    """
    with _changing(swarm) as (found, known):
        _must_be(known, name)
        known = registry.rotate(known, name)
        _keep(found, known)
    click.echo(_write_join(found, name, known.identities[name]))


@command.command(epilog="Example: swarm-tui broker revoke helper")
@click.argument("name")
@swarm_option
def revoke(name: str, swarm: str | None) -> None:
    """Take an identity's rights away.

    Within a second nobody obeys it, and our own broker cuts it off.
    """
    with _changing(swarm) as (found, known):
        _must_be(known, name)
        revoked = registry.revoke(known, name, time.time())
        store.write_registry(found.state, revoked)
        if not _is_cut_off(found, name, revoked.identities[name].kind):
            _keep(found, revoked)
    _join_path(found, name).unlink(missing_ok=True)
    click.echo(f"{name} is revoked")


def _is_cut_off(found: Target, name: str, kind: IdentityKind) -> bool:
    """Have the embedded broker cut an identity off, by the shortest way; False where it knows none such.

    Raises Failure.
    """
    port = broker_port(found.broker.url)
    if port is None or admission_at(found.state.root.parent, found.swarm, found.broker.url) is None:
        return False
    from swarm_tui.broker.mosquitto import BrokerMissingError
    from swarm_tui.supervisor.broker_rules import expel

    try:
        return expel(port, found.swarm, account.user_name(found.swarm, kind, name))
    except (BrokerMissingError, OSError) as error:
        raise Failure(f"{name} is revoked, but the broker was not told: {error}") from None


def _keep(found: Target, known: Registry) -> None:
    """Write the registry, and have the embedded broker obey it where there is one. Raises Failure."""
    from swarm_tui.broker.mosquitto import BrokerMissingError
    from swarm_tui.supervisor.broker_rules import admit
    from swarm_tui.supervisor.plan import load_plan

    store.write_registry(found.state, known)
    plan = load_plan(found.state)
    if plan is None or found.running is None:
        return
    try:
        admit(plan, found.state)
    except (BrokerMissingError, store.IdentityError, OSError) as error:
        raise Failure(f"the identity is changed, but the broker was not told: {error}") from None


@command.command("acl", epilog="Example: swarm-tui broker acl --for mosquitto")
@click.option("--for", "dialect", type=click.Choice(["mosquitto", "aws", "nats"]), default="mosquitto")
@swarm_option
def show_acl(dialect: str, swarm: str | None) -> None:
    """Print the rules of a broker of your own, for each identity."""
    found, known = _known(swarm)
    guests: acl.Guests = found.running.guests if found.running is not None else "work"
    named = [(known.home, Identity(kind="host"))]
    named += [(name, one) for name, one in known.identities.items() if one.revoked is None and one.kind != "guest"]
    grants = [(name, acl.grant(found.swarm, "swarm" if name == known.home else one.kind, name)) for name, one in named]
    open_to_all = acl.grant(found.swarm, "guest", guests=guests)
    if dialect == "mosquitto":
        click.echo(acl.mosquitto(grants, open_to_all), nl=False)
        return
    for name, granted in grants:
        click.echo(f"# {name}")
        click.echo(acl.aws(granted, found.swarm) if dialect == "aws" else acl.nats(granted))


def _known(swarm: str | None) -> tuple[Target, Registry]:
    found = target(swarm)
    try:
        if store.read_secret(found.state) is None:
            raise Failure(f"this host holds no secret of {found.swarm}: run this where `swarm-tui up` made it", NO_SUCH)
        return found, store.read_registry(found.state)
    except store.IdentityError as error:
        raise Failure(str(error), FAILED) from None


@contextmanager
def _changing(swarm: str | None) -> Iterator[tuple[Target, Registry]]:
    """The registry, with nobody else changing it meanwhile."""
    from swarm_tui.supervisor import locks

    found, _ = _known(swarm)
    held = locks.take_within(store.folder_of(found.state) / "lock", 5.0)
    if held is None:
        raise Failure("another `swarm-tui broker` is at work here: try again", FAILED)
    try:
        yield found, store.read_registry(found.state)
    finally:
        locks.release(held)


def _must_be(known: Registry, name: str) -> None:
    if name == known.home and name not in known.identities:
        raise Failure(f"{name} is this host, which holds the swarm's secret: its key is the swarm's", USAGE)
    if name not in known.identities:
        there = ", ".join(sorted(known.identities)) or "none but this host"
        raise Failure(f"no identity `{name}`; there are {there}", NO_SUCH)


def _check_name(name: str) -> None:
    try:
        check_agent_id(name)
    except InvalidNameError:
        raise Failure(f"{name!r} is no name of an identity: use 1 to 64 of A-Z a-z 0-9 _ . -", USAGE) from None


def _join_path(found: Target, name: str) -> Path:
    return store.folder_of(found.state) / f"{name}.join"


def _authority(admission: Admission, found: Target) -> dict[str, str]:
    """The line of a join file by which the embedded broker's certificate is known."""
    port = broker_port(found.broker.url)
    if not admission.secure or port is None:
        return {}
    path = authority_path(broker_dir(port, found.state.root.parent))
    try:
        return {"MQTT_CA": b64encode(path.read_bytes()).decode()}
    except OSError as error:
        raise Failure(f"{path}: {error.strerror or error}: `swarm-tui up` makes it anew") from None


def _write_join(found: Target, name: str, identity: Identity) -> str:
    from swarm_tui.supervisor.broker_rules import key_of

    secret = store.read_secret(found.state)
    assert secret is not None
    lines = {"OPENCTO_SWARM": found.swarm, "MQTT_BROKER": found.broker.url}
    lines |= {"SWARM_ROLE": identity.role} if identity.role else {}
    lines |= {"SWARM_LED": "yes"} if found.running is None or found.running.led else {}
    username, password = found.broker.username, found.broker.password
    admission = admission_at(found.state.root.parent, found.swarm, found.broker.url)
    if admission is not None:
        username = account.user_name(found.swarm, identity.kind, name)
        password = account.password_of(key_of(secret, name, identity))
        lines |= _authority(admission, found)
    lines |= {"MQTT_USERNAME": username} if username else {}
    lines |= {"MQTT_PASSWORD": password} if password else {}
    path = _join_path(found, name)
    write_private(path, store.join_text(secret, identity.kind, name, identity.generation, lines).encode())
    return str(path)
