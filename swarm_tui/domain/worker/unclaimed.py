"""Tasks without a dispatcher: a free agent claims what it hears, and the first claim heard decides."""

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

from msgspec import Struct

from swarm_tui.protocol.bodies import Task

#: Open tasks remembered, and ended ones: the oldest are forgotten.
REMEMBERED = 10_000
#: Seconds after which a claim that was never heard back is void.
CLAIM_LIFE = 10.0
_RANKS = ("high", "medium", "low")
#: Tasks looked at in one queue for one that this worker may take.
_LOOKED_AT = 256


class OpenTask(Struct, kw_only=True):
    """A task that nobody claimed yet. Times are the worker's own, monotonic seconds."""

    task: Task
    ready: float
    expires: float | None = None


class Unclaimed:
    """The tasks that are anybody's, and the claims of this worker that have not come back yet.

    Tasks wait in one queue a priority, oldest first, so that the next is found without a search.
    """

    def __init__(self) -> None:
        self.pending: dict[str, tuple[Task, float]] = {}
        self.settled: OrderedDict[str, None] = OrderedDict()
        self._ready: dict[str, OrderedDict[str, OpenTask]] = {rank: OrderedDict() for rank in _RANKS}
        self._later: dict[str, OpenTask] = {}
        self._where: OrderedDict[str, dict[str, OpenTask]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._where)

    def hear(self, task: Task, now: float, wall: float) -> bool:
        """Remember a task; False when it is already spoken for. `wall` is the time of day at `now`."""
        if task.task_id in self.settled:
            return False
        if task.needs:
            # Only a dispatcher knows of others' ends for sure: it waits for one.
            return True
        if task.task_id not in self._where and task.task_id not in self.pending:
            delay = max(0.0, task.not_before - wall) if task.not_before else 0.0
            expires = now + task.expires_at - wall if task.expires_at else None
            entry = OpenTask(task=task, ready=now + delay, expires=expires)
            self._put(entry, self._later if delay else self._ready[task.priority])
            if len(self._where) > REMEMBERED:
                self._drop(next(iter(self._where)))
        return True

    def choose(self, now: float, able: Callable[[Task], bool]) -> Task | None:
        """Take the best open task that is ready and that `able` allows; it becomes a pending claim."""
        for entry in [entry for entry in self._later.values() if entry.ready <= now]:
            self._drop(entry.task.task_id)
            self._put(entry, self._ready[entry.task.priority])
        for rank in _RANKS:
            for task_id, entry in list(islice(self._ready[rank].items(), _LOOKED_AT)):
                if entry.expires is not None and entry.expires <= now:
                    self._drop(task_id)
                elif able(entry.task):
                    self._drop(task_id)
                    self.pending[task_id] = (entry.task, now)
                    return entry.task
        return None

    def echo(self, task_id: str, mine: bool) -> Task | None:
        """Hear a claim: nobody may claim that task any more. Returns the task when this worker has won it."""
        claimed = self.pending.pop(task_id, None)
        self.settle(task_id)
        return claimed[0] if mine and claimed is not None else None

    def settle(self, task_id: str) -> None:
        """Let go of a task that is claimed, ended or in a dispatcher's hands."""
        self._drop(task_id)
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
        """Forget all: a dispatcher is there, and nothing is anybody's."""
        for queue in self._ready.values():
            queue.clear()
        self._later.clear()
        self._where.clear()
        self.pending.clear()

    def wake(self, now: float) -> float | None:
        """Return when something changes by itself next; None when nothing will."""
        times = [since + CLAIM_LIFE for _, since in self.pending.values()]
        times += [entry.ready for entry in self._later.values()]
        return min(times, default=None)

    def _put(self, entry: OpenTask, into: dict[str, OpenTask]) -> None:
        into[entry.task.task_id] = entry
        self._where[entry.task.task_id] = into

    def _drop(self, task_id: str) -> None:
        into = self._where.pop(task_id, None)
        if into is not None:
            del into[task_id]
