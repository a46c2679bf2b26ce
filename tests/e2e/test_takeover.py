"""A swarm of 0.1.0, which knew no keys, is taken over while it runs: nothing is lost, and then all is proved."""

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.identity import store
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]

#: The last tree of that version.
OLD = "561d220"


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
