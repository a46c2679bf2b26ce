"""The same task done by several agents: a run of it, and who did it how well."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from msgspec import Struct

from swarm_tui.domain.fleet.runs import RunView
from swarm_tui.domain.outcome import outcome, verdict_failed
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.usage import read_usage
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.text import clean

#: The name of such a workflow, and how the names of the steps that judge end.
COMPARE, TEST, REVIEW = "compare", "-test", "-review"


class Candidate(Struct, frozen=True, kw_only=True):
    """An agent that did the task. `seconds` and `cost` are None where nobody knows them."""

    name: str
    task_id: str
    state: str
    files: int | None = None
    change: str = ""
    tests: str = ""
    review: str = ""
    seconds: float | None = None
    cost: float | None = None
    merge: str = ""
    why: str = ""
    """Why it failed, where it did."""
    rank: tuple[int, int, int, float] = (9, 9, 9, 0.0)
    """Smaller is better: its work, its tests, its review, what it cost."""


def comparison(
    task_type: str, payload: Mapping[str, Any], names: Sequence[str], checks: Sequence[str]
) -> dict[str, Any]:
    """Return the workflow by which each of `names` does the task, and each of `checks` looks at what came of it."""
    steps: dict[str, Any] = {}
    where = {"repo": payload.get("repo", ".")}
    for name in names:
        steps[name] = {"type": task_type, "payload": {**payload, "cli": name}}
        head = f"{{{name}.result.commit}}"
        if "testing.run" in checks:
            steps[f"{name}{TEST}"] = {"type": "testing.run", "needs": [name], "payload": {**where, "head": head}}
        if "code.review" in checks:
            change = {**where, "base": f"{{{name}.result.base}}", "head": head}
            steps[f"{name}{REVIEW}"] = {"type": "code.review", "needs": [name], "payload": change}
    return {"workflow": COMPARE, "steps": steps, "on_failure": "continue"}


def candidates(run: RunView, task: Callable[[str], TaskView | None]) -> list[Candidate]:
    """Return who did the task, the best first, as far as it is known."""
    names = [name for name in run.steps if not name.endswith((TEST, REVIEW))]
    found = [_candidate(run, name, lambda step: task(f"{run.run_id}.{step}")) for name in names]
    return sorted(found, key=lambda one: one.rank)


def best(found: Sequence[Candidate]) -> Candidate | None:
    """Return the one to merge: its work is done, and nothing that judged it says no; None while there is none."""
    first = next(iter(found), None)
    return first if first is not None and first.rank[:3] <= (0, 1, 1) else None


def table(found: Sequence[Candidate]) -> list[tuple[str, list[str]]]:
    """Return the rows of a comparison, a cell for each candidate; what nobody has a word on is left out."""
    rows = [
        ("state", [one.state for one in found]),
        ("changed", [one.change or "-" for one in found]),
        ("tests", [one.tests or "-" for one in found]),
        ("review", [one.review or "-" for one in found]),
        ("took", ["-" if one.seconds is None else f"{one.seconds:.1f} s" for one in found]),
        ("cost", ["unknown" if one.cost is None else f"${one.cost:.4f}" for one in found]),
        ("merge", [one.merge or "-" for one in found]),
        ("why", [one.why or "-" for one in found]),
    ]
    return [(name, [clean(cell, 60) for cell in cells]) for name, cells in rows if set(cells) != {"-"}]


def _candidate(run: RunView, name: str, step: Callable[[str], TaskView | None]) -> Candidate:
    work, tests, review = step(name), step(f"{name}{TEST}"), step(f"{name}{REVIEW}")
    if work is None:
        return Candidate(name=name, task_id=f"{run.run_id}.{name}", state=run.steps[name].state)
    result = work.result if isinstance(work.result, dict) else {}
    files = result.get("files")
    stat = result.get("diffstat")
    done = 0 if work.state is TaskState.COMPLETE else 2 if work.state in ENDED else 1
    used = read_usage(work.usage)
    return Candidate(
        name=name,
        task_id=work.task_id,
        state=work.state.value,
        files=len(files) if isinstance(files, list) else None,
        change=clean(stat.strip().split("\n")[-1].strip(), 80) if isinstance(stat, str) and stat.strip() else "",
        tests=_verdict(tests),
        review=_verdict(review),
        seconds=None if work.duration is None else work.duration / 1000,
        cost=used.cost if work.usage else None,
        merge=work.merge.state if work.merge is not None else "",
        why=clean(work.error or work.reason, 300) if done == 2 else "",
        rank=(done, _rank(tests), _rank(review), inf if used.cost is None else used.cost),
    )


def _rank(task: TaskView | None) -> int:
    """Return 0 for a yes, 1 where nobody says anything, 2 for a no."""
    if task is None or task.state is not TaskState.COMPLETE:
        return 1
    return 2 if verdict_failed(task.result) else 0


def _verdict(task: TaskView | None) -> str:
    if task is None:
        return ""
    return outcome(task.result) if task.state is TaskState.COMPLETE else task.state.value
