"""From flags, environment, file and defaults, in that order, to what one agent is told."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.agent.command_line import AgentOptions, UsageError
from swarm_tui.config.environment import apply_environment
from swarm_tui.config.home import at_home, base_folder, host_name, ignored_folders
from swarm_tui.config.model import AgentEntry, Broker, Layout, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.config.running import load_running, running_names
from swarm_tui.config.spec import read_spec
from swarm_tui.config.urls import check_url
from swarm_tui.protocol.names import (
    DEFAULT_SWARM,
    ROLE_TYPES,
    canonical_role,
    check_agent_id,
    check_role,
    check_swarm,
)

DEFAULT_BROKER = "mqtt://localhost:1883"


class AgentSettings(Struct, frozen=True, kw_only=True):
    """An agent's settings, and sentences for the person who started it."""

    spec: RunSpec
    notes: list[str] = []


def resolve(options: AgentOptions, environ: Mapping[str, str]) -> AgentSettings:
    """Return the settings. Raises UsageError, ConfigError, InvalidNameError or OSError, each with its sentence."""
    if options.spec is not None:
        return _from_spec(options)
    notes = ignored_folders(environ)
    file = _file(options, environ, notes)
    role = canonical_role(check_role(options.role or file.role))
    swarm = check_swarm(options.swarm or environ.get("OPENCTO_SWARM") or file.swarm)
    broker = _broker(options, environ, file.broker, notes)
    agent_id = options.agent_id or file.agent_id
    ephemeral = agent_id == "auto"
    if ephemeral:
        agent_id = f"{role[:57]}-{os.urandom(3).hex()}"
    workdir = at_home(options.workdir or ".").resolve()
    if not workdir.is_dir():
        raise UsageError(f"--workdir {workdir} is no folder")
    spec = RunSpec(
        agent_id=check_agent_id(agent_id),
        role=role,
        swarm=swarm,
        broker=broker,
        workdir=str(workdir),
        state_dir=str(state_dir(swarm).create().root.absolute()),
        host=host_name(),
        capacity=_capacity(options.capacity),
        types=_every_type(swarm) if role == "task-manager" else {},
        ephemeral=ephemeral,
        extra_topics=file.topics,
        leaderless=not file.led and not _is_led(swarm),
    )
    notes += _other_swarms(swarm)
    return AgentSettings(spec=spec, notes=notes)


def _is_led(swarm: str) -> bool:
    """Return whether the swarm was brought up here with a task-manager: nobody claims by himself in it."""
    running = load_running(swarm)
    return running is not None and running.led


def _other_swarms(swarm: str) -> list[str]:
    """Return a sentence when swarms run on this machine and the one that is joined is none of them."""
    names = running_names()
    if not names or swarm in names:
        return []
    first = names[0] if len(names) == 1 else "NAME"
    return [f"no swarm {swarm} runs here, but {', '.join(names[:5])}: `--swarm {first}` joins it"]


def _from_spec(options: AgentOptions) -> AgentSettings:
    """Return the spec that `up` wrote, in the environment of who called it; flags still count over it."""
    spec = read_spec(Path(options.spec or ""))
    state = StateDir(Path(spec.state_dir)).create()
    apply_environment(state.environment())
    os.environ.update(spec.env)
    changes: dict[str, object] = {}
    if options.broker is not None:
        changes["broker"] = msgspec.structs.replace(spec.broker, url=_checked(options.broker))
    for name, value in (("agent_id", options.agent_id), ("swarm", options.swarm), ("role", options.role)):
        if value is not None and value != getattr(spec, name):
            raise UsageError(f"--{name.replace('_', '-')} {value} is not what {options.spec} says")
    return AgentSettings(spec=msgspec.structs.replace(spec, **changes))


class _File(Struct, frozen=True, kw_only=True):
    broker: Broker = Broker(url=DEFAULT_BROKER)
    agent_id: str = "auto"
    role: str = "general"
    swarm: str = DEFAULT_SWARM
    topics: list[str] = []
    led: bool = False
    """The swarm has a task-manager."""


