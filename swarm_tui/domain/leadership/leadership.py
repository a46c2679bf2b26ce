"""A dispatcher's way to the lead, its time in it, and its end. Pure; `now` is monotonic seconds."""

import math
from collections.abc import Callable, Iterable
from enum import StrEnum

from swarm_tui.domain.dispatch.core import OWN_SLEEP
from swarm_tui.domain.dispatch.model import LinkDown, LinkUp
from swarm_tui.domain.leadership.actions import (
    Action,
    Complain,
    Lead,
    LeaveSession,
    LookAgain,
    Note,
    OpenSession,
    Pass,
    RepeatHalt,
    Say,
    StandDown,
    TakeBack,
    WriteEpoch,
)
from swarm_tui.protocol.bodies import Dispatcher, Inbox
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind

#: An epoch that is no dispatcher's: nothing could follow it.
MOST_EPOCH = 2**53
#: Seconds after which a word to ourselves that does not come is said again.
MARK_AGAIN = 5.0
#: Seconds between two repeats of a claim that somebody emptied or overwrote.
CLAIM_AGAIN = 1.0
#: Seconds after which one that stands by for a newer one looks again whether that is back: a broker may drop a word.
LOOK_AGAIN = 60.0
#: What is said again anyway is not kept in doubt, and no more than so many of the rest.
_FLEETING = frozenset({Kind.HEARTBEAT, Kind.TASK_PROGRESS})
MOST_KEPT = 10_000
#: Messages of our own that are remembered until the broker brings them back; some may be lost on the way.
MOST_ECHOES = 1000


class Phase(StrEnum):
    """A dispatcher's step on its way to the lead and out of it."""

    LOOKING = "looking"
    """Hears who leads, over a connection of its own; stands by while that is somebody elsewhere."""
    ADOPTING = "adopting"
    """Hears what the broker had kept in the swarm's session, and gives nothing away yet."""
    CLAIMING = "claiming"
    """Its epoch is being written: nobody hears of one that is not, for the next to begin would use it again."""
    LEADING = "leading"
    OVER = "over"
    """Another leads, or it left."""


