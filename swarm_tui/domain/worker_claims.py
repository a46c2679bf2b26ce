"""Tasks without a dispatcher: who is free claims what it hears, and the first claim heard decides."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from msgspec import Struct

from swarm_tui.protocol.bodies import Task

#: Open tasks remembered, and ended ones: the oldest are forgotten.
REMEMBERED = 10_000
#: Seconds after which a claim that was never heard back is void.
CLAIM_LIFE = 10.0
_RANK = {"high": 0, "medium": 1, "low": 2}


class OpenTask(Struct, kw_only=True):
    """A task that nobody claimed yet. Times are the worker's own, monotonic seconds."""

    task: Task
    heard: float
    ready: float
    expires: float | None = None


class Commons:
    """The tasks that are anybody's, and the claims of this worker that have not come back yet."""

    def __init__(self) -> None:
        self.open: OrderedDict[str, OpenTask] = OrderedDict()
        self.pending: dict[str, tuple[OpenTask, float]] = {}
        self.settled: OrderedDict[str, None] = OrderedDict()

    def hear(self, task: Task, now: float, wall: float) -> bool:
        """Remember a task; False when it is already spoken for. `wall` is the time of day at `now`."""
        if task.task_id in self.settled:
            return False
        if task.task_id not in self.open and task.task_id not in self.pending:
            delay = max(0.0, task.not_before - wall) if task.not_before else 0.0
            expires = now + task.expires_at - wall if task.expires_at else None
            self.open[task.task_id] = OpenTask(task=task, heard=now, ready=now + delay, expires=expires)
            while len(self.open) > REMEMBERED:
                self.open.popitem(last=False)
        return True

    def choose(self, now: float, able: Callable[[Task], bool]) -> Task | None:
        """Take the best open task that is ready and that `able` allows; it becomes a pending claim."""
        for task_id in [t for t, entry in self.open.items() if entry.expires is not None and entry.expires <= now]:
            del self.open[task_id]
        entries: Iterable[OpenTask] = (e for e in self.open.values() if e.ready <= now and able(e.task))
        best = min(entries, key=lambda e: (_RANK[e.task.priority], e.heard), default=None)
        if best is None:
            return None
        del self.open[best.task.task_id]
        self.pending[best.task.task_id] = (best, now)
        return best.task

    def echo(self, task_id: str, mine: bool) -> Task | None:
        """A claim was heard: the task, when it is won by this worker; it is nobody's to claim any more."""
        entry = self.pending.pop(task_id, None)
        self.settle(task_id)
        return entry[0].task if mine and entry is not None else None

    def settle(self, task_id: str) -> None:
        """The task is claimed, ended or in a dispatcher's hands."""
        self.open.pop(task_id, None)
        self.pending.pop(task_id, None)
        self.settled[task_id] = None
        self.settled.move_to_end(task_id)
        while len(self.settled) > REMEMBERED:
            self.settled.popitem(last=False)

    def void(self, now: float | None = None) -> list[str]:
        """Drop the claims that were not heard back: all (the link is gone), or those too old at `now`."""
        gone = [t for t, (_, since) in self.pending.items() if now is None or since + CLAIM_LIFE <= now]
        for task_id in gone:
            self.settle(task_id)
        return gone

    def clear(self) -> None:
        """A dispatcher is there: nothing is anybody's."""
        self.open.clear()
        self.pending.clear()

    def wake(self, now: float) -> float | None:
        """When something changes by itself next."""
        times = [since + CLAIM_LIFE for _, since in self.pending.values()]
        times += [entry.ready for entry in self.open.values() if entry.ready > now]
        return min(times, default=None)
