"""Other programs as agents."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from swarm_tui.config.environment import save_environment
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import state_dir
from swarm_tui.config.spec import read_spec, write_spec
from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker
from tests.e2e.agents import SWARM, Agents, alive, ground
from tests.wait import until

LAUNCH = "swarm_tui.agent.launch"
TELL = """
import json, os, sys
print(json.dumps([sys.argv[1:], {n: os.environ.get(n) for n in ("MINE", "MQTT_PASSWORD", "OWN")}]))
"""


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Agents]:
    workdir = tmp_path / "work"
    workdir.mkdir()
    with ground(real_broker.url, workdir) as made:
        yield made


def test_a_program_gets_its_placeholders_and_the_callers_environment(land: Agents) -> None:
    save_environment(state_dir(SWARM).create().environment(), {**os.environ, "MINE": "from the caller"})
    command = [sys.executable, "-c", TELL, "{agent_id}", "{role}", "x{swarm}", "{broker}", "{workdir}", "{other}"]
    path = land.spec("ext", "review", command=command, dialect="seed", env={"OWN": "1"})
    spec = read_spec(path)
    broker = Broker(url="mqtt://user:word@127.0.0.1:1", password="secret-word")
    write_spec(path, msgspec.structs.replace(spec, broker=broker))
    agent = land.run("--spec", str(path), module=LAUNCH)
    assert agent.wait() == 0
    argv, environ = json.loads(agent.lines[-1])
    assert argv == ["ext", "review", f"x{SWARM}/_a/ext", "mqtt://user@127.0.0.1:1", str(land.workdir), "{other}"]
    assert environ == {"MINE": "from the caller", "MQTT_PASSWORD": "secret-word", "OWN": "1"}


def test_what_the_program_does_not_need_is_not_imported_before_it() -> None:
    code = (
        f"import sys, {LAUNCH}; print(sorted(m for m in ('msgspec', 'paho', 'shutil', 'typing') if m in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]", said.stdout


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"state_dir": 1}', "\xff"])
def test_a_file_that_is_no_spec_is_said(land: Agents, text: str) -> None:
    path = land.workdir / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    agent = land.run("--spec", str(path), module=LAUNCH)
    assert agent.wait() == 2
    assert "is no agent's spec" in agent.text
    assert "Traceback" not in agent.text


def test_the_lock_of_the_id_is_kept_over_exec(land: Agents) -> None:
    code = "import time; print('up', flush=True); time.sleep(60)"
    agent = land.run("--spec", str(land.spec("ext", command=[sys.executable, "-c", code])), module=LAUNCH)
    agent.says("^up$")
    assert _held(state_dir(SWARM).lock("ext"))
    agent.kill()
    assert not _held(state_dir(SWARM).lock("ext"))


def _held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_program_that_is_not_there(land: Agents) -> None:
    agent = land.run("--spec", str(land.spec("ext", command=["no-such-program"])), module=LAUNCH)
    assert agent.wait() == 127
    assert "no-such-program is not there" in agent.text


def test_a_wrapped_program_has_a_presence(land: Agents) -> None:
    listener = land.listener()
    code = "import os,time; print('PID', os.getpid(), flush=True); time.sleep(60)"
    path = land.spec("wrapped", command=[sys.executable, "-c", code], wrap=True)
    agent = land.run("--spec", str(path), module=LAUNCH)
    child = int(agent.says("^PID").split()[1])
    assert listener.wait(Kind.REGISTER).sender == "wrapped"
    assert listener.wait(Kind.STATUS, status="online").payload["capabilities"] == []
    assert agent.stop() == 143
    listener.wait(Kind.STATUS, status="offline")
    assert not alive(child)


def test_a_wrapped_program_dies_with_its_wrapper(land: Agents) -> None:
    code = "import os,time; print('PID', os.getpid(), flush=True); time.sleep(60)"
    path = land.spec("wrapped", command=[sys.executable, "-c", code], wrap=True)
    agent = land.run("--spec", str(path), module=LAUNCH)
    child = int(agent.says("^PID").split()[1])
    agent.kill()
    until(lambda: not alive(child), what="the child's end")


def test_its_exit_status_is_the_programs(land: Agents) -> None:
    path = land.spec("wrapped", command=[sys.executable, "-c", "raise SystemExit(7)"], wrap=True)
    assert land.run("--spec", str(path), module=LAUNCH).wait() == 7
