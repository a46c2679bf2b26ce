"""The same task by several: who comes first, and that the steps are a workflow as any."""

from typing import Any

import msgspec
import pytest

from swarm_tui.cli.group import run as run_command
from swarm_tui.domain.comparison import best, candidates, comparison, table
from swarm_tui.domain.fleet.runs import RunView, StepView
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.domain.workflows.check import mistakes
from swarm_tui.domain.workflows.model import Workflow

CHECKS = ("testing.run", "code.review")


def tasks(**results: Any) -> dict[str, TaskView]:
    """What the dispatcher knows of a run's tasks; `None` is one that failed."""
    found = {}
    for name, result in results.items():
        state = TaskState.COMPLETE if result is not None else TaskState.FAILED
        usage = {"cost": result["cost"]} if result and "cost" in result else {}
        task_id = f"r.{name.replace('_', '-')}"
        found[task_id] = TaskView(
            task_id=task_id, state=state, result=result, error=None if result else "quota", usage=usage
        )
    return found


def run(*names: str) -> RunView:
    return RunView(run_id="r", workflow="compare", steps={name: StepView(name=name) for name in names})


def test_each_does_the_same_and_each_check_looks_at_what_it_made() -> None:
    made = comparison("code.generate", {"prompt": "x", "repo": "sub"}, ["claude", "codex"], CHECKS)
    workflow = msgspec.convert(made, Workflow)
    assert mistakes(workflow) == []
    assert set(workflow.steps) == {f"{name}{end}" for name in ("claude", "codex") for end in ("", "-test", "-review")}
    assert workflow.steps["codex"].payload == {"prompt": "x", "repo": "sub", "cli": "codex"}
    head = "{codex.result.commit}"
    assert workflow.steps["codex-test"].payload == {"repo": "sub", "head": head}
    assert workflow.steps["codex-review"].payload == {"repo": "sub", "base": "{codex.result.base}", "head": head}
    assert workflow.on_failure == "continue"


def test_the_best_comes_first_and_one_that_failed_a_check_is_never_it() -> None:
    good, bad = {"verdict": "passed", "passed": 3}, {"verdict": "failed", "failed": 1}
    known = tasks(
        a={"files": ["x"], "diffstat": " x | 1 +\n 1 file changed", "cost": 0.5}, a_test=good, a_review=good,
        b={"files": ["x"], "cost": 0.1}, b_test=bad, b_review=good,
        c={"files": ["x"], "cost": 0.2}, c_test=good, c_review=good, d=None,
        e={"files": ["x"]}, e_test=good, e_review=good,
    )  # fmt: skip
    found = candidates(run(*(task_id.removeprefix("r.") for task_id in known)), known.get)
    assert [one.name for one in found] == ["c", "a", "e", "b", "d"], "a cost that nobody knows is not the least"
    first = best(found)
    assert first is not None
    assert first.task_id == "r.c"
    rows = dict(table(found))
    assert rows["tests"] == ["passed: 3 passed"] * 3 + ["failed: 1 failed", "-"]
    assert rows["cost"] == ["$0.2000", "$0.5000", "unknown", "$0.1000", "unknown"]
    assert rows["why"] == ["-", "-", "-", "-", "quota"]
    only = [one for one in found if one.name in ("b", "d")]
    assert best(only) is None
    assert best(candidates(run("x"), {}.get)) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["publish", "testing.run", "--with", "a,b"], "is done by no agent CLI"),
        (["publish", "code.generate", "-p", "prompt=x", "--with", "claude"], "name at least two"),
        (["publish", "code.generate", "-p", "prompt=x", "--with", "claude,claude"], "each once"),
        (["publish", "code.generate", "-p", "prompt=x", "--with", "claude,-x"], "is no CLI's name"),
    ],
)
def test_bad_usage_is_told(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(words) == 2
    assert says in capsys.readouterr().err
