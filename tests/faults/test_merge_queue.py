"""The merge queue over real repositories: the target is green at every commit, each branch is merged or returned."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.handlers.models.generate import Generate
from swarm_tui.agent.handlers.review.review import Review
from swarm_tui.agent.handlers.testing.run import Run
from swarm_tui.agent.task_processes import _NOBODY, TaskProcesses
from swarm_tui.config.model import HandlerSpec
from swarm_tui.domain.dispatch.merge_record import SETTLED
from swarm_tui.protocol.merge_bodies import MergeAct, MergeState
from swarm_tui.protocol.topics import Kind
from swarm_tui.testing.memory_swarm import Swarm
from tests.wait import until

AGENT = Path(__file__).parent.parent / "acp_agent.py"
WRITER = {"argv": [sys.executable, "-c", "exec(open(0).read())"], "modes": {"edit": []}}
GIT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@x", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@x",
}  # fmt: skip
CODE = {
    "good": "open('m{n}.py','w').write('V = {n}\\n'); "
    "open('test_m{n}.py','w').write('from m{n} import V\\n\\n\\ndef test_v():\\n    assert V == {n}\\n')",
    "conflict": "open('shared.py','w').write('WHO = {n}\\n')",
    "red": "open('m{n}.py','w').write('V = {n}\\n'); "
    "open('test_m{n}.py','w').write('from m{n} import V\\n\\n\\ndef test_v():\\n    assert V == -1\\n')",
}


def git(repo: Path, *argv: str) -> str:
    done = subprocess.run(["git", *argv], cwd=repo, env=GIT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def marked_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three agents share this process: a program that carries no mark yet may be another's, and is left alone."""
    owned = TaskProcesses._owned

    def marked(self: TaskProcesses, ended: Any = None) -> list[Any]:
        return [(owner, info) for owner, info in owned(self, ended) if owner != _NOBODY]

    monkeypatch.setattr(TaskProcesses, "_owned", marked)


def project(folder: Path) -> Path:
    repo = folder / "project"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / "shared.py").write_text("WHO = None\n")
    (repo / "test_shared.py").write_text("import shared\n\n\ndef test_shared():\n    assert hasattr(shared, 'WHO')\n")
    (repo / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "first")
    return repo


def is_green(repo: Path, commit: str, folder: Path) -> bool:
    git(repo, "worktree", "add", "-q", "--detach", str(folder), commit)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    git(repo, "worktree", "remove", "--force", str(folder))
    return done.returncode == 0


def the_bar(tmp_path: Path, branches: int) -> None:
    repo = project(tmp_path)
    first = git(repo, "rev-parse", "main")
    kinds = {f"t{n}": list(CODE)[n % 3] for n in range(branches)}
    specs = {"code.generate": HandlerSpec(options={"cli": "writer", "clis": {"writer": WRITER}, "keep": 100})}
    handlers = {"code.generate": Generate, "testing.run": Run, "code.review": Review}
    with Swarm(handlers, specs=specs, workers=3, workdir=repo) as swarm:
        for task_id, kind in kinds.items():
            swarm.publish("code.generate", {"prompt": CODE[kind].format(n=task_id[1:])}, task_id=task_id)
        for task_id in kinds:
            assert swarm.wait(task_id, 300).error is None
        # What they all began from is changed meanwhile, by a person.
        (repo / "shared.py").write_text("WHO = 'a person'\n")
        git(repo, "commit", "-q", "-am", "a person's own")
        for task_id in kinds:
            swarm._operator.act(Kind.MERGE_ACT, MergeAct(task_id=task_id, act="merge"))
        states: dict[str, MergeState] = {}
        running: set[str] = set()

        def over() -> bool:
            with swarm._changed:
                events = [event for event in swarm.events if event.kind is Kind.MERGE_STATE]
            for event in events:
                assert isinstance(event.body, MergeState)
                states[event.body.task_id] = event.body
            running.clear()
            running.update(name for name, state in states.items() if state.state == "running")
            assert len(running) <= 1
            return len(states) == branches and all(state.state in SETTLED for state in states.values())

        until(over, 40.0 * branches)
        told = [event.body for event in swarm.events if isinstance(event.body, MergeState)]
        assert {body.task_id for body in told if body.state == "waiting"} == set(kinds), "each is told of as it comes"
    for task_id, kind in kinds.items():
        state = states[task_id]
        assert state.state == ("merged" if kind == "good" else "returned"), (task_id, kind, state)
        if kind == "conflict":
            assert "conflicts with main" in state.reason
            assert "a person's own" in state.reason
            assert "shared.py" in state.reason
        elif kind == "red":
            assert "testing.run says failed: 1 failed" in state.reason
            assert "test_v" in state.reason
    commits = git(repo, "rev-list", "--first-parent", f"{first}..main").split()
    assert len(commits) == 1 + sum(kind == "good" for kind in kinds.values())
    assert all(is_green(repo, commit, tmp_path / "look") for commit in commits)
    assert git(repo, "status", "--porcelain") == "", "the user's tree followed"
    for task_id, kind in kinds.items():
        if kind != "good":
            assert git(repo, "rev-parse", f"swarm/{task_id}"), "nothing that is not merged is gone"


def test_each_branch_is_merged_or_returned_and_the_target_is_green(tmp_path: Path) -> None:
    the_bar(tmp_path, 6)


@pytest.mark.drill
def test_thirty_branches_of_three_agents(tmp_path: Path) -> None:
    the_bar(tmp_path, 30)


def test_a_conflict_goes_back_to_the_conversation_that_wrote_it_and_is_merged_once_resolved(tmp_path: Path) -> None:
    repo, home = project(tmp_path), tmp_path / "agent"
    home.mkdir()
    acp = {
        "argv": [sys.executable, "-I", "-S", str(AGENT), "claude"],
        "env": {"ACP_AGENT_HOME": str(home)},
        "session_mode": "default",
    }
    options = {"cli": "mine", "clis": {"mine": {"acp": acp}}, "mcp": False}
    specs = {"code.generate": HandlerSpec(options=options)}
    with Swarm({"code.generate": Generate, "testing.run": Run}, specs=specs, workdir=repo) as swarm:
        done = swarm.run("code.generate", {"prompt": "[[write shared.py WHO = 1]]"}, task_id="t", timeout=60)
        assert done.error is None
        (repo / "shared.py").write_text("WHO = 2\n")
        # Whose commits it conflicts with is told to the agent, and this one obeys what it is told.
        git(repo, "commit", "-q", "-am", "[[write shared.py WHO = 'both']]")
        swarm._operator.act(Kind.MERGE_ACT, MergeAct(task_id="t", act="merge"))

        def states() -> list[MergeState]:
            with swarm._changed:
                return [event.body for event in swarm.events if isinstance(event.body, MergeState)]

        until(lambda: any(state.state in SETTLED for state in states()), 90)
        told = states()
        assert [state.state for state in told] == ["waiting", "running", "mending", "waiting", "running", "merged"], (
            told
        )
        assert "conflicts with main" in told[2].reason
        assert swarm.wait("t:fix1").result["session"] == done.result["session"], "the same conversation"
    assert "both" in (repo / "shared.py").read_text()
    assert git(repo, "status", "--porcelain") == ""
