"""The leader as a worker knows it, and when a change is worth telling. Pure; `now` is monotonic seconds."""

from enum import StrEnum

from swarm_tui.domain.worker.actions import Note
from swarm_tui.protocol.bodies import Dispatcher

#: Seconds that a change of leader must last before it is told: at a start it comes and goes.
TELL_AFTER = 1.0


class Leader(StrEnum):
    """The giver of tasks: `unknown` until the retained `dispatcher` had its chance to be heard."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    AWAY = "away"
    NONE = "none"


_TELL = {
    Leader.ONLINE: "a dispatcher leads: it gives the tasks out",
    Leader.AWAY: "the dispatcher is away: nobody takes a task until it is back",
    Leader.NONE: "no dispatcher: the first claim heard takes a task",
}


def leader_of(body: Dispatcher) -> Leader:
    """Read the retained `dispatcher`."""
    return Leader.ONLINE if body.online else Leader.AWAY


class LeaderWatch:
    """The leader now, and what of it was told."""

    def __init__(self) -> None:
        self.now = Leader.UNKNOWN
        self.tell_at: float | None = None
        self._told: Leader | None = None

    def turn(self, leader: Leader, now: float) -> Leader:
        """Take in that somebody else leads, or nobody. Returns who led before."""
        before, self.now = self.now, leader
        if leader is not before:
            self.tell_at = now + TELL_AFTER
        return before

    def lose(self) -> None:
        """Take in that the link is gone: nobody knows who leads, and there is nothing to tell of it."""
        self.now = Leader.UNKNOWN

    def tell(self, now: float) -> list[Note]:
        """Say who gives the tasks out, once it has settled."""
        if self.tell_at is None or now < self.tell_at:
            return []
        self.tell_at = None
        if self.now is self._told or self.now is Leader.UNKNOWN:
            return []
        self._told = self.now
        return [Note(_TELL[self.now])]
