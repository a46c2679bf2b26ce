"""The queue: a lane for each LaneKey, three buckets a lane; its cost does not grow with its length.

Within a bucket the oldest is also the most urgent, so the best of a lane is the best of its three oldest.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import NamedTuple

from msgspec import Struct, field

AGEING = 300.0
#: Tasks of a bucket that are looked at for one that need not be passed over.
LOOK_BEHIND = 50
#: Entries of tasks that were taken out which a bucket may hold, besides as many as twice its tasks.
MANY_STALE = 1000
LEVEL = {"low": 0, "medium": 1, "high": 2}


class LaneKey(NamedTuple):
    """Whatever tasks of a lane have in common, by which they are given away."""

    task_type: str
    wanted: str
    """The one agent that may do them; empty where any may."""
    asked: bool = False
    """A person had to approve them."""


#: Since when it waits, its number, its id.
Entry = tuple[float, int, str]
Rank = tuple[int, float, int]


class Head(Struct, frozen=True):
    """The next task of a lane; the smallest rank goes first."""

    rank: Rank
    task_id: str


class Lane(Struct):
    """Tasks of one key, by priority and then age."""

    buckets: list[list[Entry]] = field(default_factory=lambda: [[], [], []])
    size: int = 0


class Queue:
    """Tasks that wait for an agent. Times are monotonic."""

    def __init__(self) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self.named: dict[str, set[LaneKey]] = {}
        """Agent to the lanes that name it."""
        self.shared: set[LaneKey] = set()
        self._where: dict[str, tuple[LaneKey, Entry]] = {}

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._where

    def key_of(self, task_id: str) -> LaneKey | None:
        """Return what the task has in common with its lane; None of one that does not wait here."""
        found = self._where.get(task_id)
        return None if found is None else found[0]

    def push(self, task_id: str, key: LaneKey, priority: str, since: float, seq: int) -> int:
        """Let the task wait; `since` is when it began to. Returns how many now wait in its lane."""
        self.remove(task_id)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane()
            if key.wanted:
                self.named.setdefault(key.wanted, set()).add(key)
            else:
                self.shared.add(key)
        entry, bucket = (since, seq, task_id), lane.buckets[LEVEL.get(priority, 1)]
        heappush(bucket, entry)
        lane.size += 1
        self._where[task_id] = (key, entry)
        if len(bucket) > MANY_STALE + 2 * lane.size:
            # Those that were taken out behind one that waits on would be kept as long as it.
            bucket[:] = [one for one in bucket if not self._stale(one)]
            heapify(bucket)
        return lane.size

    def remove(self, task_id: str) -> None:
        """Take the task out, wherever it is; nothing happens when it is not in."""
        found = self._where.pop(task_id, None)
        if found is None:
            return
        key = found[0]
        lane = self.lanes[key]
        lane.size -= 1
        if lane.size == 0:
            del self.lanes[key]
            self.shared.discard(key)
            if key.wanted:
                keys = self.named[key.wanted]
                keys.discard(key)
                if not keys:
                    del self.named[key.wanted]

    def head(self, key: LaneKey, now: float, passed: Callable[[str], bool] | None = None) -> Head | None:
        """Return the lane's next task: priority, one level more for each 5 minutes waited, then age.

        Those that are `passed` over, by id, are left out; so far behind the first as it is worth a look.
        """
        lane = self.lanes.get(key)
        if lane is None:
            return None
        best: Head | None = None
        for level, bucket in enumerate(lane.buckets):
            while bucket and self._stale(bucket[0]):
                heappop(bucket)
            entry = self._first(bucket, passed)
            if entry is not None:
                since, seq, task_id = entry
                rank = (-(level + int(max(0.0, now - since) // AGEING)), since, seq)
                if best is None or rank < best.rank:
                    best = Head(rank, task_id)
        return best

    def _first(self, bucket: list[Entry], passed: Callable[[str], bool] | None) -> Entry | None:
        if passed is None or not bucket:
            return bucket[0] if bucket else None
        ahead = islice(_in_order(bucket), LOOK_BEHIND)
        return next((entry for entry in ahead if not self._stale(entry) and not passed(entry[2])), None)

    def _stale(self, entry: Entry) -> bool:
        found = self._where.get(entry[2])
        return found is None or found[1] != entry

    def by_type(self) -> dict[str, int]:
        """Return how many wait, for each task type."""
        counts: dict[str, int] = {}
        for key, lane in self.lanes.items():
            counts[key.task_type] = counts.get(key.task_type, 0) + lane.size
        return counts


def _in_order(heap: list[Entry]) -> Iterator[Entry]:
    """A heap's entries, the smallest first; only as much is sorted as is asked for."""
    ahead = [(heap[0], 0)] if heap else []
    while ahead:
        entry, at = heappop(ahead)
        yield entry
        for child in (2 * at + 1, 2 * at + 2):
            if child < len(heap):
                heappush(ahead, (heap[child], child))
