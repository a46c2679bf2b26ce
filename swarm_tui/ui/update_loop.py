"""The update loop: what came is folded into the model, and drawn, when somebody would see it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from textual.app import App

from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.alarms import Alarms
from swarm_tui.ui.desk.capabilities import ShowsPanes
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.live.past import ask_past, ask_usage
from swarm_tui.ui.model.here import is_down
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.model.restarts import UnwantedExits
from swarm_tui.ui.model.saved_state import StateFile
from swarm_tui.ui.navigator import Navigator
from swarm_tui.ui.screens.main import MainScreen

PAUSE = 0.1
"""Seconds between two looks at least, and between two drawings while more waits than one look takes."""


FRAME = 0.5
"""Seconds between two drawings of what the swarm does: a first change shows at once, and no eye follows more."""


TICK = 1.0
"""Seconds between two drawings of what changes as time passes."""


SOON = 0.01
"""Seconds by which a timer may be early."""


NEAR = 0.15
"""Seconds by which a drawing moves to be one with a tick's."""


_DOWN = "{} was brought down; all is as it was"
#: Seconds between two questions for the day's usage.
USAGE_EVERY = 4


class UpdateLoop:
    """Folds what the source has into the model, and tells the open screens.

    It sleeps as much as it can: each waking costs as much as what is done in it.
    """

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tells = False
        """Whether the source tells when something comes."""
        self._planned: asyncio.TimerHandle | None = None
        """The next look, where one is planned."""
        self._next_tick = 0.0
        self._resting = False
        """Whether only an arrival brings the next look."""
        self._came = self._hurried = False
        """Whether something was told of since the last look, and what may not wait."""
        self._ticked = self._drawn = self._looked = 0.0
        self._usage_asked: tuple[int, int] = (0, 0)
        """What was told of usage, and the day, when the day's sum was asked for last."""
        self._link_changes = 0
        """The changes of the link that were told of."""

    # When it looks.

    def begin(self) -> None:
        """Look when something came, where the source tells, and let each second pass."""
        self._loop, self._context = asyncio.get_running_loop(), copy_context()
        self._tells = self._desk.source.on_arrival(self._arrived)
        self._next_tick = self._loop.time() + TICK
        self._call(self._next_tick, self._pass)
        self._at(0.0)

    def _call(self, when: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call it then as a timer of Textual's would, of which each costs as much as what is done here."""
        assert self._loop is not None

        def guarded() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the loop would only log it
                self._app._handle_exception(error)

        return self._loop.call_at(when, guarded, context=self._context)

    def _arrived(self, urgent: bool = False) -> None:
        """Have it looked at, on whatever thread; what is not `urgent` waits for the next drawing."""
        self._came = True
        if (self._resting or (urgent and not self._hurried)) and self._loop is not None:
            self._resting, self._hurried = False, urgent
            with suppress(RuntimeError):  # The screen has ended.
                self._loop.call_soon_threadsafe(self._wake, context=self._context)

    def _wake(self) -> None:
        now = time.monotonic()
        self._at(self._looked + PAUSE if self._hurried else max(now + PAUSE, self._drawn + FRAME))

    def _at(self, when: float) -> None:
        """Look then, or sooner where that is planned."""
        if self._planned is None or when < self._planned.when():
            if self._planned is not None:
                self._planned.cancel()
            self._planned = self._call(when, self.look)

    def _pass(self) -> None:
        """Let a second pass, and draw what it brings with all that came."""
        if self._app._exit:
            return
        now = time.monotonic()
        self._next_tick = max(self._next_tick + TICK, now)
        self._call(self._next_tick, self._pass)
        if self._app.is_running:
            if not self._resting or self._desk.source.waiting():
                if self._planned is not None:
                    self._planned.cancel()
                self._take_in(self.drain)
            self.tick()

    def look(self) -> None:
        """Take in what came, and draw it unless something was drawn a moment ago and it can wait."""
        if self._app.is_running and not self._app._exit:
            self._take_in(self.drain if self._hurried else self._look)

    def _take_in(self, take: Callable[[], None]) -> None:
        """Do it, and plan the next look: none where nothing was told of since the last one."""
        came = self._came
        self._planned, self._came, self._hurried = None, False, False
        self._resting = True  # Before the look, so that what comes during it is told of.
        self._looked = now = time.monotonic()
        take()
        if self._loop is None:
            return
        if not self._tells:
            self._at(now + PAUSE)
        elif came or self._undrawn or self._desk.source.waiting():
            self._resting = False
            when = max(now + PAUSE, self._drawn + FRAME)
            if abs(when - self._next_tick) > NEAR:
                self._at(when)

    # What it does.

    def _look(self) -> None:
        """Take in what came, and draw it in time."""
        if time.monotonic() - self._drawn < FRAME - SOON and self._main.is_mounted:
            asked = set(self._desk.model.live.asks.open)
            if (delta := self.fold()) is not None:
                self._undrawn.add(delta)
            # Whoever asks is not kept waiting for a frame.
            if not self._desk.source.waiting() and self._desk.model.live.asks.open.keys() <= asked:
                return
        self.drain()

    def drain(self) -> None:
        """Take in what came since the last look, and draw what it changed."""
        if not self._main.is_mounted:
            return  # What has come waits for the widgets that show it.
        delta, more = self.fold(), self._desk.source.waiting()
        if delta is not None:
            self._undrawn.add(delta)
        if more and not self._due:
            self._due = self._app.call_later(self._rest)  # After the keys that were pressed meanwhile.
        if more and time.monotonic() - self._drawn < PAUSE:
            return
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
        self._look_here()
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

    def _look_here(self) -> None:
        """Take what this host tells of the swarm, and say what is news."""
        desk = self._desk
        if not desk.model.look_here(desk.source.look_here()):
            return
        if is_down(desk.model.here, desk.model.live):
            desk.say(_DOWN.format(desk.model.swarm))
        if self._navigator.front is not None:
            self._navigator.front.renew_alerts()

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
        elif is_down(desk.model.here, fleet):
            desk.say(_DOWN.format(desk.model.swarm))
        elif not fleet.broker_up:
            desk.say(f"the broker is lost: {fleet.broker_reason or 'the connection ended'}; all is as it was", bad=True)
        if fleet.broker_up:
            ask_past(desk)