def _file(options: AgentOptions, environ: Mapping[str, str], notes: list[str]) -> _File:
    usual = base_folder("XDG_CONFIG_HOME", environ) / "heysalad" / "mqtt.yml"
    if options.config is None and not usual.is_file():
        # Without a file there is no YAML to import.
        return _File()
    if options.config is not None and _is_join(at_home(options.config)):
        return _joined(at_home(options.config), options, notes)
    from swarm_tui.config.seed import load_seed

    loaded = load_seed(at_home(options.config) if options.config else None, environ)
    notes += loaded.notes
    file = loaded.file
    broker = Broker(
        url=file.broker.url,
        username=file.broker.username or None,
        password=file.broker.password or None,
        tls=file.broker.tls,
    )
    return _File(
        broker=broker,
        agent_id=file.agent.id,
        role=file.agent.role,
        swarm=file.agent.swarm,
        topics=[pattern for pattern in file.topics.subscribe if _is_filter(pattern, notes)],
    )


def _is_join(path: Path) -> bool:
    """Return whether it is what `swarm-tui broker add` wrote, and no YAML."""
    try:
        with path.open("rb") as file:
            return any(line.startswith(b"SWARM_IDENTITY=") for line in file.read(64 * 1024).splitlines())
    except OSError:
        return False


def _joined(path: Path, options: AgentOptions, notes: list[str]) -> _File:
    """Return what a join file says, and keep its identity as this host's in that swarm. Raises UsageError, OSError."""
    from swarm_tui.config.broker_files import with_ca
    from swarm_tui.identity.open import place_join
    from swarm_tui.identity.store import IdentityError, read_join, read_secret

    try:
        held, lines = read_join(path)
        if held.kind == "operator":
            raise UsageError(f"{path} is the operator {held.name}'s: `swarm-tui broker add NAME --as agent` makes one")
        swarm = check_swarm(options.swarm or lines.get("OPENCTO_SWARM") or DEFAULT_SWARM)
        state = state_dir(swarm).create()
        if read_secret(state) is not None:
            notes.append(f"this host holds the secret of {swarm}: the agent has its own keys here, not those of {path}")
        elif held.kind != "guest":
            place_join(state, path)
    except IdentityError as error:
        raise UsageError(str(error)) from None
    broker = Broker(
        url=lines.get("MQTT_BROKER") or DEFAULT_BROKER,
        username=lines.get("MQTT_USERNAME") or None,
        password=lines.get("MQTT_PASSWORD") or None,
    )
    name = held.name.partition("@")[0] if held.kind == "agent" else "auto"
    return _File(
        broker=with_ca(broker, lines),
        agent_id=name,
        swarm=swarm,
        role=lines.get("SWARM_ROLE") or "general",
        led=lines.get("SWARM_LED") == "yes",
    )


def _broker(options: AgentOptions, environ: Mapping[str, str], file: Broker, notes: list[str]) -> Broker:
    url = _checked(options.broker or environ.get("MQTT_BROKER") or file.url)
    if options.broker and "@" in options.broker and ":" in options.broker.partition("://")[2].rpartition("@")[0]:
        notes.append("--broker holds a password, which every user of this machine can read: use MQTT_PASSWORD")
    broker = msgspec.structs.replace(
        file,
        url=url,
        username=environ.get("MQTT_USERNAME") or file.username,
        password=environ.get("MQTT_PASSWORD") or file.password,
    )
    if not environ.get("MQTT_CA"):
        return broker
    from swarm_tui.config.broker_files import with_ca  # Most agents are told by a file, and need none of it.

    return with_ca(broker, environ)


def _checked(url: str) -> str:
    reason = check_url(url)
    if reason is not None:
        raise UsageError(reason)
    return url


def _capacity(text: str | None) -> int:
    if text is None:
        return 1
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise UsageError(f"--capacity {text[:20]}: a number from 1 to 1000")
    return int(text)


def _is_filter(pattern: str, notes: list[str]) -> bool:
    """Return whether a broker would take the topic filter."""
    levels = pattern.split("/")
    fine = bool(pattern) and "\0" not in pattern and len(pattern.encode("utf-8", "replace")) < 65536
    fine = (
        fine and all(level in ("+", "#") or not set(level) & set("+#") for level in levels) and "#" not in levels[:-1]
    )
    if not fine:
        notes.append(f"{pattern[:80]!r} is no topic to listen to: left out")
    return fine


def _every_type(swarm: str) -> dict[str, TypeRule]:
    """Without a layout, a task-manager gives out what every role does."""
    from swarm_tui.config.ids import name_agents
    from swarm_tui.config.resolve import type_rules

    layout = Layout(swarm=swarm, agents=[AgentEntry(role=role) for role in ROLE_TYPES])
    return type_rules(layout, name_agents(layout))
