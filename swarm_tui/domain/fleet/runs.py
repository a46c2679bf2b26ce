"""The runs of a swarm: what is said of them, and of their steps' tasks."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from msgspec import Struct, field

from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.domain.workflows.model import MAX_STEPS, RUNNING
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.raw import RefusedError
from swarm_tui.protocol.rows import RunRow
from swarm_tui.protocol.run_bodies import RunEnded, RunNew, RunRejected, RunStarted, workflow_of
from swarm_tui.protocol.text import clean

#: Runs that are kept, the newest.
MAX_RUNS = 1000
#: Steps of all of them together.
MOST_STEPS = 50_000
#: Packed workflows that are kept until somebody answers.
MOST_PACKED = 20
#: Before anybody answers for it, and when it is refused.
ASKED, REJECTED = "asked", "rejected"
_BAD = frozenset({TaskState.FAILED, TaskState.DEAD, TaskState.EXPIRED, TaskState.CANCELLED})


class StepView(Struct, kw_only=True):
    """A step of a run as it is seen: `tasks` are those that were heard of, each with its state."""

    name: str
    type: str = "?"
    state: str = "blocked"
    needs: tuple[str, ...] = ()
    count: int | None = None
    reason: str = ""
    began_at: float | None = None
    ended_at: float | None = None
    tasks: dict[str, TaskState] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    """Ids of all of its tasks, as the dispatcher told them."""

    @property
    def last_round(self) -> list[TaskState]:
        """Return the states of its tasks since it was begun last: a retry begins others."""
        newest = max(map(_round, self.tasks), default=1)
        return [state for task_id, state in self.tasks.items() if _round(task_id) == newest]


class RunView(Struct, kw_only=True):
    """A run as it is seen. Times are seconds since the epoch."""

    run_id: str
    workflow: str = "?"
    state: str = ASKED
    reason: str = ""
    by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    ended_at: float | None = None
    starts: int = 0
    """Times that it was said to begin, or to go on after a retry."""
    steps: dict[str, StepView] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Return whether it has ended, or was refused."""
        return self.state not in (ASKED, RUNNING)


