"""Completion of what the swarm that runs here has: agents, roles, tasks, types, fields."""

from collections.abc import Callable

import pytest

from swarm_tui.cli.group import run
from swarm_tui.config.model import AgentEntry, HandlerSpec, Layout
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import save_running
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Task
from swarm_tui.supervisor.plan import Plan, save_plan
from tests.unit.cli.test_parts import running

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Type words, the last of them begun; get what a shell would offer."""

    def typed(line: str) -> list[str]:
        monkeypatch.setenv("_SWARM_TUI_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - (0 if line.endswith(" ") else 1)))
        with pytest.raises(SystemExit):
            run([])
        return [found.partition(",")[2] for found in capsys.readouterr().out.split()]

    return typed


@pytest.fixture
def swarm() -> None:
    """A swarm that runs here, as `up` and its dispatcher write it down."""
    state = state_dir("mine").create()
    save_running(running("mine"))
    command = HandlerSpec(command=["make", "{payload.target}"])
    agents = [
        AgentEntry(role="testing", count=2),
        AgentEntry(role="docs", id="writer", handlers={"site.make": command}),
    ]
    layout = Layout(swarm="mine", agents=agents)
    save_plan(state, Plan(layout=layout, path="/l.yml", workdir="/", host="h", session="s"))
    journal = Journal(state.dispatch)
    jobs = [
        Job(task=Task(task_id=name, type="site.make"), digest="", seq=1, created_at=at, updated_at=at,
            state=TaskState.RUNNING)
        for at, name in enumerate(("task_old", "task_new"), 1)
    ]  # fmt: skip
    journal.commit(jobs, [])
    journal.close()


@pytest.mark.usefixtures("swarm")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("swarm-tui start w", ["writer"]),
        ("swarm-tui logs te", ["testing-01", "testing-02"]),
        ("swarm-tui restart testing", ["testing-01", "testing-02", "testing"]),
        ("swarm-tui scale d", ["docs"]),
        ("swarm-tui cancel ta", ["task_new", "task_old"]),
        ("swarm-tui tasks task_o", ["task_old"]),
        ("swarm-tui logs --task task_n", ["task_new"]),
        ("swarm-tui publish si", ["site.make"]),
        ("swarm-tui publish site.make -p t", ["target="]),
        ("swarm-tui publish testing.run -p pat", ["path="]),
        ("swarm-tui publish testing.run --to wri", ["writer"]),
        ("swarm-tui start --swarm nobody w", []),
        ("swarm-tui start --swarm a# w", []),
    ],
)
def test_a_shell_completes_what_the_swarm_has(line: str, offered: list[str], complete: Complete) -> None:
    assert complete(line) == offered


@pytest.mark.usefixtures("swarm")
def test_completion_survives_damaged_files(complete: Complete) -> None:
    state = state_dir("mine")
    state.dispatch.write_bytes(b"no database")
    (state.root / "plan.json").write_bytes(b"{")
    assert complete("swarm-tui cancel ta") == []
    assert complete("swarm-tui start w") == []
    assert complete("swarm-tui publish monitoring.a") == ["monitoring.alerts"]


@pytest.mark.usefixtures("swarm")
def test_status_with_the_broker_away_prints_what_is_known_and_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "mine"]) == 3
    told = capsys.readouterr().out
    assert "swarm mine" in told
    assert "away" in told
