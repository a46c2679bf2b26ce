"""Commands and agents that were started by hand: the bus reaches them, and no supervisor does."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.protocol.bodies import HostStatus, PaneStatus
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker
from tests.e2e.agents import Agents, ground
from tests.e2e.shell import Shell


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Agents]:
    with ground(real_broker.url, tmp_path) as made:
        yield made


@pytest.fixture
def shell(real_broker: RealBroker, tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.env["MQTT_BROKER"] = real_broker.url
    return shell


def state_of(shell: Shell, agent_id: str) -> str:
    return str(next(row["state"] for row in shell.json("status")["agents"] if row["agent_id"] == agent_id))


def test_an_agent_of_no_supervisor_is_drained_over_the_bus(land: Agents, shell: Shell) -> None:
    hand = land.run("--mqtt", "--role", "testing", "--agent-id", "hand-1", module="swarm_tui.agent.sheri")
    hand.says("MQTT connected")
    assert shell.ok("drain", "hand-1") == "hand-1 finishes what it does and takes no more\n"
    assert state_of(shell, "hand-1") == "draining"
    assert shell.ok("undrain", "testing") == "hand-1 takes tasks again\n"
    done = shell("drain", "hand-2")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no agent `hand-2` in opencto-dev; there are hand-1" in done.stderr
    hand.stop()
    done = shell("drain", "hand-1")
    assert done.returncode == 1
    assert "hand-1 is offline: it takes no tasks, and would not hear of it; start it where it ran" in done.stderr


def test_a_dispatcher_has_nothing_to_drain(land: Agents, shell: Shell) -> None:
    land.run("--role", "task-manager", "--agent-id", "boss").says("MQTT connected")
    for name in ("boss", "task-manager"):
        done = shell("drain", name)
        assert done.returncode == 1
        assert f"{name} gives tasks out and does none" in done.stderr


def test_what_only_a_supervisor_can_do_says_where_an_agent_started_by_hand_is_ended(land: Agents, shell: Shell) -> None:
    land.run("--role", "testing", "--agent-id", "hand-1").says("MQTT connected")
    listener = land.listener()
    supervisor = Writer("opencto-dev", "here", "supervisor", new_id=lambda: uuid.uuid4().hex, clock=lambda: 1e9)
    panes = [
        PaneStatus(agent_id="docs-01", role="docs", pid=1, state="online"),
        PaneStatus(agent_id="docs-02", role="docs", state="stopped", pane_id="%1"),
        PaneStatus(agent_id="docs-03", role="docs", pid=2, state="starting", pane_id="%2"),
    ]
    listener.bus.publish(supervisor.message(Kind.HOST_STATUS, HostStatus(panes=panes), "here"))
    done = shell("drain", "docs-02")
    assert done.returncode == 1
    assert "docs-02 is stopped: it takes no tasks, and would not hear of it; `swarm-tui start docs-02`" in done.stderr
    done = shell("drain", "docs-03")
    assert "docs-03 is starting: it takes no tasks, and would not hear of it; wait until" in done.stderr
    for command in ("restart", "stop", "start"):
        done = shell(command, "hand-1", "--wait", "0.1")
        assert done.returncode == 1
        assert "hand-1 was started by hand, and no supervisor minds it" in done.stderr
    assert shell("restart", "hand-2", "--wait", "0.1").returncode == 4
