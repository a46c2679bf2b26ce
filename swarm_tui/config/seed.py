"""`~/.config/heysalad/mqtt.yml`, the file of the seed's own agents, as the seed shows it."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.config.broker_files import complete, risks
from swarm_tui.config.document import read_document
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.home import base_folder
from swarm_tui.config.model import Broker
from swarm_tui.config.shape import to_struct
from swarm_tui.config.urls import check_url
from swarm_tui.protocol.names import DEFAULT_SWARM, InvalidNameError, check_agent_id, check_swarm


class SeedBroker(Broker, frozen=True, kw_only=True):
    """Where the broker is, in the words of a layout."""

    url: str = "mqtt://localhost:1883"


class SeedAgent(Struct, frozen=True, kw_only=True):
    """The agent's names; `auto` makes an id."""

    id: str = "auto"
    role: str = "general"
    swarm: str = DEFAULT_SWARM


class SeedTopics(Struct, frozen=True, kw_only=True):
    """Topics besides the swarm's own: those in `subscribe` are listened to; `publish` documents."""

    subscribe: list[str] = []
    publish: list[str] = []


class SeedFile(Struct, frozen=True, kw_only=True):
    """The file, with the seed's own defaults."""

    broker: SeedBroker = SeedBroker()
    agent: SeedAgent = SeedAgent()
    topics: SeedTopics = SeedTopics()


class LoadedSeed(Struct, frozen=True, kw_only=True):
    """The file as it was read, and sentences for the person who starts the agent."""

    file: SeedFile
    notes: list[str] = []


def seed_path(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_CONFIG_HOME/heysalad/mqtt.yml`, by default under `~/.config`."""
    return base_folder("XDG_CONFIG_HOME", environ) / "heysalad" / "mqtt.yml"


def load_seed(path: Path | None = None, environ: Mapping[str, str] | None = None) -> LoadedSeed:
    """Read the file; without a `path`, the usual one, and the defaults when there is none.

    A password variable that is not set means no password, with a note: a local broker seldom wants one.
    Paths are absolute, and the password of a `password_file` is read. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    chosen = path or seed_path(environ)
    if path is None and not chosen.is_file():
        return LoadedSeed(file=SeedFile())
    notes: list[str] = []
    known = dict(environ)
    if "MQTT_PASSWORD" not in known:
        known["MQTT_PASSWORD"] = ""
    document = read_document(chosen, known)
    file = to_struct(document, SeedFile)
    if document.texts.get(("broker", "password")) == "" and "MQTT_PASSWORD" not in environ:
        notes.append(f"{chosen}: MQTT_PASSWORD is not set, so no password is sent")
    broker = complete(document, file.broker, chosen)
    notes += risks(document, broker, chosen)
    if reason := check_url(broker.url):
        document.problem(("broker", "url"), reason)
    for field, value, check in (("id", file.agent.id, check_agent_id), ("swarm", file.agent.swarm, check_swarm)):
        try:
            check(value)
        except InvalidNameError as error:
            document.problem(("agent", field), str(error))
    if document.problems:
        raise ConfigError(document.problems)
    return LoadedSeed(file=msgspec.structs.replace(file, broker=broker), notes=notes)
