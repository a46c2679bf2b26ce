"""The commands' common parts: exit codes, options, and how a command finds its swarm and its broker."""

import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from msgspec import Struct

from swarm_tui.cli.completers import swarms
from swarm_tui.config.broker_files import with_ca
from swarm_tui.config.home import host_name, user_name
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.config.running import Running, list_running, load_running, running_names
from swarm_tui.config.urls import check_url, shown_url
from swarm_tui.processes.workers import TASK
from swarm_tui.protocol.names import DEFAULT_SWARM, InvalidNameError, check_swarm
from swarm_tui.protocol.shards import whole_of

if TYPE_CHECKING:
    from swarm_tui.bus.port import Link
    from swarm_tui.client.operator import Operator
    from swarm_tui.identity.keyring import Keyring

FAILED = 1
USAGE = 2
UNREACHABLE = 3
NO_SUCH = 4

_IDENTITY = "swarm_tui.identity"
#: Commands that order somebody; none of them works from inside a task.
ORDERS = frozenset(
    {"cancel", "retry", "approve", "deny", "answer", "halt", "resume", "start", "stop", "restart", "drain", "undrain"}
    | {"scale", "forget", "up", "down", "supervise", "broker", "schedules", "merge", "discard"}
)

F = TypeVar("F", bound=Callable[..., Any])


