"""Mend the swarm's own retained topics, where they say what counts for nothing: what is said there instead, and when.

Whoever may write to a topic leaves bytes there for all who come later. They count for nothing, but only their owner's
word or an empty one takes them away: an agent and a host say theirs again by themselves, `halt` and a scale are the
dispatcher's to say, and what belongs to nobody who is there is emptied. A claim to lead is the leadership's.
"""

from msgspec import Struct

from swarm_tui.domain.dispatch.model import State
from swarm_tui.protocol.bodies import Body, Halt, Inbox, Scale
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.topics import RETAINED, Address, Kind

#: Kinds that are minded here.
MINDED = RETAINED - {Kind.DISPATCHER}
#: Seconds that the owner has to speak for itself: an agent hears its own topic, a host speaks each nine seconds.
GRACE = {Kind.STATUS: 2.0, Kind.HOST_STATUS: 20.0}
#: Seconds between two words of ours on one topic, and how many we say a second on all of them: a forger is not shouted
#: down, but outlasted.
AGAIN, AT_ONCE = 1.0, 20
#: Seconds between two requests to an agent that is there, and after how many its topic is emptied all the same.
ASKED_AGAIN, ASKED_MOST = 5.0, 3
#: Seconds after which one that says nothing is not there.
SILENT = 35.0
#: Topics that are kept in mind: what is over is looked at again when the next connection begins.
MOST = 2000


class _Wrong(Struct):
    """A topic that says what it should not: when to act, since which wall time, how often its owner was asked."""

    due: float
    since: float
    asked: int = 0


class Restored(Struct, frozen=True):
    """A word that is to be said in place of it; a body of None empties the topic."""

    kind: Kind
    key: str
    body: Body | None


class RetainedTopics:
    """Minds the topics on which what counts for nothing was heard. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.wrong: dict[Address, _Wrong] = {}
        """Those that are still to be put right."""
        self._said: dict[Address, float] = {}
        self._next, self._left = 0.0, AT_ONCE

    def heard_wrong(self, kind: Kind, key: str, now: float, wall: float) -> None:
        """Take in that the topic may retain what was forged, altered, heard before, or is not readable."""
        where = Address(kind, key)
        if (known := self.wrong.get(where)) is not None:
            known.since = wall
        elif kind in MINDED and len(self.wrong) < MOST:
            due = max(now + GRACE.get(kind, 0.0), self._said.get(where, -AGAIN) + AGAIN)
            self.wrong[where] = _Wrong(due, wall)

    def emptied(self, kind: Kind, key: str, state: State, now: float, wall: float) -> None:
        """Take in an empty message: where a word stands that is ours to say, it is said again."""
        stands = state.halted is not None if kind is Kind.HALT else canonical_role(key) in state.targets
        if kind in (Kind.HALT, Kind.SCALE) and stands:
            self.heard_wrong(kind, key, now, wall)

    def heard_right(self, kind: Kind, key: str, at: float | None) -> None:
        """Take in the owner's own word, `at` by its clock; None of one that nobody proved nor had to.

        What was said before the topic was wrong may be said again by another, who need not have it retained.
        """
        wrong = self.wrong.get(Address(kind, key))
        if wrong is not None and (at is None or at >= wrong.since):
            del self.wrong[Address(kind, key)]

    def look(self, state: State, now: float) -> list[Restored]:
        """Return what is to be said now."""
        if now >= self._next:
            self._next, self._left = now + 1.0, AT_ONCE
            self._said = {where: at for where, at in self._said.items() if now - at < AGAIN}
        due = [where for where, wrong in self.wrong.items() if wrong.due <= now][: self._left]
        self._left -= len(due)
        return [self._restore(where, state, now) for where in due]

    def _restore(self, where: Address, state: State, now: float) -> Restored:
        wrong, kind, key = self.wrong[where], where.kind, where.key
        if kind is Kind.STATUS and wrong.asked < ASKED_MOST and _is_there(state, key, now):
            wrong.asked, wrong.due = wrong.asked + 1, now + ASKED_AGAIN
            return Restored(Kind.INBOX, key, Inbox(command="ping", dispatcher=state.me))
        del self.wrong[where]
        self._said[where] = now
        return Restored(kind, key, standing(state, kind, key))


def standing(state: State, kind: Kind, key: str) -> Body | None:
    """Return the dispatcher's word on a topic as it stands, None where it has none there."""
    if kind is Kind.HALT and state.halted is not None:
        return Halt(reason=state.halted)
    target = state.targets.get(canonical_role(key)) if kind is Kind.SCALE else None
    if target is not None:
        return Scale(desired=target.desired, reason="as it was", pinned=target.pinned or None)
    return None


def _is_there(state: State, agent_id: str, now: float) -> bool:
    record = state.agents.get(agent_id)
    return record is not None and not record.foreign and record.seen is not None and now - record.seen < SILENT
