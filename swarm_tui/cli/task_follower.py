"""Following one task to its end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from swarm_tui.cli.common import Target
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.views import TaskView

#: How long nothing may be heard before the dispatcher is asked: an end may have been said while we were away.
_ASK_AFTER = 5.0
#: States in which only a person can move the task on.
NEEDS_PERSON = {
    TaskState.AWAITING_APPROVAL: "waits for approval: swarm-tui approve {id}",
    TaskState.HELD: "is held, its outcome is unknown: swarm-tui retry {id}, or swarm-tui cancel {id}",
}


class TaskFollower:
    """A task and the lines that tell how it goes on."""

    def __init__(self, follower: Follower, task_id: str, say: Callable[[str], None] | None) -> None:
        self.follower = follower
        self.operator = follower.operator
        self.task_id = task_id
        self._say = say or (lambda line: None)
        self._said: tuple[Any, ...] = ()

    def wait(self, *, known: bool = False) -> TaskView:
        """Wait for the task's end, however long it takes; `known`: it may have ended before we came."""
        patience = 0.0 if known else _ASK_AFTER
        while True:
            ended = self.follower.wait_for(self._look, patience)
            patience = _ASK_AFTER
            if not ended:
                self.ask()
                ended = self.follower.wait_for(self._look, 0.0)
            if ended:
                # That it ended badly may be heard before why it did.
                if not self.follower.wait_for(self._explained, 1.0):
                    self.ask()
                with self.follower.lock:
                    return self.follower.fleet.tasks[self.task_id]

    def _explained(self) -> bool:
        """Return whether nothing more has to be heard of the ended task. Called under the lock."""
        view = self.follower.fleet.tasks[self.task_id]
        return view.state is TaskState.COMPLETE or bool(view.error or view.reason)

    def ask(self) -> None:
        """Let the dispatcher tell all of the task, its reason too."""
        self.follower.load_tasks("task", {"task_id": self.task_id}, 2.0)

    def _look(self) -> bool:
        """Say what is new; whether the task has ended. Called under the lock."""
        view = self.follower.fleet.tasks.get(self.task_id)
        if view is None:
            return False
        now = (view.state, view.attempt, view.agent_id, view.progress, view.message)
        if now != self._said:
            self._said = now
            self._say(_line(view))
        return view.state in ENDED


def _line(view: TaskView) -> str:
    if view.state in NEEDS_PERSON:
        return f"  {view.task_id} {NEEDS_PERSON[view.state].format(id=view.task_id)}"
    parts = [f"  {view.state}"]
    if view.agent_id:
        parts.append(f"on {view.agent_id}")
    if view.attempt > 1:
        parts.append(f"(attempt {view.attempt})")
    if view.state is TaskState.RUNNING and view.progress is not None:
        parts.append(f"{view.progress:3.0f}% {view.message}".rstrip())
    elif view.state is TaskState.RETRY_WAIT:
        parts.append(view.reason or view.error or "")
    return " ".join(part for part in parts if part)


@contextmanager
def follow_to_end(
    found: Target, task_id: str, say: Callable[[str], None] | None, patience: float = 0.0
) -> Iterator[TaskFollower]:
    """A connection that hears the task from its publishing on; a broker that restarts is waited for.

    Raises Failure (exit 3) when there is none within `patience` seconds.
    """
    with follow(found, patience=patience) as follower:
        yield TaskFollower(follower, task_id, say)
