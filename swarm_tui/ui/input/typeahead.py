"""Keys act in the order in which they were typed, also those typed before what they are for has opened."""

from collections import deque
from typing import Any

from textual.app import App
from textual.events import Event, Key
from textual.timer import Timer

from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.widgets.lines import Lines

HOLD_TIMEOUT = 2.0
"""Seconds after which held keys go on although nobody said that they may: none is lost, whatever failed."""


class TypeAhead:
    """Keys of one app, before Textual has them.

    Textual hands a key to the widget that has the focus and lets it climb from there, a queue a step, before a screen's
    binding acts. Over a slow line many keys come at once: those after `n` would go to the list below the form.
    """

    def __init__(self, app: App[Any], desk: Desk) -> None:
        self._app = app
        self._desk = desk
        self._held: deque[Key] | None = None
        self._late: deque[Key] = deque()
        self.hold_timer: Timer | None = None

    def takes(self, event: Event) -> bool:
        """Tell whether the event was a key that is held now, or an act that is done."""
        return isinstance(event, Key) and not event.is_forwarded and self._took(event)

    @property
    def holding(self) -> bool:
        """Tell whether something opens that the next keys are for."""
        return self._held is not None

    def hold(self) -> None:
        """Keep keys until `release`: what has begun changes where they go."""
        if self._held is None:
            self._held, self._late = deque(), deque()
            self.hold_timer = self._app.set_timer(HOLD_TIMEOUT, self.release)

    def hold_late(self, event: Key) -> None:
        """Keep a key that had been handed to a widget already: it was typed before all that are held here."""
        self._late.append(Key(event.key, event.character))

    def release(self) -> None:
        """Let keys go on: first those that were held."""
        if self._held is None:
            return
        if self.hold_timer is not None:
            self.hold_timer.stop()
        keys, self._held = [*self._late, *self._held], None
        for key in keys:
            if not self._took(key):
                (self._app.focused or self._app.screen)._forward_event(key)

    def _took(self, key: Key) -> bool:
        if self._held is not None:
            self._held.append(key)
            return True
        screen: object = self._app.screen
        front, focused = self._desk.front, self._app.focused
        writing = focused is not None and not isinstance(focused, Lines)
        if writing or front is None or screen is not front:
            return False
        action = self._desk.registry.pick(key.key, front.scope)
        if action is None:
            return False
        front.press(action)
        return True
