"""The ended tasks that are still kept, and the counts of those that are not."""

from collections import Counter
from collections.abc import Iterator, Mapping

from swarm_tui.domain.fleet.task_facts import TaskFacts
from swarm_tui.domain.outcome import came_badly
from swarm_tui.domain.states import TaskState

MAX_ENDED = 10_000
LATELY = 3600.0
"""Seconds for which a task that ended is kept, within the bound, however many end."""


class KeptTasks:
    """The ids in the order of their ends. `kept` is how many are kept of those that ended longer ago than `LATELY`."""

    def __init__(self, kept: int) -> None:
        self.ids: dict[str, None] = {}
        self.past: Counter[TaskState] = Counter()
        """In which states those were that are not kept any more."""
        self.past_badly = 0
        """Those of them that had come out badly, by their own verdict."""
        self.past_until = 0.0
        """When the newest of them was last heard of."""
        self._kept = kept

    def too_many(self, tasks: Mapping[str, TaskFacts], now: float) -> Iterator[str]:
        """Yield what to forget, one by one: all beyond the bound, and of what ended long ago all but the newest."""
        while len(self.ids) > min(self._kept, MAX_ENDED):
            first = tasks[next(iter(self.ids))]
            if len(self.ids) <= MAX_ENDED and first.updated_at > now - LATELY:
                return
            self.past[first.state] += 1
            self.past_badly += came_badly(first)
            self.past_until = max(self.past_until, first.updated_at)
            yield first.task_id

    def known_again(self, state: TaskState, at: float, *, badly: bool = False) -> None:
        """Take in that one which is not kept, last heard of at `at`, is told anew: it does not count twice."""
        if at <= self.past_until and self.past[state]:
            self.past[state] -= 1
            self.past_badly -= badly and self.past_badly > 0

    def sort(self, tasks: Mapping[str, TaskFacts]) -> None:
        """Put them in the order of their ends again, after some were loaded."""
        self.ids = dict.fromkeys(sorted(self.ids, key=lambda task_id: tasks[task_id].updated_at))
