"""The agent's command line, parsed by hand: an agent should not pay for more than it needs."""

from collections.abc import Sequence

from msgspec import Struct

USAGE = """\
Usage: {program} [--role ROLE] [--agent-id ID] [--swarm NAME] [--broker URL]

Runs one agent: it joins the swarm, takes the tasks of its role, and leaves in order on Ctrl-C.

  --role ROLE       task-manager, code-review, deployment, testing, security, docs, monitoring, database,
                    api-gateway or general (the default)
  --agent-id ID     its name in the swarm; `auto` (the default) makes one
  --swarm NAME      the swarm, a topic prefix (default opencto-dev)
  --broker URL      mqtt, mqtts, ws, wss or unix URL (default mqtt://localhost:1883)
  --config FILE     a file like ~/.config/heysalad/mqtt.yml, or what `swarm-tui broker add NAME --as agent` wrote
  --workdir DIR     where its tasks work (default: here)
  --capacity N      how many tasks at once (default 1)
  --spec FILE       all of that, as `swarm-tui up` writes it
  --take-over       a task-manager uses a journal that belongs to another host or broker
  --help, --version

A flag counts over the environment (MQTT_BROKER, OPENCTO_SWARM, MQTT_USERNAME, MQTT_PASSWORD), that over the file.

Example:
  {program} --role testing --agent-id test-01 --broker mqtt://localhost:1883
"""

_FLAGS = frozenset({"take_over", "mqtt", "help", "version"})


class UsageError(Exception):
    """The command line cannot be understood; the text says what to write."""


class AgentOptions(Struct, kw_only=True):
    """Words of the command line; None where nothing was."""

    role: str | None = None
    agent_id: str | None = None
    swarm: str | None = None
    broker: str | None = None
    config: str | None = None
    workdir: str | None = None
    capacity: str | None = None
    spec: str | None = None
    take_over: bool = False
    mqtt: bool = False
    help: bool = False
    version: bool = False


def parse(argv: Sequence[str]) -> AgentOptions:
    """Read `--name value` and `--name=value`. Raises UsageError."""
    options = AgentOptions()
    words = iter(argv)
    for word in words:
        if word in ("-h", "--help"):
            options.help = True
            continue
        name, has_value, value = word.removeprefix("--").partition("=")
        field = name.replace("-", "_")
        if not word.startswith("--") or field not in AgentOptions.__struct_fields__:
            raise UsageError(f"{word!r} is no option of an agent: see --help")
        if field in _FLAGS:
            if has_value:
                raise UsageError(f"--{name} takes no value")
            setattr(options, field, True)
            continue
        if not has_value:
            value = next(words, "")
        if not value:
            raise UsageError(f"--{name} needs a value")
        setattr(options, field, value)
    return options
