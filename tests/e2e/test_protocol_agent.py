"""The agent in another language of docs/PROTOCOL.md, run as it stands there: it takes a task and leaves in order."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker
from tests.e2e.agents import SWARM, Agents, ground
from tests.unit.house.pages import fences, read, section

AGENT = "counter"
Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Agents]:
    with ground(real_broker.url, tmp_path) as made:
        made.start("tm", "task-manager")
        yield made


@pytest.fixture
def start(real_broker: RealBroker, tmp_path: Path) -> Iterator[Start]:
    """Starts the page's agent."""
    ((_, text),) = fences(read("PROTOCOL.md"), "perl")
    script = tmp_path / "agent.pl"
    script.write_text(text)
    made: list[subprocess.Popen[bytes]] = []

    def run() -> subprocess.Popen[bytes]:
        argv = ["perl", "-w", str(script), "127.0.0.1", str(real_broker.port), SWARM, AGENT]
        made.append(subprocess.Popen(argv, stderr=subprocess.PIPE))
        return made[-1]

    yield run
    for process in made:
        if process.poll() is None:
            process.terminate()
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0, said
        assert said == b""


def example() -> dict[str, str]:
    """Return the payload that the page shows for its agent."""
    ((_, text),) = fences(section(read("PROTOCOL.md"), "## An agent in another language"), "json")
    payload: dict[str, str] = json.loads(text)["payload"]["payload"]
    return payload


def test_it_does_a_task_under_the_promise_and_leaves_in_order(land: Agents, start: Start) -> None:
    listener = land.listener()
    agent = start()
    listener.wait(Kind.STATUS, agent_id=AGENT, status="online")
    listener.publish("text.count", "c-1", example())
    done = listener.wait(Kind.TASK_COMPLETE, task_id="c-1", agent_id=AGENT)
    assert done.payload["result"] == {"words": 4}
    listener.wait(Kind.INBOX, command="ack", task_id="c-1")
    listener.publish("text.count", "c-1", example())
    assert listener.wait(Kind.TASK_QUEUED, task_id="c-1", duplicate=True).payload["state"] == "complete"
    agent.terminate()
    assert agent.wait(10) == 0
    listener.wait(Kind.SHUTDOWN, agent_id=AGENT)
    listener.wait(Kind.STATUS, agent_id=AGENT, status="offline")
    assert not listener.refused


def test_what_is_not_for_it_it_declines(land: Agents, start: Start) -> None:
    listener = land.listener()
    start()
    born = listener.wait(Kind.STATUS, agent_id=AGENT, status="online").payload["incarnation"]
    listener.offer(AGENT, Task(task_id="c-2", type="text.shout"), incarnation=born)
    listener.wait(Kind.TASK_DECLINED, task_id="c-2", agent_id=AGENT)
    listener.offer(AGENT, Task(task_id="c-3", type="text.count"), incarnation="another")
    listener.wait(Kind.TASK_DECLINED, task_id="c-3", agent_id=AGENT)
    assert not listener.all(Kind.TASK_STARTED)
