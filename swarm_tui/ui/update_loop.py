"""What came is folded into the model, and drawn: the part of the app that runs ten times a second."""

import time
from typing import TYPE_CHECKING

from swarm_tui.ui.model.model import Delta

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


PAUSE = 0.1
"""Seconds between two drawings while more waits than one look takes."""


class UpdateLoop:
    """Mixed into the app."""

    _undrawn: Delta
    _again = False
    """Whether another look is due at once."""
    _ticked = _drawn = 0.0
    _turns = 0
    """The turns of the link that were told of."""

    def drain(self: "SwarmApp") -> None:  # type: ignore[misc]
        """Take in what came since the last look, and draw what it changed."""
        if not self.main.is_mounted:
            return  # What has come waits for the widgets that show it.
        delta, more = self.fold(), self.source.waiting()
        if delta is not None:
            self._undrawn.add(delta)
        if more and not self._again:
            self._again = self.call_later(self._rest)  # After the keys that were pressed meanwhile.
        if more and time.monotonic() - self._drawn < PAUSE:
            return
        self._drawn = time.monotonic()
        if self._undrawn or delta is not None:
            changed, self._undrawn = self._undrawn, Delta()
            self.show_changes(changed)
        captured = self.source.panes.changed()
        if captured:
            for screen in self.screens_of_ours():
                screen.captured(dict(captured))

    def _rest(self: "SwarmApp") -> None:  # type: ignore[misc]
        self._again = False
        self.drain()

    def fold(self: "SwarmApp") -> Delta | None:  # type: ignore[misc]
        """Take in what came, as much as one look may, and draw nothing; what it changed, None when nothing came."""
        items = self.source.take()
        if not items:
            return None
        delta = self.model.feed(items, self.clock())
        died = self.deaths.hear(delta.agents, self.model.fleet.agents, self.returns.awaits)
        if died is not None:
            self.say(died, bad=True)
        return delta

    def keep_up(self: "SwarmApp", changed: Delta) -> None:  # type: ignore[misc]
        """While another program has the terminal: all that came, and the time that passed; `changed` notes what."""
        now = self.clock()
        while (delta := self.fold()) is not None:
            changed.add(delta)
        if now - self._ticked >= 1.0:
            self._ticked = now
            changed.add(self.model.tick(now))

    def show_changes(self: "SwarmApp", delta: Delta) -> None:  # type: ignore[misc]
        """Draw what changed."""
        now = self.clock()
        for screen in self.screens_of_ours():
            screen.take(delta, now)
        if self.model.link_turns != self._turns:
            self._turns = self.model.link_turns
            self._link_changed()
        if delta.header:
            self.renew_standing()
        self._renew_question()
