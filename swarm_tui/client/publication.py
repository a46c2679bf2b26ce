"""A task on its way, as its publisher sees it."""

import threading
from collections.abc import Callable

from swarm_tui.client.publication_policy import RANK, SETTLED, Record, Stage
from swarm_tui.protocol.bodies import Task


class Publication:
    """A published task. `stage` and `reason` only ever say what was heard; thread-safe.

    `reason` is the refusal's or the giving up's sentence, of `assigned` the agent's id, of `queued` the state when the
    task is not simply in the queue.
    """

    def __init__(self, task: Task, message_id: str, record: Record) -> None:
        self.task = task
        self.task_id = task.task_id
        self.message_id = message_id
        self._record = record
        self._changed = threading.Condition()
        self._listeners: list[Callable[[Publication], None]] = []

    @property
    def stage(self) -> Stage:
        """Return the last stage that was heard of."""
        return self._record.stage

    @property
    def reason(self) -> str:
        """Return the words for the stage; see the class."""
        return self._record.reason

    @property
    def original(self) -> str:
        """Return the id of the task that does the work instead, when the idempotency key was known; else empty."""
        return self._record.original

    @property
    def accepted(self) -> bool:
        """Return whether `tasks/queued` or `tasks/assigned` was heard."""
        return self.stage in (Stage.QUEUED, Stage.ASSIGNED)

    def wait(self, stage: str = Stage.QUEUED, timeout: float | None = None) -> bool:
        """Wait until `stage` or a later one is reached; False after `timeout` seconds, or when it cannot be any more.

        Without a `timeout` it waits as long as it takes.
        """
        wanted = Stage(stage)
        with self._changed:
            self._changed.wait_for(lambda: self._reached(wanted) or self.stage in SETTLED, timeout)
            return self._reached(wanted)

    def _reached(self, wanted: Stage) -> bool:
        return self.stage is wanted or (wanted in RANK and self.stage in RANK and RANK[self.stage] >= RANK[wanted])

    def on_change(self, callback: Callable[["Publication"], None]) -> None:
        """Call back now and at each change of `stage`, on the thread that learned of it; it must not block."""
        with self._changed:
            self._listeners.append(callback)
        callback(self)

    def _update(self, record: Record) -> list[Callable[["Publication"], None]]:
        """Take the new record; whom to tell."""
        with self._changed:
            changed = record.stage is not self._record.stage
            self._record = record
            if not changed:
                return []
            self._changed.notify_all()
            return list(self._listeners)
