"""A swarm of 0.1.0, which knew no keys, is taken over while it runs: nothing is lost, and then all is proved."""

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import Broker
from swarm_tui.identity import store
from swarm_tui.protocol.bodies import Dispatcher
from swarm_tui.protocol.topics import Kind
from swarm_tui.protocol.writer import Writer
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]

#: The last tree of that version.
OLD = "561d220"
#: The state folder of one that was taken down: a task that is done, one that is dead, one that waits.
STATE = Path(__file__).parents[1] / "fixtures" / "state-0.1.0.tgz"


def tree(folder: Path) -> Path:
    """The old version's code; the test is skipped where the repository has no history."""
    done = subprocess.run(["git", "archive", OLD], cwd=Path(__file__).parents[2], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{OLD} is not in this clone: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def told(swarm: Swarm, *words: str) -> Any:
    done = swarm.run(*words, "--json", "--swarm", swarm.name)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.drill
def test_a_running_swarm_of_the_old_version_is_taken_over(
    make: Make, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, gate, runs = tree(tmp_path / "old"), tmp_path / "gate", tmp_path / "runs"
    # As a package is brought to another version: in its place, below what runs.
    code = tmp_path / "code"
    code.symlink_to(old)
    monkeypatch.setenv("PYTHONPATH", str(code))
    script = f"echo x >> {runs}; while [ ! -e {gate} ]; do sleep 0.1; done; echo '{{}}'"
    handlers = {"quick": {"command": ["sh", "-c", "echo '{}'"]}, "slow": {"command": ["sh", "-c", script]}}
    swarm = make(free_port, [own("boss", "task-manager"), own("a", handlers=handlers), own("b", handlers=handlers)])

    at = ("--swarm", swarm.name)
    swarm.up()
    assert "0.1.0" in swarm.run("--version").stdout
    assert swarm.run("publish", "quick", "--task-id", "before", "--wait", *at).returncode == 0
    assert swarm.run("publish", "slow", "--task-id", "slow", *at).returncode == 0
    until(lambda: runs.exists(), what="the slow one to run")

    code.unlink()
    code.symlink_to(Path(__file__).parents[2])
    said = swarm.run("up", str(swarm.path), "--detach", limit=120)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "the supervisor was of 0.1.0" in said.stderr
    assert "3 agents are of a version without keys: each is restarted as soon as it is idle" in said.stderr
    assert told(swarm, "tasks", "slow")["state"] == "running"
    left = store.read_registry(swarm.state).former
    assert len(left) == 1, "all were restarted but the one that works"
    gate.touch()
    until(lambda: told(swarm, "tasks", "slow")["state"] == "complete", limit=60.0, what="the slow one's end")
    until(lambda: store.read_registry(swarm.state).former == (), limit=90.0, what="all to have keys")
    assert runs.read_text() == "x\n", "it ran once, through it all"
    assert told(swarm, "tasks", "before")["state"] == "complete"
    assert swarm.run("publish", "quick", "--task-id", "after", "--wait", *at).returncode == 0
    status = told(swarm, "status")
    assert {row["agent_id"]: row["state"] for row in status["agents"]} == dict.fromkeys(("boss", "a", "b"), "online")
    assert status["guests"] == "work"


@pytest.mark.parametrize("taken", [False, pytest.param(True, marks=pytest.mark.drill)])
def test_a_swarm_that_is_led_elsewhere_is_not_led_twice_by_mistake(
    make: Make, make_broker: Callable[..., RealBroker], taken: bool
) -> None:
    """It is taken over on demand, once it has been silent for longer than any that lives is: 12 seconds."""
    broker = make_broker()
    swarm = make(broker.port, [own("boss", "task-manager")])
    elsewhere = Writer(swarm.name, "boss", "task-manager", new_id=lambda: "x", clock=time.time)
    claim = Dispatcher(instance="far/1", epoch=7, online=True, agent_id="boss")
    bus, acked = MqttBus(Broker(url=broker.url), "elsewhere"), threading.Event()
    bus.start(lambda *_: None, lambda link: None)
    try:
        bus.publish(elsewhere.message(Kind.DISPATCHER, claim), acked.set)
        assert acked.wait(10)
        said = swarm.up(fails=True)
        assert f"{swarm.name} is led at {broker.url} already, by boss (far), by keys that this host has not" in said
        assert not (swarm.state.root / "identity" / "secret").exists()
        if taken:
            swarm.up("--take-over", "--yes")
            assert told(swarm, "status")["dispatcher"]["online"]
    finally:
        bus.close(0.0)


def test_a_state_folder_of_the_old_version_is_taken_over(make: Make, free_port: int) -> None:
    handlers = {"quick": {"command": ["echo", "{}"]}, "broken": {"command": ["false"], "max_attempts": 1}}
    agents = [own("boss", "task-manager"), own("worker", handlers=handlers)]
    swarm = make(free_port, agents, swarm="old-swarm", host="old-host")
    swarm.state.create()
    with tarfile.open(STATE) as archive:
        archive.extractall(swarm.state.root, filter="data")
    # It was another broker's.
    said = swarm.up(fails=True)
    assert "this journal belongs to old-host and the broker mqtt://127.0.0.1:28831: `swarm-tui up --take-over`" in said
    assert "are lost; one that leads elsewhere stands down. Say `--yes`" in swarm.up("--take-over", fails=True)
    swarm.up("--take-over", "--yes")
    assert not swarm.state.take_over.exists(), "it was asked once"
    until(lambda: told(swarm, "tasks", "waits")["state"] == "complete", limit=30.0, what="what waited to be done")
    assert {row["task_id"]: row["state"] for row in told(swarm, "tasks")} == {
        "done": "complete", "dead": "dead", "waits": "complete",
    }  # fmt: skip
    status = told(swarm, "status")
    assert status["guests"] == "work"
    assert store.read_registry(swarm.state).former == ()
    assert swarm.run("retry", "dead", "--swarm", swarm.name).returncode == 0
    assert told(swarm, "tasks", "done")["hops"][-1]["what"] == "complete"


@pytest.mark.drill
def test_a_client_of_the_old_version_is_a_guest_and_its_orders_are_told(
    make: Make, free_port: int, tmp_path: Path, make_broker: Callable[..., RealBroker]
) -> None:
    broker, old = make_broker(), tree(tmp_path / "old")
    quick = {"quick": {"command": ["echo", "{}"]}}
    swarm = make(broker.port, [own("boss", "task-manager"), own("w", handlers=quick)])
    swarm.up()

    def former(*words: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "PYTHONPATH": str(old), "MQTT_BROKER": broker.url, "OPENCTO_SWARM": swarm.name}
        line = [sys.executable, "-P", "-m", "swarm_tui", *words]
        return subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert "0.1.0" in former("--version").stdout
    done = former("publish", "quick", "--task-id", "of-a-guest", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told(swarm, "tasks", "of-a-guest")["agent_id"] == "w"
    former("halt", "evil")
    sentence = "orders and proves nothing: by a version before 0.2, or without a key; order by this version"
    until(lambda: sentence in swarm.log("boss"), what="who ordered to be named")
    status = told(swarm, "status")
    assert not status["halted"]
    assert any(sentence in hint for hint in status["other_versions"])
    assert status["refused"]["an order without proof"] >= 1
    assert swarm.run("publish", "quick", "--wait", "--swarm", swarm.name).returncode == 0


@pytest.mark.drill
def test_agents_and_a_dispatcher_of_the_old_version_are_guests_and_told(
    make: Make, free_port: int, tmp_path: Path, make_broker: Callable[..., RealBroker]
) -> None:
    broker, old = make_broker(), tree(tmp_path / "old")
    quick = {"quick": {"command": ["echo", "{}"]}}
    swarm = make(broker.port, [own("boss", "task-manager"), own("w", handlers=quick)])
    swarm.up()
    others: list[subprocess.Popen[bytes]] = []
    empty = tmp_path / "empty"
    empty.mkdir()

    def former(agent_id: str, role: str) -> Path:
        env = {**os.environ, "PYTHONPATH": str(old), "MQTT_BROKER": broker.url, "OPENCTO_SWARM": swarm.name}
        env["XDG_STATE_HOME"] = str(tmp_path / "its-state")
        log = tmp_path / f"{agent_id}.log"
        line = [sys.executable, "-P", "-m", "swarm_tui", "agent", "--agent-id", agent_id, "--role", role]
        with log.open("wb") as out:
            others.append(subprocess.Popen(line, env=env, cwd=empty, stdout=out, stderr=out))
        return log

    def row(agent_id: str) -> dict[str, Any]:
        return next((one for one in told(swarm, "status")["agents"] if one["agent_id"] == agent_id), {})

    def says(log: Path, words: str) -> None:
        until(lambda: words in log.read_text(), limit=30.0, what=f"{words!r} in its own log")

    try:
        former("tester", "testing")
        until(lambda: {"agent_id": "tester", "state": "online"}.items() <= row("tester").items(), what="it to join")
        done = swarm.run("publish", "testing.run", "--to", "tester", "--wait", "--swarm", swarm.name)
        assert "complete on tester" in done.stderr, "a guest does what it is offered"
        says(former("w", "general"), "w runs elsewhere already")
        says(former("rival", "task-manager"), "leading, epoch 2")
        sentence = "a dispatcher claims to lead and proves nothing: one of a version before 0.2"
        until(lambda: sentence in str(told(swarm, "status")["other_versions"]), what="the rival to be named")
        assert sentence in swarm.log("boss")
        assert swarm.run("publish", "quick", "--task-id", "good", "--wait", "--swarm", swarm.name).returncode == 0
        status = told(swarm, "status")
        assert status["dispatcher"]["agent_id"] == "boss"
        assert told(swarm, "tasks", "good")["attempt"] == 1
    finally:
        for other in others:
            other.kill()
            other.wait()