class Runs:
    """The runs that are known, the newest last."""

    def __init__(self) -> None:
        self.all: dict[str, RunView] = {}
        self._packed: dict[str, RunNew] = {}
        """Of runs that were asked for and not yet taken: the workflow."""

    def apply(self, event: Event) -> str | None:
        """Take one message. Returns the id of the run that it touched, or None."""
        body = event.body
        if isinstance(body, RunNew):
            self._asked(event, body)
        elif isinstance(body, RunStarted):
            self._started(event, body)
        elif isinstance(body, RunRejected):
            view = self._run(body.run_id, event.received)
            if view.state == ASKED:
                view.state, view.reason, view.ended_at = REJECTED, clean(body.reason, 1000), event.received
        elif isinstance(body, RunEnded):
            self._ended(event, body)
        else:
            return None
        self.all[body.run_id].updated_at = event.received
        return body.run_id

    def _asked(self, event: Event, body: RunNew) -> None:
        view = self._run(body.run_id, event.received)
        view.by = view.by or clean(event.sender, 160)
        if body.packed is not None:
            # Anybody may say it; it is worth unpacking once it is taken.
            self._packed[body.run_id] = body
            if len(self._packed) > MOST_PACKED:
                del self._packed[next(iter(self._packed))]
            return
        self._has(view, body)

    def _has(self, view: RunView, body: RunNew) -> None:
        try:
            workflow = workflow_of(body)
        except RefusedError:
            return
        name, steps = workflow.get("workflow"), workflow.get("steps")
        if view.workflow == "?" and isinstance(name, str):
            view.workflow = clean(name, 128)
        for step_name, step in islice(steps.items(), MAX_STEPS) if isinstance(steps, dict) else ():
            if isinstance(step_name, str) and isinstance(step, dict):
                self._step(view, step_name, step.get("type"), step.get("needs"))
        self._forget(view)

    def _started(self, event: Event, body: RunStarted) -> None:
        view = self._run(body.run_id, event.received)
        view.workflow = clean(body.workflow, 128) or view.workflow
        if body.duplicate:
            view.state = clean(body.state or RUNNING, 40)
            return
        if (packed := self._packed.pop(body.run_id, None)) is not None:
            self._has(view, packed)
        view.starts += 1
        view.state, view.reason, view.ended_at = RUNNING, "", None
        for name, task_type in body.steps.items():
            step = self._step(view, name, task_type, None)
            step.state, step.reason, step.began_at, step.ended_at = "blocked", "", None, None

    def _ended(self, event: Event, body: RunEnded) -> None:
        view = self._run(body.run_id, event.received)
        view.workflow = clean(body.workflow, 128) or view.workflow
        view.state, view.reason, view.ended_at = clean(body.outcome, 40), clean(body.reason, 1000), event.received
        for name, state in body.steps.items():
            self._step(view, name, None, None).state = clean(state, 40)

    def _run(self, run_id: str, at: float) -> RunView:
        view = self.all.get(run_id)
        if view is None:
            view = self.all[run_id] = RunView(run_id=run_id, created_at=at)
            if len(self.all) > MAX_RUNS:
                del self.all[min((run for run in self.all.values() if run is not view), key=_worth).run_id]
        return view

    def _forget(self, kept: RunView) -> None:
        """Forget runs while there are too many steps: those that nobody took, then those that are over, the oldest."""
        steps = sum(len(view.steps) for view in self.all.values())
        for view in sorted(self.all.values(), key=_worth) if steps > MOST_STEPS else ():
            if steps > MOST_STEPS and view is not kept:
                steps -= len(view.steps)
                del self.all[view.run_id]

    def _step(self, view: RunView, name: str, task_type: Any, needs: Any) -> StepView:
        step = view.steps.get(name)
        if step is None:
            step = view.steps[name] = StepView(name=clean(name, 64))
        if isinstance(task_type, str):
            step.type = clean(task_type, 128)
        if isinstance(needs, list):
            step.needs = tuple(clean(need, 64) for need in needs if isinstance(need, str))
        return step

    def task_moved(self, task_id: str, state: TaskState, at: float) -> str | None:
        """Take in that a task is in another state. Returns the run whose step it is of, or None."""
        run_id, dot, rest = task_id.partition(".")
        view = self.all.get(run_id) if dot else None
        if view is None or view.is_over:
            return None
        step = view.steps.get(rest.partition(":")[0].partition(".")[0])
        if step is None:
            return None
        if step.tasks.get(task_id) is not state:
            # Why it was as it was says nothing any more.
            step.tasks[task_id], step.reason = state, ""
        if state not in (TaskState.BLOCKED, TaskState.SKIPPED):
            step.began_at = step.began_at or at
        step.state, view.updated_at = _state(step.last_round), at
        step.ended_at = at if step.state not in ("blocked", RUNNING) else None
        return run_id

    def load(self, rows: list[RunRow], tasks: Mapping[str, TaskView]) -> set[str]:
        """Take what the dispatcher has of runs: it knows best. `tasks` are those that are known."""
        for row in rows:
            view = self._run(row.run_id, row.created_at)
            view.workflow, view.state = clean(row.workflow, 128), clean(row.state, 40)
            view.reason, view.by = clean(row.reason, 1000), clean(row.by, 160)
            view.created_at, view.updated_at, view.ended_at = row.created_at, row.updated_at, row.ended_at
            for told in row.steps:
                step = self._step(view, told.step, told.type, told.needs)
                step.state, step.reason, step.count = clean(told.state, 40), clean(told.reason, 500), told.count
                step.began_at, step.ended_at = told.began_at, told.ended_at
                step.ids = tuple(clean(task_id, 128) for task_id in told.tasks) or step.ids
                step.tasks.update({task_id: tasks[task_id].state for task_id in step.ids if task_id in tasks})
            self._forget(view)
        return {row.run_id for row in rows if row.run_id in self.all}


def _worth(view: RunView) -> int:
    """Return how long it is worth keeping: least one that nobody took, for anybody may ask for runs."""
    return 0 if view.state in (ASKED, REJECTED) else 1 if view.is_over else 2


def _state(states: list[TaskState]) -> str:
    """A step's state, as far as its tasks of the newest round tell it."""
    if any(state not in ENDED and state is not TaskState.BLOCKED for state in states):
        return RUNNING
    if TaskState.BLOCKED in states:
        return "blocked"
    bad = [state for state in states if state in _BAD]
    if bad:
        return "cancelled" if set(bad) == {TaskState.CANCELLED} else "failed"
    return "skipped" if TaskState.SKIPPED in states else "complete"


def _round(task_id: str) -> int:
    number = task_id.partition(":")[2]
    return int(number) if number.isdecimal() else 1
