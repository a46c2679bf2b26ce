"""The seed document's command lines and its file, as they are written there."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker
from tests.e2e.agents import Agents, ground
from tests.wait import until

SHERI = "swarm_tui.agent.sheri"
#: As in the seed, but for the broker's port.
EXAMPLE = """mosquitto_pub -p {port} -t "opencto-dev/tasks/new" -m '{{
  "id": "msg_abc123",
  "timestamp": "2026-02-22T19:00:00Z",
  "payload": {{
    "task_id": "task_xyz789",
    "type": "deployment.deploy",
    "payload": {{
      "service": "auth-service",
      "version": "0.4.0"
    }}
  }}
}}'"""
FILE = """
# ~/.config/heysalad/mqtt.yml
broker:
  url: {url}
  username: sheri-ml
  password: ${{MQTT_PASSWORD}}

agent:
  id: auto # Generate UUID
  role: general # deployment, testing, review, etc.
  swarm: opencto-dev # Swarm identifier

topics:
  subscribe:
    - opencto/tasks/new
    - opencto/deployment/request
    - opencto/code/review
  publish:
    - opencto/agents/heartbeat
    - opencto/tasks/complete
"""


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Agents]:
    workdir = tmp_path / "work"
    workdir.mkdir()
    with ground(real_broker.url, workdir) as made:
        yield made


def pub(land: Agents, command: str = EXAMPLE) -> None:
    argv = shlex.split(command.format(port=land.url.rpartition(":")[2]))
    subprocess.run(argv, check=True, timeout=10)


def typed(land: Agents, line: str, **env: str) -> None:
    """Run a `sheri-ml` line; its broker is the test's."""
    words = shlex.split(line.replace("mqtt://localhost:1883", land.url))
    assert words[0] == "sheri-ml"
    land.run(*words[1:], module=SHERI, **env)


@pytest.mark.parametrize("led", [False, True], ids=["by claim", "by a task-manager"])
def test_the_published_task_is_done_once(land: Agents, led: bool) -> None:
    listener = land.listener()
    typed(land, "sheri-ml --mqtt --role deployment --agent-id deploy-01")
    typed(land, "sheri-ml --mqtt --role testing --agent-id test-01")
    typed(land, "sheri-ml --mqtt --role review --agent-id review-01")
    if led:
        typed(land, "sheri-ml --mqtt --role task-manager")
        listener.wait(Kind.DISPATCHER, online=True)
    until(lambda: len(listener.all(Kind.REGISTER)) >= 3 + led, what="all register")
    pub(land)
    until(lambda: listener.all(Kind.TASK_COMPLETE) or listener.all(Kind.TASK_FAILED), what="an outcome")
    ends = [*listener.all(Kind.TASK_COMPLETE), *listener.all(Kind.TASK_FAILED)]
    assert [(e.payload["agent_id"], e.payload["attempt"]) for e in ends] == [("deploy-01", 1)]
    # What is over at once tells with its end that it began; where nobody leads each beginning is said.
    assert len(listener.all(Kind.TASK_STARTED, attempt=1)) == 1 or led
    if led:
        listener.wait(Kind.TASK_QUEUED, task_id="task_xyz789")


@pytest.mark.parametrize(
    ("line", "role", "agent_id", "swarm"),
    [
        ("sheri-ml --mqtt --agent-id deploy-01 --broker mqtt://localhost:1883", "general", "deploy-01", "opencto-dev"),
        ("sheri-ml --mqtt --role deployment --broker mqtt://localhost:1883", "deployment", None, "opencto-dev"),
        ("sheri-ml --mqtt --swarm opencto-prod --broker mqtt://localhost:1883", "general", None, "opencto-prod"),
    ],
)
def test_its_command_lines(land: Agents, line: str, role: str, agent_id: str | None, swarm: str) -> None:
    listener = land.listener(swarm)
    typed(land, line)
    event = listener.wait(Kind.REGISTER)
    assert event.payload["role"] == role
    assert agent_id in (None, event.sender)
    text = land.agents[0].text
    for words in ("Starting MQTT agent mode...", "Agent started:", "Role:", "Swarm:", "Broker:", "Listening for tasks"):
        assert words in text


def test_its_file(land: Agents) -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "heysalad"
    folder.mkdir()
    (folder / "mqtt.yml").write_text(FILE.format(url=land.url))
    listener = land.listener()
    agent = land.run("--mqtt", module=SHERI, MQTT_BROKER="", MQTT_PASSWORD="a-password")
    assert listener.wait(Kind.REGISTER).payload["role"] == "general"
    pub(land, "mosquitto_pub -p {port} -t opencto/code/review -m 'from \x1b[31mafar'")
    agent.says("opencto/code/review from ␛.31mafar")
    assert "a-password" not in agent.text
    flagged = land.run("--mqtt", "--role", "docs", "--agent-id", "docs-9", module=SHERI, MQTT_BROKER="")
    flagged.says("Role: docs")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, "swarm-tui up opencto-dev"),
        (["--help"], 0, "Example:"),
        (["--mqtt", "--role"], 2, "--role needs a value"),
        (["--mqtt", "--colour", "red"], 2, "is no option"),
        (["--mqtt", "--agent-id", "a/b"], 2, "is not an agent id"),
        (["--mqtt", "--swarm", "a/#"], 2, "is not a swarm"),
        (["--mqtt", "--broker", "gopher://x"], 2, "is no broker URL"),
        (["--mqtt", "--config", "/nowhere.yml"], 2, "/nowhere.yml"),
        (["--mqtt", "--capacity", "none"], 2, "a number from 1 to 1000"),
    ],
)
def test_what_it_says_to_a_command_line(argv: list[str], code: int, words: str) -> None:
    done = subprocess.run([sys.executable, "-m", SHERI, *argv], capture_output=True, text=True, timeout=20)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_flag_over_environment_over_file(tmp_path: Path) -> None:
    from swarm_tui.agent.command_line import parse
    from swarm_tui.agent.settings import resolve

    path = tmp_path / "mqtt.yml"
    path.write_text(FILE.format(url="mqtt://file:1"))
    environ = {"MQTT_BROKER": "mqtt://environment:2", "MQTT_PASSWORD": "p", "OPENCTO_SWARM": "env"}
    spec = resolve(parse(["--config", str(path)]), environ).spec
    assert (spec.broker.url, spec.broker.username, spec.broker.password) == ("mqtt://environment:2", "sheri-ml", "p")
    assert (spec.swarm, spec.ephemeral) == ("env", True)
    spec = resolve(parse(["--config", str(path), "--broker=mqtt://flag:3", "--swarm", "f"]), environ).spec
    assert (spec.broker.url, spec.swarm) == ("mqtt://flag:3", "f")
    assert json.dumps(spec.extra_topics) == '["opencto/tasks/new", "opencto/deployment/request", "opencto/code/review"]'