class Leadership:
    """The lead of one dispatcher, from its first look to its farewell.

    Where it must know that all which was to be heard before now was heard, it says a word to itself, the mark: a broker
    keeps the order on one connection.

    After a break of its connection, or a sleep of its own, it is in doubt: another may have been brought up elsewhere
    meanwhile, with the journal as it was then. What it accepted or gave away now would be known to nobody. So all that
    it hears is kept until it knows what the topic retains. Where that names a newer one, though one that is away, it
    acts no more.
    """

    def __init__(
        self,
        instance: str,
        agent_id: str,
        *,
        written: int = 0,
        take_over: bool = False,
        new_marker: Callable[[], str],
        now: float = 0.0,
    ) -> None:
        """Begin to look.

        `instance` is `<host>/<life>`; `written` the epoch that the journal holds, 0 for none; `take_over` leads though
        somebody elsewhere does.
        """
        self.instance, self.agent_id = instance, agent_id
        self.epoch = 0
        """0 until its turn has come."""
        self.phase = Phase.LOOKING
        self.doubts = False
        self.over = ""
        """Why another leads; empty while none does."""
        self.newer: Dispatcher | None = None
        """The one that led meanwhile and is away."""
        self._written = written
        self._take_over = take_over
        self._new_marker = new_marker
        self._retained: Dispatcher | None = None
        self._highest = 0
        self._stands_by = False
        self._marker = ""
        self._marked = False
        self._mark_due = 0.0
        self._awake = now
        self._looked = False
        self._look_due = 0.0
        self._kept: list[Event | LinkUp | LinkDown] = []
        self._unkept = 0
        self._claimed = -math.inf
        self._claim_due = math.inf

    @property
    def settled(self) -> bool:
        """True while it leads without doubt: all but the kind `dispatcher` may go straight to the engine then."""
        return self.phase is Phase.LEADING and not self.doubts

    def presence(self, *, online: bool, open_tasks: int | None = None) -> Dispatcher:
        """Return what the topic `dispatcher` is to retain of us."""
        return Dispatcher(
            instance=self.instance, epoch=self.epoch, online=online, agent_id=self.agent_id, open=open_tasks
        )

    # What happens.

    def on_link(self, *, up: bool, renewed: bool, now: float) -> list[Action]:
        """Take in that the connection in use is up or down; `renewed`: what is retained comes again on it."""
        if self.phase is Phase.OVER:
            return []
        if self.phase is Phase.LEADING:
            if up:
                return self._doubt(now, LinkUp()) if renewed else [Pass(LinkUp())]
            # What came last was perhaps not acknowledged: who has the session next is given it too. Decided now, it
            # would be said on the next connection, when another may lead that did not take it.
            self._begin_doubt()
            self._marker, self._marked = "", False
            return [TakeBack(), Pass(LinkDown())]
        if self.phase is Phase.CLAIMING and (renewed or not up):
            self.phase = Phase.ADOPTING
        return [self._mark(now)] if up and renewed else []

    def hear(self, event: Event, now: float) -> list[Action]:
        """Take in one message of any kind."""
        if isinstance(event.body, Inbox) and event.body.reason == self._marker != "":
            self._marked = True
        if self.phase is Phase.LOOKING:
            return self._look(event)
        if self.phase in (Phase.ADOPTING, Phase.CLAIMING):
            return self._adopt(event)
        if self.phase is Phase.OVER:
            return []
        return [Pass(event)] if self.settled and event.kind is not Kind.DISPATCHER else self._sift(event, now)

    def tick(self, now: float) -> list[Action]:
        """Take in that time has passed: a pause that was longer than it can be was a sleep of our own process."""
        slept, self._awake = now - self._awake > OWN_SLEEP, now
        if self.phase is Phase.OVER:
            return []
        if slept and self.phase is Phase.LEADING:
            # What waited for us meanwhile may have been another's to take since.
            return self._doubt(now)
        if slept and self._marker:
            self.phase = Phase.ADOPTING if self.phase is Phase.CLAIMING else self.phase
            return [self._mark(now)]
        if self._marker and not self._marked and now >= self._mark_due:
            # A broker may have taken the first before it knew our filters.
            return [self._mark_again(now)]
        if self.newer is not None and now >= self._look_due:
            self._look_due = now + LOOK_AGAIN
            return [LookAgain()]
        return self.contested(now) if now >= self._claim_due else []

    def contested(self, now: float) -> list[Action]:
        """Take in that the topic was emptied or says what is not so: our claim is said again, at most once a second."""
        if not self.settled:
            return []
        if now < self._claimed + CLAIM_AGAIN:
            self._claim_due = self._claimed + CLAIM_AGAIN
            return []
        self._claimed, self._claim_due = now, math.inf
        return [Say(Kind.DISPATCHER, self.presence(online=True))]

    def worked(self, now: float) -> None:
        """Take in that the time until `now` was work of our own, and no sleep."""
        self._awake = now

    def written(self) -> list[Action]:
        """Take in that the epoch is in the journal."""
        if self.phase is not Phase.CLAIMING:
            return []
        self.phase = Phase.LEADING
        return [RepeatHalt(), Say(Kind.DISPATCHER, self.presence(online=True)), Lead(self.epoch)]

    def leave(self, open_tasks: int, *, kept: bool) -> list[Action]:
        """Say farewell: the topic retains nothing of us when no task is open and all is `kept` in the journal.

        An empty message proves nothing, so a word that does comes first.
        """
        leads, self.phase = self.settled, Phase.OVER
        if not leads:
            return []
        gone = Say(Kind.DISPATCHER, self.presence(online=False, open_tasks=open_tasks))
        return [gone, Say(Kind.DISPATCHER, None)] if kept and open_tasks == 0 else [gone]

    # Looking and adopting.

    def _look(self, event: Event) -> list[Action]:
        if event.kind is Kind.DISPATCHER:
            self._retained = event.body if isinstance(event.body, Dispatcher) else None
            if self._retained is not None and self._retained.epoch < MOST_EPOCH:
                # The newest of all that were heard of: the topic may be empty by the time that we begin.
                self._highest = max(self._highest, self._retained.epoch)
        return self._decide()

    def take_over(self) -> list[Action]:
        """Take in that a person wishes us to lead, whoever else does."""
        self._take_over = True
        return self._decide() if self.phase is Phase.LOOKING else []

    def _decide(self) -> list[Action]:
        if not self._marked:
            return []
        leader = self._retained
        if leader is not None and _host(leader.instance) != _host(self.instance) and not self._take_over:
            if self._stands_by:
                return []
            self._stands_by = True
            return [Note(f"standing by: {leader.instance} leads; --take-over would end that")]
        self.epoch = max(self._written, self._highest) + 1
        self.phase = Phase.ADOPTING
        self._marker, self._marked = "", False
        return [OpenSession(self.presence(online=False))]

    def _adopt(self, event: Event) -> list[Action]:
        body = event.body
        if event.kind is Kind.DISPATCHER and isinstance(body, Dispatcher) and body.online and self._is_newer(body):
            return self._stand_down(f"{body.instance} leads with epoch {body.epoch}")
        if self.phase is Phase.ADOPTING and self._marked:
            self.phase = Phase.CLAIMING
            return [Pass(event), WriteEpoch(self.epoch)]
        return [Pass(event)]

    # Leading.

    def _doubt(self, now: float, *first: LinkUp) -> list[Action]:
        """Keep what comes, after `first`, until what is retained was heard once more."""
        self._begin_doubt()
        self._kept.extend(first)
        return [self._mark(now)]

    def _begin_doubt(self) -> None:
        self._unkept = self._unkept if self.doubts else 0
        self.doubts, self._looked = True, False

    def keep(self, items: Iterable[Event | LinkUp | LinkDown]) -> None:
        """Keep what came until it is known who leads, but for what is said again anyway, and no more than so much."""
        for item in items:
            if isinstance(item, Event) and item.kind in _FLEETING:
                continue
            if len(self._kept) < MOST_KEPT:
                self._kept.append(item)
            else:
                self._unkept += 1

    def _sift(self, event: Event, now: float) -> list[Action]:
        waited_for = self.newer
        if event.kind is Kind.DISPATCHER:
            self._hear_of(event.body if isinstance(event.body, Dispatcher) else None)
        else:
            self.keep([event])
        if self.over:
            return self._stand_down(self.over)
        self._looked = self._looked or self._marked
        if self.newer is not None:
            return [] if waited_for is not None else self._stand_by(self.newer, now)
        if self.doubts:
            return self._go_on() if self._looked else []
        told = event.body if isinstance(event.body, Dispatcher) else None
        if event.kind is not Kind.DISPATCHER or (told is not None and self._is_newer(told)):
            return []
        ours = told is not None and (told.instance, told.epoch, told.online) == (self.instance, self.epoch, True)
        return [] if ours else self.contested(now)

    def _hear_of(self, body: Dispatcher | None) -> None:
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

    def _go_on(self) -> list[Action]:
        self.doubts = False
        kept, self._kept = self._kept, []
        lost = [Note(f"{self._unkept:,} messages could not be kept while it was not known who leads")]
        return [
            *(lost if self._unkept else []),
            Complain(""),
            Say(Kind.DISPATCHER, self.presence(online=True)),
            *map(Pass, kept),
        ]

    def _stand_by(self, newer: Dispatcher, now: float) -> list[Action]:
        self._look_due = now + LOOK_AGAIN
        return [
            Complain(f"it does not dispatch: {newer.instance} led after it, with epoch {newer.epoch}"),
            Note(f"standing by: {newer.instance} led meanwhile, with epoch {newer.epoch}, and may come back"),
            # What is said to the swarm waits in its session for who leads next; and our will would take the claim away.
            LeaveSession(),
        ]

    def _stand_down(self, reason: str) -> list[Action]:
        self.phase, self.over = Phase.OVER, reason
        return [StandDown(reason)]

    # The mark.

    def _mark(self, now: float) -> Action:
        # Another each time: an earlier one may come yet.
        self._marker, self._marked = self._new_marker(), False
        return self._mark_again(now)

    def _mark_again(self, now: float) -> Action:
        self._mark_due = now + MARK_AGAIN
        return Say(Kind.INBOX, Inbox(command="ping", reason=self._marker, dispatcher=self.agent_id), key=self.agent_id)


class Echoes:
    """Our own messages that the broker brings back: what says only what we decided need not be read again.

    One thread may add while another takes.
    """

    def __init__(self) -> None:
        self._payloads: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._payloads)

    def add(self, message: Outgoing) -> None:
        """Remember that we said this, among the last thousand."""
        if len(self._payloads) >= MOST_ECHOES:
            self._payloads.clear()
        self._payloads[message.payload] = None

    def take(self, payload: bytes) -> bool:
        """Return whether we said this, and forget it: a second coming of it is another's."""
        if payload not in self._payloads:
            return False
        self._payloads.pop(payload, None)
        return True


def _host(instance: str) -> str:
    return instance.split("/")[0]
