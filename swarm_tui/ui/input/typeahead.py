"""Keys act in the order in which they were typed, also those typed before what they are for has opened."""

from collections import deque
from typing import TYPE_CHECKING

from textual.events import Event, Key
from textual.timer import Timer

from swarm_tui.ui.widgets.lines import Lines

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp

PATIENCE = 2.0
"""Seconds after which held keys go on although nobody said that they may: none is lost, whatever failed."""


class TypeAhead:
    """Mixed into the app.

    Textual hands a key to the widget that has the focus and lets it climb from there, a queue a step, before a screen's
    binding acts. Over a slow line many keys come at once: those after `n` would go to the list below the form.
    """

    _held: deque[Key] | None = None
    _late: deque[Key]
    _patience: Timer | None = None

    async def on_event(self: "SwarmApp", event: Event) -> None:  # type: ignore[misc]
        if isinstance(event, Key) and not event.is_forwarded and self._took(event):
            return
        await super().on_event(event)

    @property
    def holding(self) -> bool:
        """Whether something opens that the next keys are for."""
        return self._held is not None

    def hold(self: "SwarmApp") -> None:  # type: ignore[misc]
        """What has begun changes where keys go: keep them until `release`."""
        if self._held is None:
            self._held, self._late = deque(), deque()
            self._patience = self.set_timer(PATIENCE, self.release)

    def hold_late(self, event: Key) -> None:
        """Keep a key that had been handed to a widget already: it was typed before all that are held here."""
        self._late.append(Key(event.key, event.character))

    def release(self: "SwarmApp") -> None:  # type: ignore[misc]
        """Keys may go on: first those that were held."""
        if self._held is None:
            return
        if self._patience is not None:
            self._patience.stop()
        keys, self._held = [*self._late, *self._held], None
        for key in keys:
            if not self._took(key):
                (self.focused or self.screen)._forward_event(key)

    def _took(self: "SwarmApp", key: Key) -> bool:  # type: ignore[misc]
        """Whether the key is held, or was an act of the screen in front and is done."""
        if self._held is not None:
            self._held.append(key)
            return True
        screen = self.screen
        writing = self.focused is not None and not isinstance(self.focused, Lines)
        if writing or screen is not self.front or self.registry.pick(key.key, self.front.scope) is None:
            return False
        self.front.action_press(key.key)
        return True
