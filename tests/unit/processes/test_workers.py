"""Whoever works is known as such, whatever it does to its environment and its session."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_tui.config.paths import StateDir
from swarm_tui.identity.store import make_secret
from swarm_tui.processes.marks import PROGRAM, VARIABLE, mark, read_mark

LOOK = """
import json, sys
from pathlib import Path
from swarm_tui.config.paths import StateDir
from swarm_tui.identity.open import open_operator
from swarm_tui.processes.workers import worker_of, works
keys = open_operator(StateDir(Path(sys.argv[1])), "ada@home")
print(json.dumps([works(), worker_of(sys.argv[1]), type(keys).__name__]))
"""
ME = [sys.executable, "-c", LOOK, "{root}"]
CLEAN = ["env", "-i", f"PYTHONPATH={os.pathsep.join(filter(None, sys.path))}"]
CLEARED = "import os, sys; os.environ.clear(); os.execve(sys.argv[1], sys.argv[1:], {'PYTHONPATH': %r})"


def sh(*words: str) -> list[str]:
    """The program as a child of a shell, which stays its parent."""
    return ["sh", "-c", '"$@"; true', "sh", *words]


TRICKS = {
    "nothing": ME,
    "its task's variable taken away": ["env", "-u", "SWARM_TASK_ID", *ME],
    "its mark taken away": sh("env", "-u", VARIABLE, "-u", "SWARM_TASK_ID", *ME),
    "no environment": sh(*CLEAN, *ME),
    "a session of its own": sh("setsid", "-w", *CLEAN, *ME),
    "another's mark": sh("env", f"{VARIABLE}=end:{{root}}:boss:0123", *ME),
    "a mark of nobody": sh("env", f"{VARIABLE}=end", "SWARM_TASK_ID=", *ME),
    "several shells deep": sh(*sh(*CLEAN, *sh(*CLEAN, *ME))),
    "another image of the same process": sh(sys.executable, "-c", CLEARED % CLEAN[-1].partition("=")[2], *ME),
}


def run(folder: Path, words: list[str], **env: str) -> list[object]:
    state = StateDir(folder / "swarm").create()
    make_secret(state, "home")
    root = str(state.root)
    given = {**os.environ, "PYTHONPATH": CLEAN[-1].partition("=")[2]}
    given |= {name: value.replace("{root}", root) for name, value in env.items()}
    line = [word.replace("{root}", root) for word in words]
    done = subprocess.run(line, env=given, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout, done.stderr
    told: list[object] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("trick", TRICKS)
def test_a_tasks_program_is_known_and_gets_its_agents_keys(tmp_path: Path, trick: str) -> None:
    told = run(tmp_path, TRICKS[trick], SWARM_TASK_ID="t1", **{VARIABLE: "end:{root}:worker:0123"})
    assert told == [True, "worker", "AgentKeyring"]


def test_an_agents_own_program_is_no_person_either(tmp_path: Path) -> None:
    told = run(tmp_path, sh(*CLEAN, *ME), **{VARIABLE: mark("{root}", "worker", PROGRAM)})
    assert told == [True, "worker", "AgentKeyring"]


def test_a_task_of_another_swarm_is_no_person_here(tmp_path: Path) -> None:
    assert run(tmp_path, ME, **{VARIABLE: "end:/elsewhere:worker:0123"}) == [True, "", "Guest"]
    assert run(tmp_path, ME, SWARM_TASK_ID="t1") == [True, "", "Guest"]


def test_whoever_sits_here_is_a_person(tmp_path: Path) -> None:
    assert run(tmp_path, ME) == [False, "", "SwarmKeyring"]


@pytest.mark.parametrize("root", ["/plain", "/with:colon", "/50%", "/%3A"])
def test_a_mark_is_read_as_it_was_written(root: str) -> None:
    read = read_mark(mark(root, "a", "t", keep=True))
    assert read is not None
    assert (read.root, read.agent_id, read.token, read.keep) == (root, "a", "t", True)
    assert read_mark(f"x{mark(root, 'a', 't')}") is None
