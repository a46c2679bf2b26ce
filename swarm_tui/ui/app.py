"""The app: it wires source, model, registry and screens, and does no work of its own."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType

from swarm_tui.config.user import UserConfig
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.desk.actions import Action, Registry
from swarm_tui.ui.desk.alarms import Alarms
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.keymap import types
from swarm_tui.ui.desk.notices import Notices
from swarm_tui.ui.desk.question import Question
from swarm_tui.ui.desk.undo import Undo
from swarm_tui.ui.input.typeahead import TypeAhead
from swarm_tui.ui.live.attach import Attach
from swarm_tui.ui.live.visible_panes import VisiblePanes
from swarm_tui.ui.look import theme as themes
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.model.model import Delta, Model
from swarm_tui.ui.model.pending_scales import PendingScales
from swarm_tui.ui.model.restarts import AwaitedRestarts, UnwantedExits
from swarm_tui.ui.model.saved_state import StateFile, load_state
from swarm_tui.ui.model.source import Source
from swarm_tui.ui.model.stream import Stream
from swarm_tui.ui.model.troubles import Troubles
from swarm_tui.ui.navigator import Navigator
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.screens.dialog import Dialog
from swarm_tui.ui.screens.main import MainScreen
from swarm_tui.ui.update_loop import UpdateLoop
from swarm_tui.ui.widgets.alert_strip import AlertStrip

DRAIN = 0.1
"""Seconds between two looks at what came."""


class SwarmApp(TypeAhead, Navigator, VisiblePanes, UpdateLoop, App[int]):
    """The screen of one swarm. `source` is the world, `clock` the time in seconds since the epoch."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    TITLE = "swarm-tui"
    CSS = "Screen { background: $background; } ModalScreen { background: $background 50%; }"

    def __init__(
        self,
        source: Source,
        *,
        config: UserConfig | None = None,
        state_path: Path | None = None,
        read_only: bool = False,
        can_bring_down: bool = False,
        clock: Callable[[], float] = time.time,
        timers: bool = True,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.source: Source = source
        self.config = config or UserConfig()
        self.state_path = state_path
        self.state = load_state(state_path)
        self._keeper = StateFile(state_path, self.state)
        self.read_only = read_only
        self.can_bring_down = can_bring_down
        self.clock = clock
        self.timers = timers
        panels, swarm = self.config.panels, source.facts.swarm
        stream = Stream(swarm, panels.stream_lines, heartbeats=panels.heartbeats)
        self.model = Model(swarm, clock, stream, recording=source.facts.recording)
        self.model.troubles = Troubles(self.state.seen)
        self.registry = Registry(ALL, self.config.keys)
        self._bind_leave()
        self.notices = Notices(clock)
        self.alarms = Alarms(self.model, self._to_terminal, bell=self.config.bell)
        self.deaths = UnwantedExits(self.registry.told)
        self.returns = AwaitedRestarts(self.registry.told)
        self.undo: Undo = Undo(clock)
        self.attaching: Attach = Attach(self)
        self.down_wanted = False
        self.kept: dict[type[SwarmScreen], Any] = {}
        """The screen of each kind that is mounted and may be closed: mounting another takes several times as long."""
        self.look: ThemeStyles = themes.look(themes.DEFAULT)
        self._undrawn = Delta()
        self.wishes: PendingScales = PendingScales(self.model.fleet)
        for each in themes.themes():
            self.register_theme(each)
        self._use_theme(self.state.theme or self.config.theme or themes.DEFAULT)

    # Running.

    def on_mount(self) -> None:
        self.main = MainScreen(self)
        self.push_screen(self.main)
        self.source.start()
        with suppress(ValueError, RuntimeError, NotImplementedError):  # Not on another thread than the main one.
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)
        for note in self.registry.notes:
            self.say(note, bad=True)
        if self.timers:
            self.set_interval(DRAIN, self.drain)
            self.set_interval(1.0, self.tick)
            self.set_timer(1.0, gc.freeze)  # What stands by then stays, and is 40 ms of each full collection.
        self.load_past()

    def on_unmount(self) -> None:
        self.source.close()
        self._keeper.keep()

    def _hung_up(self) -> None:
        """The terminal is gone: end as the signal ends others, for a clean exit would wait to draw on it."""
        self._keeper.keep()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)

    @property
    def front(self) -> SwarmScreen | None:
        """The screen of ours that is on top."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, SwarmScreen)), None)

    def tick(self) -> None:
        """Let a second pass."""
        now = self.clock()
        delta = self.model.tick(now)
        for screen in self.screens_of_ours():
            if delta:
                screen.take(delta, now)
        self.alarms.hear(self.model.calling())
        if (problem := self._keeper.keep()) is not None:
            self.say(problem, bad=True)
        if self.front is not None:
            self.front.tick(now)
            self.renew_standing()
            self.front.renew_footer()
        self._renew_question()
        if (back := self.returns.hear(self.model.fleet.agents, now)) is not None:
            self.say(back[0], bad=back[1])

    def renew_standing(self) -> None:
        """The page on top says what is wrong with the swarm as a whole."""
        for strip in self.front.query(AlertStrip) if self.front is not None else ():
            strip.show()

    def _renew_question(self) -> None:
        """An open dialog follows the state."""
        if isinstance(self.screen, Dialog):
            self.screen.renew()

    def _to_terminal(self, text: str) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(text)

    def screens_of_ours(self) -> list[SwarmScreen]:
        """All screens of ours that are open, the main one first."""
        return [s for s in self.screen_stack if isinstance(s, SwarmScreen) and s.is_mounted]

    def _link_changed(self) -> None:
        fleet = self.model.fleet
        self.main.all_changed()
        if fleet.broker_up and self.model.again:
            self.say("the broker is back; what is below is of now")
        elif self.model.ended is not None:
            self.say("the recording ended: all is as it was then")
        elif not fleet.broker_up:
            self.say(f"the broker is lost: {fleet.broker_reason or 'the connection ended'}; all is as it was", bad=True)
        if fleet.broker_up:
            self.load_past()

    # Acts.

    def perform(self, action: Action, context: Context) -> None:
        """Do an act: say why not, ask first, or run it."""
        self.notices.clear()
        reason = action.why_not(context)
        if reason is not None:
            self.say(f"{self.registry.told(action.name)}: {reason}", bad=True)
            return
        if action.confirm(context) is None:
            self._run(action, context)
        else:
            self.confirm(Question(action, context), lambda: self._run(action, context))

    def _run(self, action: Action, context: Context) -> None:
        reason = action.why_not(context)
        if reason is not None:
            self.say(reason, bad=True)
            return
        before = self.undo.last
        action.run(context)
        if action.writes and action.name != "undo" and self.undo.last is before:
            self.undo.passed()
        context.screen.renew_footer()

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell the user, in the last line."""
        self.notices.add(text, bad=bad)
        if self.front is not None and self.is_running:
            self.front.renew_footer()

    def copy(self, text: str) -> None:
        """Put the text on the terminal's clipboard."""
        self.copy_to_clipboard(text)
        first, count = text.split("\n", 1)[0].strip(), text.count("\n") + 1
        lines = f"{count} lines, from " if count > 1 else ""
        self.say(f"copied {lines}{first[:60]}{'…' if len(first) > 60 else ''}")

    def pause(self) -> None:
        """Hold the stream, or let it go on."""
        stream = self.model.stream
        self.main.stream.narrow(lambda: stream.pause(not stream.paused))

    def problems(self, context: Context) -> None:
        """Go to what is wrong: only that shows, with the cursor at the worst; again on the main screen: all shows."""
        on = self.screen is not self.main or not self.main.agents.problems
        found = self.model.problems()
        if on and not found:
            self.say("nothing is wrong")
            return
        self.to_main()
        self.main.set_problems(on)
        worst = next((problem for problem in found if self.model.place(problem)), None)
        if on and worst is not None and (where := self.model.place(worst)):
            self.main.lead_to(where)
            if where == "agents":
                self.main.agents.lend(worst.id)
            else:
                self.main.tasks.lend(None)

    def pop_screen(self) -> AwaitComplete:
        """Close what is on top; what stood below it shows the time of now in its first frame already."""
        below = self.screen_stack[-2] if len(self.screen_stack) > 1 else None
        if isinstance(below, SwarmScreen) and below.is_mounted:
            below.on_top(self.model.clock())
        return super().pop_screen()

    def to_main(self) -> None:
        """Close all pages."""
        self.close_down_to(self.main)

    def close_down_to(self, screen: SwarmScreen) -> None:
        """Close what stands over the screen."""
        while self.screen is not screen and len(self.screen_stack) > 1:
            self.pop_screen()

    # Leaving and glyphs.

    def _bind_leave(self) -> None:
        """The keys of leaving that are no text work over dialogs and where one types too."""
        self._bindings.key_to_bindings.pop("ctrl+q", None)
        for key in self.registry.keys("leave"):
            if not types(key):
                self._bindings.key_to_bindings[key] = [Binding(key, "leave", show=False, priority=True)]

    def action_leave(self) -> None:
        """Close the screen, whatever has the focus."""
        self.leave()

    def action_help_quit(self) -> None:
        """Ctrl-C ends nothing here."""
        self.say(f"{self.registry.told('leave')} leaves; the swarm runs on")

    def why_not_down(self) -> str | None:
        """Why this screen cannot bring the swarm down."""
        return None if self.can_bring_down else "this swarm was not brought up from here: use swarm-tui down"

    def leave(self, down: bool = False) -> None:
        """Close the screen."""
        self.down_wanted = down
        self.exit(0)

    def next_theme(self) -> None:
        """The next set of colours."""
        self.set_theme(themes.NAMES[(themes.NAMES.index(self.theme) + 1) % len(themes.NAMES)])

    def set_theme(self, name: str) -> None:
        """These colours from now on."""
        self.state.theme = name
        self._use_theme(name)
        self.say(f"theme: {name}")

    def _use_theme(self, name: str) -> None:
        known = name if name in themes.NAMES else themes.DEFAULT
        self.look = themes.look(known, colour=not self.no_color)
        self.theme = known

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What our styles use, for a theme that is not ours: Textual's own, before ours is there."""
        return {"field": "#1f2834", "field-on": "#2b4a6e", "field-text": "#ffffff"}

    def in_thread(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do what blocks on a thread, and take the outcome on the screen's own."""

        def run() -> None:
            try:
                outcome = work()
            except Exception as error:  # noqa: BLE001 - a failed look must not end the screen
                self.call_later(self.say, f"{type(error).__name__}: {error}", bad=True)
                return
            self.call_later(done, outcome)

        self.run_worker(run, thread=True, exit_on_error=False)
