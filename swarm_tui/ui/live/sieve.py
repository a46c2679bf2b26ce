"""A queue of what came: in a flood, of progress and heartbeats the last of each task and agent is read."""

import re
import time
from collections import deque
from collections.abc import Callable, Hashable

from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.source import MOST, Item, Unread

#: Of what is read late: so many at once, and so many seconds between two times.
LATE, LATE_EVERY = 500, 0.09
#: How much of a flood one look goes through.
SIFTED = 50_000
_TASK = re.compile(rb'"task_?[iI]d" ?: ?"([^"\\]{1,160})"')
_AGENT = re.compile(rb'"agent_?[iI]d" ?: ?"([^"\\]{1,160})"')
#: What the next word of a task does not say again.
_TOLD_ONCE = re.compile(rb'"usage" ?: ?\{ ?"|"session" ?: ?"[^"]|"turn" ?: ?[1-9]')
Raw = tuple[Kind, str, bytes, float]


class Sieve:
    """Raw messages and events in order; `read` makes an event of a raw one. One thread puts, another takes.

    A later progress of a task says all that an earlier one said, and so does an agent's heartbeat. Where more waits
    than one look reads, the earlier ones are counted and not read, and the last ones some at a time.
    """

    def __init__(self, read: Callable[[str, bytes, float], Event | Rejected | None]) -> None:
        self._read = read
        self._items: deque[Item | Raw] = deque()
        self._late: dict[Hashable, Raw] = {}
        self._late_by = 0.0

    def put(self, item: Item | Raw) -> None:
        """Take what came."""
        self._items.append(item)

    def waiting(self) -> bool:
        """Tell whether there is something to take now."""
        return bool(self._items) or (bool(self._late) and time.monotonic() >= self._late_by)

    def take(self) -> list[Item]:
        """Return what came, in order, at most `MOST`; what was not read of it as counts."""
        if len(self._items) <= MOST and not self._late:
            taken = [self._items.popleft() for _ in range(len(self._items))]
            return [found for item in taken if (found := self._as_item(item)) is not None]
        return self._sift()

    def _as_item(self, item: Item | Raw) -> Item | None:
        return self._read(*item[1:]) if isinstance(item, tuple) else item

    def _sift(self) -> list[Item]:
        out: list[Item] = []
        unread: dict[Kind, int] = {}
        for _ in range(min(len(self._items), SIFTED)):
            if len(out) >= MOST:
                break
            item = self._items.popleft()
            if not isinstance(item, tuple):
                out += self._late_of(item)
                out.append(item)
            elif (name := _about(item)) is None:
                out += self._read_all([item])
            elif (before := self._late.get(name)) is not None and not _TOLD_ONCE.search(before[2]):
                self._late[name] = item  # In its place: each comes to its turn.
                unread[item[0]] = unread.get(item[0], 0) + 1
            else:
                out += self._read_all([] if before is None else [before])
                self._late[name] = item
        now = time.monotonic()
        if now >= self._late_by:
            self._late_by = now + LATE_EVERY
            first = [name for name, _ in zip(self._late, range(LATE), strict=False)]
            out += self._read_all([self._late.pop(name) for name in first])
        return [*(Unread(kind=kind, count=count) for kind, count in unread.items()), *out]

    def _late_of(self, item: Item) -> list[Item]:
        """Return what is to be read late of the same task: it came before this."""
        task_id = getattr(item.body, "task_id", None) if isinstance(item, Event) else None
        late = self._late.pop((Kind.TASK_PROGRESS, task_id.encode()), None) if isinstance(task_id, str) else None
        return [] if late is None else self._read_all([late])

    def _read_all(self, raws: list[Raw]) -> list[Item]:
        return [found for raw in raws if (found := self._read(*raw[1:])) is not None]


def _about(raw: Raw) -> Hashable | None:
    """Return whose progress or heartbeat it is; None where that is not plain."""
    found = (_TASK if raw[0] is Kind.TASK_PROGRESS else _AGENT).search(raw[2])
    return None if found is None else (raw[0], found[1])
