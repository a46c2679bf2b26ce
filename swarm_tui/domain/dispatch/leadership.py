"""Who leads: this dispatcher, or one that began after it. Pure."""

from swarm_tui.domain.dispatch.model import LinkUp
from swarm_tui.protocol.bodies import Dispatcher
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

#: An epoch that is no dispatcher's: nothing could follow it.
MOST_EPOCH = 2**53
#: What is said again anyway is not kept, and no more than so many of the rest.
_FLEETING = frozenset({Kind.HEARTBEAT, Kind.TASK_PROGRESS})
MOST_KEPT = 10_000


class Leadership:
    """One dispatcher's time in the lead.

    After a break of its connection, or a sleep of its own, it is in doubt: another may have been brought up elsewhere
    meanwhile, with the journal as it was then. What it accepted or gave away now would be known to nobody. So all that
    it hears is kept until it knows what the topic retains. Where that names a newer one, though one that is away, it
    acts no more.
    """

    def __init__(self, instance: str, epoch: int) -> None:
        self.instance, self.epoch = instance, epoch
        self.over = ""
        """Why its time is over; empty until it is."""
        self.newer: Dispatcher | None = None
        """The one that led meanwhile and is away."""
        self.doubts = False
        self.unkept = 0
        """How many messages came in its last doubts that were too many to keep."""
        self._looked = False
        self._kept: list[Event | LinkUp] = []

    def doubt(self, *first: LinkUp) -> None:
        """Another may lead: keep what comes, after `first`, until what is retained was heard once more."""
        self.unkept = self.unkept if self.doubts else 0
        self.doubts, self._looked = True, False
        self._kept.extend(first)

    def sift(self, event: Event, *, marked: bool) -> list[Event | LinkUp]:
        """What may be acted on now that this was heard; `marked`: what is retained was heard before it."""
        if event.kind is Kind.DISPATCHER:
            self._hear(event.body if isinstance(event.body, Dispatcher) else None)
        elif not self.doubts:
            return [event]
        elif event.kind not in _FLEETING:
            if len(self._kept) < MOST_KEPT:
                self._kept.append(event)
            else:
                self.unkept += 1
        self._looked = self._looked or marked
        if not self.doubts or not self._looked or self.newer is not None:
            return []
        self.doubts = False
        kept, self._kept = self._kept, []
        return kept

    def _hear(self, body: Dispatcher | None) -> None:
        # What is older says nothing: it may come late, over the other of two connections.
        if body is None:
            if self.newer is not None:
                self.over = f"{self.newer.instance} led meanwhile, and left"
        elif self._is_newer(body):
            if body.online:
                self.over = f"{body.instance} leads with epoch {body.epoch}"
            if self.doubts:
                self.newer = body

    def _is_newer(self, body: Dispatcher) -> bool:
        # Two that began at once may have the same epoch: they agree on which of them goes.
        return body.epoch < MOST_EPOCH and (body.epoch, body.instance) > (self.epoch, self.instance)
