"""Agents as processes on a real broker: how they come, live and go."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.protocol.bodies import Broadcast, Inbox, Status
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker
from tests.e2e.agents import SWARM, Agents, ground
from tests.wait import until


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Agents]:
    workdir = tmp_path / "work"
    workdir.mkdir()
    with ground(real_broker.url, workdir) as made:
        yield made


def retained_status(land: Agents, agent_id: str) -> Status | None:
    """What a newcomer reads of the agent."""
    listener = land.listener()
    listener.say(Kind.BROADCAST, Broadcast(text="marker"))
    listener.wait(Kind.BROADCAST)
    found = [e.body for e in listener.all(Kind.STATUS) if e.key == agent_id and e.retained]
    return found[-1] if found and isinstance(found[-1], Status) else None


def test_it_is_born_registers_beats_and_says_farewell(land: Agents) -> None:
    listener = land.listener()
    agent = land.run("--role", "review", "--agent-id", "review-01")
    birth = listener.wait(Kind.STATUS, status="online").body
    assert isinstance(birth, Status)
    assert (birth.role, birth.pid, birth.capabilities) == ("code-review", agent.pid, ["code.review"])
    assert listener.wait(Kind.REGISTER).payload["role"] == "code-review"
    beat = listener.wait(Kind.HEARTBEAT).payload
    assert beat["memory"]["rss"] > 1_000_000
    assert beat["state"] == "online"
    assert agent.stop(signal.SIGINT) == 0
    assert listener.wait(Kind.SHUTDOWN).payload["reason"] == "graceful"
    assert listener.wait(Kind.STATUS, status="offline").payload["incarnation"] == birth.incarnation
    assert "Shutting down gracefully" in agent.text
    assert all(len(line) <= 60 for line in agent.lines), agent.text


def test_a_killed_agent_is_mourned_by_its_will(land: Agents) -> None:
    listener = land.listener()
    agent = land.start("worker-1")
    birth = listener.wait(Kind.STATUS, status="online").payload
    agent.kill()
    will = listener.wait(Kind.STATUS, status="offline").payload
    assert will["incarnation"] == birth["incarnation"]
    status = retained_status(land, "worker-1")
    assert status is not None
    assert status.status == "offline"


def test_an_id_made_up_leaves_nothing_retained(land: Agents) -> None:
    listener = land.listener()
    agent = land.run("--role", "docs")
    agent_id = listener.wait(Kind.REGISTER).sender
    assert agent_id.startswith("docs-")
    assert len(agent_id) == len("docs-") + 6
    assert agent.stop() == 0
    assert retained_status(land, agent_id) is None


def test_a_stranger_on_its_topic_is_answered_by_a_birth(land: Agents) -> None:
    listener = land.listener()
    land.start("worker-1")
    birth = listener.wait(Kind.STATUS, status="online").payload["incarnation"]
    listener.say(Kind.STATUS, Status(status="offline", incarnation="someone-else"), "worker-1")
    until(lambda: len(listener.all(Kind.STATUS, incarnation=birth)) > 1, what="a second birth")
    status = retained_status(land, "worker-1")
    assert status is not None
    assert status.status == "online"


def test_two_of_one_id_cannot_run_on_one_machine(land: Agents) -> None:
    first = land.start("worker-1")
    second = land.run("--agent-id", "worker-1")
    assert second.wait() == 1
    assert f"already runs here (pid {first.pid})" in second.text


def test_of_two_with_one_id_elsewhere_the_younger_goes(land: Agents, tmp_path: Path) -> None:
    elder = land.start("worker-1")
    younger = land.run("--agent-id", "worker-1", XDG_STATE_HOME=str(tmp_path / "elsewhere"))
    assert younger.wait(30) == 1
    assert "runs elsewhere already" in younger.text
    assert elder.process.poll() is None
    until(lambda: (status := retained_status(land, "worker-1")) is not None and status.pid == elder.pid, 15)


def test_it_comes_back_with_the_broker_and_says_so(land: Agents, real_broker: RealBroker) -> None:
    agent = land.start("worker-1")
    real_broker.kill()
    agent.says("trying again")
    real_broker.start()
    until(lambda: sum("MQTT connected" in line for line in agent.lines) == 2, 15, "a second connect")
    listener = land.listener()
    listener.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    listener.wait(Kind.HEARTBEAT)
    assert agent.stop() == 0


def test_it_waits_for_a_broker_that_is_not_there(land: Agents, free_port: int) -> None:
    agent = land.run("--agent-id", "early", MQTT_BROKER=f"mqtt://127.0.0.1:{free_port}")
    agent.says("nothing listens on .*; trying again")
    assert agent.stop() == 0


def test_orders_in_the_inbox(land: Agents) -> None:
    listener = land.listener()
    agent = land.start("worker-1")
    listener.wait(Kind.REGISTER)
    listener.say(Kind.INBOX, Inbox(command="drain", reason="test"), "worker-1")
    listener.wait(Kind.STATUS, status="draining")
    listener.say(Kind.INBOX, Inbox(command="undrain"), "worker-1")
    until(lambda: listener.all(Kind.STATUS)[-1].payload["status"] == "online", what="online again")
    before = len(listener.all(Kind.HEARTBEAT))
    listener.say(Kind.INBOX, Inbox(command="inventory"), "worker-1")
    until(lambda: len(listener.all(Kind.HEARTBEAT)) > before, what="an answer to inventory")
    late = Writer(SWARM, "operator:late@here", "operator", new_id=lambda: "late", clock=lambda: time.time() - 120)
    listener.bus.publish(late.message(Kind.INBOX, Inbox(command="drain"), "worker-1"))
    listener.say(Kind.INBOX, Inbox(command="drain", incarnation="an-earlier-life"), "worker-1")
    listener.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: len(listener.all(Kind.HEARTBEAT)) > before + 1, what="an answer to ping")
    assert listener.all(Kind.HEARTBEAT)[-1].payload["state"] == "online"
    agent.stop()


def test_secrets_stay_off_the_pane_and_out_of_argv(land: Agents) -> None:
    agent = land.run("--agent-id", "quiet", MQTT_USERNAME="someone", MQTT_PASSWORD="hunter2-hunter2")
    agent.says("MQTT connected")
    with open(f"/proc/{agent.pid}/cmdline", "rb") as file:
        assert b"hunter2" not in file.read()
    agent.stop()
    assert "hunter2" not in agent.text


def test_a_dump_on_sigusr1(land: Agents) -> None:
    agent = land.start("worker-1")
    os.kill(agent.pid, signal.SIGUSR1)
    agent.says("most recent call first")
    assert agent.stop() == 0


def test_an_idle_agent_imports_only_what_it_needs(land: Agents) -> None:
    code = (
        "import sys, threading, time\n"
        "from swarm_tui.agent import main, runtime\n"
        "beat = runtime.AgentRuntime._settled\n"
        "def settled(self):\n"
        "    beat(self); heavy = 'textual libtmux click pytest yaml asyncio psutil aiohttp sqlite3 rich'.split()\n"
        "    print('LOADED', [m for m in heavy if m in sys.modules], flush=True); self.reporter.leave('done', 0)\n"
        "runtime.AgentRuntime._settled = settled\n"
        "sys.exit(main.main(['--role', 'testing', '--agent-id', 'slim']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MQTT_BROKER": land.url},
        cwd=land.workdir,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def test_the_swarm_of_its_environment(land: Agents) -> None:
    listener = land.listener("other/swarm")
    land.run("--agent-id", "a", OPENCTO_SWARM="other/swarm")
    assert listener.wait(Kind.REGISTER).sender == "a"
    assert SWARM not in listener.events[0].topic
