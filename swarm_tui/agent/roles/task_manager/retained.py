"""Keep the swarm's own retained topics free of what counts for nothing: hear of it, and say what belongs there."""

import math

from swarm_tui.agent.roles.task_manager.engine import Engine, Letter
from swarm_tui.domain.dispatch.retained_topics import MINDED, Restored, RetainedTopics, standing
from swarm_tui.protocol.bodies import Cleared, Halt, Inbox
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import is_agent_id
from swarm_tui.protocol.topics import RETAINED, Kind, parse

#: How the topics end that are retained.
_ENDS = tuple("/" + kind.value.rpartition("/")[2] for kind in RETAINED)
#: Topics that are noted between two turns of those on which more came than is read.
MANY = 1000
#: Seconds between two times that all is said again to those who ask, whom nobody knows.
ALL_AGAIN = 1.0


def may_retain(full: str) -> bool:
    """Return whether it looks like a topic that is retained: a glance, for each message that cannot be read."""
    return full.endswith(_ENDS)


class Retained:
    """A dispatcher's part in what the broker retains; all but `overrun` is for one thread at a time."""

    def __init__(self, swarm: str, engine: Engine) -> None:
        self._swarm, self._engine = swarm, engine
        self.topics = RetainedTopics()
        self._overrun: dict[str, None] = {}
        self._tell_all_at: float | None = None
        self._told_all = -math.inf

    def overrun(self, full: str) -> None:
        """Note a topic on which more came than is read; on any thread."""
        if may_retain(full) and len(self._overrun) < MANY:
            self._overrun[full] = None

    def take_overrun(self) -> list[str]:
        """Return the topics that were noted, and forget them."""
        found = list(self._overrun)
        for full in found:
            self._overrun.pop(full, None)
        return found

    def wrong(self, full: str, now: float) -> Kind | None:
        """Mind a topic that may retain what counts for nothing; return its kind, where it is one of the swarm's."""
        address = parse(self._swarm, full)
        if address is None or not is_agent_id(address.key or "-"):
            return None
        self.topics.heard_wrong(address.kind, address.key, now, self._engine.moment().wall)
        return address.kind

    def heard(self, event: Event) -> None:
        """Take in what was said, before it is decided about: its owner has put the topic right, as far as is known."""
        if event.kind in MINDED and not isinstance(event.body, Cleared):
            self.topics.heard_right(event.kind, event.key, event.at if event.proved_by else None)

    def emptied(self, event: Event, now: float) -> None:
        """Take in an empty message, once it was decided about."""
        self.topics.emptied(event.kind, event.key, self._engine.state, now, self._engine.moment().wall)

    def asked(self, now: float) -> None:
        """Take in that somebody asks who is there: all is said again, once for all who ask within a second."""
        if self._tell_all_at is None:
            self._tell_all_at = max(now, self._told_all + ALL_AGAIN)

    def due(self, now: float) -> list[Letter]:
        """Return what is to be said now: in place of what was forged, and to those who asked."""
        letters: list[Letter] = []
        if self.topics.wrong:
            letters = [letter for one in self.topics.look(self._engine.state, now) for letter in self._letters(one)]
        if self._tell_all_at is not None and now >= self._tell_all_at:
            self._told_all, self._tell_all_at = now, None
            letters += self._engine.halt_again()
            for agent_id in sorted(self._engine.state.agents):
                letters += self._letters(Restored(Kind.INBOX, agent_id, Inbox(command="ping")))
        return letters

    def stands(self) -> list[Letter]:
        """Return again the dispatcher's words that stand, for whoever could not judge them."""
        state = self._engine.state
        scales = [(role, standing(state, Kind.SCALE, role)) for role in state.targets]
        words = [letter for role, body in scales for letter in self._letters(Restored(Kind.SCALE, role, body))]
        return [*self._engine.halt_again(), *words]

    def _letters(self, one: Restored) -> list[Letter]:
        if isinstance(one.body, Halt):
            return self._engine.halt_again()
        writer = self._engine.writer
        if one.body is None:
            return [(writer.clear(one.kind, one.key), None)]
        return [(writer.message(one.kind, one.body, one.key), None)]