class Failure(Exception):
    """The command ends with `exit_code`, and `reason` on stderr: one line that says what to do next."""

    def __init__(self, reason: str, exit_code: int = FAILED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class Target(Struct, frozen=True, kw_only=True):
    """The swarm a command means. `running` is set when it was brought up on this machine."""

    swarm: str
    broker: Broker
    state: StateDir
    running: Running | None = None
    identity: Path | None = None


def swarm_option(function: F) -> F:
    """`--swarm NAME`, as `swarm`, and `--identity FILE`, which `target` finds by itself."""
    function = click.option(
        "--identity",
        metavar="FILE",
        expose_value=False,
        callback=_note_identity,
        is_eager=True,
        help="A join file of `swarm-tui broker add NAME --as operator`: act as that operator.",
    )(function)
    return click.option(
        "--swarm",
        metavar="NAME",
        shell_complete=swarms,
        help="The swarm (default: the only one that runs, else opencto-dev).",
    )(function)


def _note_identity(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[_IDENTITY] = Path(value)


def broker_option(function: F) -> F:
    """`--broker URL`, as `broker`."""
    return click.option("--broker", metavar="URL", help="The broker's URL (default: MQTT_BROKER, else the swarm's).")(
        function
    )


def json_option(function: F) -> F:
    """`--json`, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def target(swarm: str | None = None, broker: str | None = None, environ: Mapping[str, str] | None = None) -> Target:
    """The swarm that a command means: flag, else environment, else the only one that runs, else `opencto-dev`.

    Its broker: flag, else environment, else what `up` recorded, else what files say, else the default.
    Raises Failure on an illegal name or URL, and when several swarms run and none is named; ConfigError when a file
    that is needed has mistakes.
    """
    environ = os.environ if environ is None else environ
    identity = _identity()
    if identity is not None:
        environ = {**_join_lines(identity), **environ}
    if swarm == "":
        # A script's variable that is not set: the only swarm that runs is not what it meant.
        raise Failure("the swarm's name is empty; say which, or leave the name out", USAGE)
    name = swarm or environ.get("OPENCTO_SWARM") or _only_one()
    try:
        check_swarm(name)
    except InvalidNameError as error:
        raise Failure(str(error), USAGE) from None
    running = load_running(name)
    url = broker or environ.get("MQTT_BROKER")
    settings = running.broker if running else _broker_of_files(name, environ, strict=not url)
    if url:
        if reason := check_url(url):
            raise Failure(f"{'--broker' if broker else 'MQTT_BROKER'}: {reason}", USAGE)
        settings = msgspec.structs.replace(settings, url=url)
    username, password = environ.get("MQTT_USERNAME"), environ.get("MQTT_PASSWORD")
    settings = msgspec.structs.replace(
        settings, username=username or settings.username, password=password or settings.password
    )
    settings = with_ca(settings, environ)
    return Target(swarm=name, broker=settings, state=state_dir(name), running=running, identity=identity)


def any_shard(found: Target) -> Running | None:
    """A shard of the swarm that runs on this machine, unless the swarm itself does."""
    if found.running is not None:
        return None
    return next((one for one in list_running() if one.shards and whole_of(one.swarm) == found.swarm), None)


def _identity() -> Path | None:
    """The join file that was named."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.meta.get(_IDENTITY)
    return found if isinstance(found, Path) else None


def _join_lines(file: Path) -> dict[str, str]:
    from swarm_tui.identity.store import IdentityError, read_join

    try:
        return read_join(file)[1]
    except IdentityError as error:
        raise Failure(str(error), USAGE) from None


def _only_one() -> str:
    names = running_names()
    if len(names) == 1:
        return names[0]
    if len(names) > 1 and DEFAULT_SWARM not in names:
        raise Failure(f"several swarms run here ({', '.join(sorted(names))}); say which with --swarm NAME", USAGE)
    return DEFAULT_SWARM


def _broker_of_files(swarm: str, environ: Mapping[str, str], *, strict: bool) -> Broker:
    """The broker of a swarm that was not brought up here, as files know it.

    These are a layout of that name, and the mqtt.yml of agents that are started by hand, which counts over a layout
    that only came with the package. Raises ConfigError for one with mistakes if `strict`.
    """
    from swarm_tui.config.errors import ConfigError
    from swarm_tui.config.load import SHIPPED, known_layouts, load_layout
    from swarm_tui.config.seed import load_seed, seed_path

    where, path = known_layouts(Path.cwd()).get(swarm, ("", None))
    try:
        if where in ("", SHIPPED) and seed_path(environ).is_file():
            seed = load_seed(None, environ).file
            if seed.agent.swarm == swarm:
                return msgspec.convert(seed.broker, Broker, from_attributes=True)
        if path is not None:
            layout = load_layout(path, {**environ, "MQTT_BROKER": "", "OPENCTO_SWARM": ""}).layout
            if layout.swarm == swarm:
                return layout.broker
    except ConfigError:
        if strict:
            raise
    return Broker()


def connect(
    found: Target,
    timeout: float = 5.0,
    *,
    before: Callable[["Operator"], None] = lambda operator: None,
    patience: float = 0.0,
) -> "Operator":
    """An operator that the broker has accepted, within `timeout` s. The caller closes it.

    What may pass by itself, such as that the broker restarts, is waited out for `patience` s, and said.
    `before` is called with it before it starts, so that no message is missed. Raises Failure (exit 3) with the reason
    in a sentence.
    """
    from swarm_tui.bus.bulk_client import unique_client_id
    from swarm_tui.bus.mqtt import MqttBus
    from swarm_tui.bus.port import BusError
    from swarm_tui.client.operator import Operator
    from swarm_tui.protocol.client_ids import Client

    if (one := any_shard(found)) is not None:
        raise Failure(
            f"{found.swarm} is divided into {one.shards} shards: say which, such as --swarm {one.swarm}", NO_SUCH
        )
    try:
        bus = MqttBus(route_to_broker(found), unique_client_id(Client.OPERATOR, found.swarm))
        operator = Operator(bus, found.swarm, user=user_name(), host=host_name(), keys=keys_of(found))
        before(operator)
        operator.start()
    except BusError as error:
        raise Failure(str(error), UNREACHABLE) from None
    try:
        link = _patient_link(operator, timeout, patience)
    except BaseException:
        operator.close(0.0)
        raise
    if not link.up:
        operator.close(0.0)
        where = shown_url(found.broker.url)
        silent = f"{where} does not answer within {timeout:g} s: check host and port; a broker that hangs is restarted"
        reason = link.reason if link.kind else silent
        raise Failure(f"{reason}{_advice(found) if link.kind == 'refused' else ''}", UNREACHABLE)
    return operator


def route_to_broker(found: Target) -> Broker:
    """The broker as whoever calls reaches it: of an embedded one by the account that they have there.

    Raises Failure for an identity that cannot be used.
    """
    from swarm_tui.identity.account import broker_of_person
    from swarm_tui.identity.store import IdentityError

    if found.identity is not None:
        return found.broker
    try:
        return broker_of_person(found.broker, found.state)
    except IdentityError as error:
        raise Failure(str(error), FAILED) from None


def _patient_link(operator: "Operator", timeout: float, patience: float) -> "Link":
    """Wait for the broker's yes, or for a reason that does not pass by itself; say that there is a wait."""
    from swarm_tui.bus.reasons import PASSING

    began = time.monotonic()
    link = operator.wait_link(timeout)
    left = patience - (time.monotonic() - began)
    if link.up or left <= 0 or (link.kind and link.kind not in PASSING):
        return link
    note(f"{link.reason or 'the broker does not answer'}; trying for {patience:g} s")
    return operator.wait_link(left, PASSING)


def keys_of(found: Target) -> "Keyring":
    """The keys of whoever calls: those of a join file that was named, else the swarm's where its secret is.

    Raises Failure for an identity that cannot be used.
    """
    from swarm_tui.identity.open import has_identity, may_order, open_operator
    from swarm_tui.identity.store import IdentityError

    try:
        here = found.running
        keys = open_operator(
            found.state,
            f"{user_name()}@{host_name()}",
            found.identity,
            guests="work" if here is None else here.guests,
            own=frozenset(() if here is None else here.own),
        )
    except IdentityError as error:
        raise Failure(str(error), FAILED) from None
    context = click.get_current_context(silent=True)
    if not may_order(keys) and has_identity(found.state) and context is not None and context.info_name in ORDERS:
        raise Failure(
            f"this host may not `{context.info_name}` in {found.swarm}: name an operator's join file by --identity "
            "(`swarm-tui broker add NAME --as operator` makes one on the swarm's own host)"
        )
    return keys


def _advice(found: Target) -> str:
    if found.running is None and os.environ.get(TASK):
        return "; this runs within a task, whose sandbox may hide the swarm from it: --broker names its broker"
    if found.running is None:
        return f"; no swarm `{found.swarm}` runs here: `swarm-tui up` starts one, --broker names another broker"
    return "; `swarm-tui doctor` looks into it"


def print_json(value: object) -> None:
    """JSON on stdout, indented for people on a terminal, one line otherwise."""
    raw = msgspec.json.encode(value)
    if sys.stdout.isatty():
        raw = msgspec.json.format(raw, indent=2)
    click.echo(raw.decode())


def colour() -> bool:
    """Return whether to colour: only on a terminal, and without NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, **look: Any) -> str:
    """`text` in a colour, where colours are wanted."""
    return click.style(text, **look) if colour() else text


def note(text: str) -> None:
    """A line for people, on stderr, so that scripts read stdout undisturbed."""
    click.echo(text, err=True)


def tell(text: str) -> None:
    """As `note`, where the work goes on though nobody reads of it: a swarm must not be left half up, or half down."""
    with suppress(OSError):
        note(text)


def reader_is_gone() -> bool:
    """Return whether whoever read our output has left, which a command that waits for more would else never notice."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poll.poll(0))
    except (OSError, ValueError):
        return False


def is_terminal() -> bool:
    """Return whether a person looks at our output."""
    return sys.stdout.isatty()
