"""The update loop: what came is folded into the model, and drawn, ten times a second."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.timer import Timer

from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.alarms import Alarms
from swarm_tui.ui.desk.capabilities import ShowsPanes
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.live.past import ask_past, ask_usage
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.model.restarts import UnwantedExits
from swarm_tui.ui.model.saved_state import StateFile
from swarm_tui.ui.navigator import Navigator
from swarm_tui.ui.screens.main import MainScreen

PAUSE = 0.1
"""Seconds between two drawings while more waits than one look takes."""


FRAME = 0.5
"""Seconds between two drawings of what the swarm does: a first change shows at once, and no eye follows more."""


#: Seconds between two questions for the day's usage.
USAGE_EVERY = 4


class UpdateLoop:
    """Folds what the source has into the model, and tells the open screens."""

    def __init__(
        self, app: App[Any], desk: Desk, main: MainScreen, navigator: Navigator, alarms: Alarms, file: StateFile
    ) -> None:
        self._app = app
        self._desk = desk
        self._main = main
        self._navigator = navigator
        self._alarms = alarms
        self._file = file
        self._exits = UnwantedExits(desk.registry.told)
        self._undrawn = Delta()
        self._due = False
        """Whether another look is due at once."""
        self._timer: Timer | None = None
        self._resting = False
        """Whether only an arrival brings the next look."""
        self._ticked = self._drawn = 0.0
        self._usage_asked: tuple[int, int] = (0, 0)
        """What was told of usage, and the day, when the day's sum was asked for last."""
        self._link_changes = 0
        """The changes of the link that were told of."""

    def look_by(self, timer: Timer) -> None:
        """Look whenever the timer says so; it rests while nothing comes, where the source tells when something does."""
        loop = asyncio.get_running_loop()

        def arrived() -> None:
            if self._resting:
                self._resting = False
                with suppress(RuntimeError):  # The screen has ended.
                    loop.call_soon_threadsafe(timer.reset)

        if self._desk.source.on_arrival(arrived):
            self._timer = timer

    def look(self) -> None:
        """Take in what came, and draw it unless something was drawn a moment ago."""
        if not self._app.is_running:
            return
        self._resting = True  # Before the look, so that what comes during it is told of.
        if self._look():
            self._resting = False
        elif self._timer is not None and self._resting:
            self._timer.pause()

    def _look(self) -> bool:
        """Take in what came, and draw it in time; tell whether there was anything, or is to be drawn."""
        if time.monotonic() - self._drawn < FRAME and self._main.is_mounted:
            asked = set(self._desk.model.live.asks.open)
            if (delta := self.fold()) is not None:
                self._undrawn.add(delta)
            # Whoever asks is not kept waiting for a frame.
            if not self._desk.source.waiting() and self._desk.model.live.asks.open.keys() <= asked:
                return True
        return self.drain()

    def drain(self) -> bool:
        """Take in what came since the last look, and draw what it changed; tell whether there was anything."""
        if not self._main.is_mounted:
            return True  # What has come waits for the widgets that show it.
        delta, more = self.fold(), self._desk.source.waiting()
        if delta is not None:
            self._undrawn.add(delta)
        if more and not self._due:
            self._due = self._app.call_later(self._rest)  # After the keys that were pressed meanwhile.
        if more and time.monotonic() - self._drawn < PAUSE:
            return True
        if self._undrawn or delta is not None:
            self._drawn = time.monotonic()
            changed, self._undrawn = self._undrawn, Delta()
            self.show_changes(changed)
        captured = self._desk.source.panes.changed()
        if captured:
            self._drawn = time.monotonic()
            for screen in self._navigator.screens():
                if isinstance(screen, ShowsPanes):
                    screen.captured(dict(captured))
        return more or delta is not None or bool(captured)

    def _rest(self) -> None:
        self._due = False
        self.drain()

    def fold(self) -> Delta | None:
        """Take in what came, as much as one look may, and draw nothing; what it changed, None when nothing came."""
        items = self._desk.source.take()
        if not items:
            return None
        model = self._desk.model
        delta = model.feed(items, self._desk.clock())
        died = self._exits.update(delta.agents, model.live.agents, self._desk.restarts.awaits)
        if died is not None:
            self._desk.say(died, bad=True)
        return delta

    def keep_up(self, changed: Delta) -> None:
        """Fold all that came, and the time that passed, while another program has the terminal; `changed` notes it."""
        now = self._desk.clock()
        while (delta := self.fold()) is not None:
            changed.add(delta)
        if now - self._ticked >= 1.0:
            self._ticked = now
            changed.add(self._desk.model.tick(now))

    def show_changes(self, delta: Delta) -> None:
        """Draw what changed."""
        now, model = self._desk.clock(), self._desk.model
        for screen in self._navigator.screens():
            screen.take(delta, now)
        if model.link_changes != self._link_changes:
            self._link_changes = model.link_changes
            self._link_changed()
        if delta.header and self._navigator.front is not None:
            self._navigator.front.renew_alerts()
        self._navigator.renew_question()

    def tick(self) -> None:
        """Let a second pass; once the app is leaving there is nothing to draw it on."""
        if not self._app.is_running:
            return
        now, model = self._desk.clock(), self._desk.model
        delta = model.tick(now)
        for screen in self._navigator.screens():
            if delta:
                screen.take(delta, now)
        if model.moment is None:
            self._alarms.update(model.current_problems())
        if (problem := self._file.keep()) is not None:
            self._desk.say(problem, bad=True)
        if (front := self._navigator.front) is not None:
            front.tick(now if model.moment is None else model.clock())
            front.renew_alerts()
            front.renew_footer()
        self._navigator.renew_question()
        self._ask_usage(now)
        if (back := self._desk.restarts.update(model.live.agents, now)) is not None:
            self._desk.say(back[0], bad=back[1])
        source = self._desk.source
        for told, bad in self._desk.sent_mail.update(
            model.live.mails, now, lambda body: source.act(Kind.MESSAGE_NEW, body)
        ):
            self._desk.say(told, bad=bad)

    def _ask_usage(self, now: float) -> None:
        """Ask for the day's usage when it has become another, at most every few seconds."""
        told = (self._desk.model.live.usage_told, int(now // 86_400))
        if self._desk.model.live.broker_up and told != self._usage_asked and int(now) % USAGE_EVERY == 0:
            self._usage_asked = told
            ask_usage(self._desk)

    def _link_changed(self) -> None:
        desk, fleet = self._desk, self._desk.model.live
        self._main.all_changed()
        if fleet.broker_up and desk.model.relinked:
            desk.say("the broker is back; what is below is of now")
        elif desk.model.ended is not None:
            desk.say("the recording ended: all is as it was then")
        elif not fleet.broker_up:
            desk.say(f"the broker is lost: {fleet.broker_reason or 'the connection ended'}; all is as it was", bad=True)
        if fleet.broker_up:
            ask_past(desk)
