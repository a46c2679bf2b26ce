"""Brokers of others, each of its own process and files; where one is not installed its drill says what installs it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from swarm_tui.config.model import Broker
from tests.brokers.kinds import Kind, program
from tests.conftest import pick_port

_RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_AEDES = """
import { Aedes } from 'aedes'
import { createServer } from 'node:net'
const broker = await Aedes.createBroker()
createServer(broker.handle).listen(PORT, '127.0.0.1')
"""


def needs(found: object, install: str) -> None:
    if not found:
        pytest.skip(f"not installed: {install}")


@contextmanager
def nats(folder: Path) -> Iterator[Broker]:
    path = shutil.which("nats-server")
    needs(path, "apt-get install nats-server")
    port, own = pick_port(), pick_port()
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: drill\nhost: "127.0.0.1"\nport: {own}\njetstream {{ store_dir: "{folder}/js" }}\n'
        f'mqtt {{ host: "127.0.0.1", port: {port} }}\n'
    )
    with program([str(path), "-c", str(config)], port, folder):
        yield Broker(url=f"mqtt://127.0.0.1:{port}")


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Broker]:
    needs(Path(_RABBITMQ).exists(), "apt-get install rabbitmq-server")
    port, own, epmd = pick_port(), pick_port(), pick_port()
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{own}\nmqtt.listeners.tcp.1 = 127.0.0.1:{port}\nmqtt.allow_anonymous = true\n"
    )
    (folder / "plugins").write_text("[rabbitmq_mqtt].\n")
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "RABBITMQ_NODENAME": f"drill{port}@localhost",
        "RABBITMQ_BASE": str(folder), "RABBITMQ_MNESIA_BASE": f"{folder}/data", "RABBITMQ_LOG_BASE": f"{folder}/logs",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
        "RABBITMQ_DIST_PORT": str(pick_port()), "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_PID_FILE": f"{folder}/pid",
    }  # fmt: skip
    try:
        with program([_RABBITMQ], port, folder, limit=60.0, env=environ):
            yield Broker(url=f"mqtt://127.0.0.1:{port}")
    finally:
        # Erlang's port mapper goes on after the last node, in the background.
        subprocess.run(["epmd", "-port", str(epmd), "-kill"], check=False, capture_output=True)


@contextmanager
def aedes(folder: Path) -> Iterator[Broker]:
    npm, node = shutil.which("npm"), shutil.which("node")
    needs(npm and node, "node and npm")
    assert npm is not None
    assert node is not None
    port, script = pick_port(), folder / "broker.mjs"
    script.write_text(_AEDES.replace("PORT", str(port)))
    quiet = ["--no-audit", "--no-fund", "--loglevel", "error"]
    done = subprocess.run(
        [npm, "install", *quiet, "--prefix", str(folder), "aedes@1"], check=False, capture_output=True
    )
    needs(done.returncode == 0, f"npm install aedes: {done.stderr[-300:]!r}")
    with program([node, str(script)], port, folder):
        yield Broker(url=f"mqtt://127.0.0.1:{port}")


@contextmanager
def amqtt(folder: Path) -> Iterator[Broker]:
    needs(find_spec("amqtt"), "pip install -e '.[drill]'")
    port, config = pick_port(), folder / "broker.yaml"
    config.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    argv = [sys.executable, "-c", "from amqtt.scripts.broker_script import main; main()", "-c", str(config)]
    with program(argv, port, folder):
        yield Broker(url=f"mqtt://127.0.0.1:{port}")


OTHERS = [
    Kind("nats-server", nats, lacks=frozenset({"names", "offline queue"})),
    Kind("rabbitmq-server", rabbitmq, keeps=False, lacks=frozenset({"names", "retained"})),
    Kind("aedes", aedes, lacks=frozenset({"ping-pong", "offline queue"})),
    Kind("amqtt", amqtt, lacks=frozenset({"offline queue"})),
]
