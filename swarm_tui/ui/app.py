"""The app: it wires source, model, registry and screens, and does no work of its own."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import Event

from swarm_tui.config.saved_filters import SavedFilters
from swarm_tui.config.user import UserConfig
from swarm_tui.domain.fleet import Fleet
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.desk.act_runner import ActRunner
from swarm_tui.ui.desk.actions import Action, Registry
from swarm_tui.ui.desk.alarms import Alarms
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.keymap import types
from swarm_tui.ui.desk.notices import Notices
from swarm_tui.ui.desk.undo import Undo
from swarm_tui.ui.driver import sleepy
from swarm_tui.ui.input.typeahead import TypeAhead
from swarm_tui.ui.live.attach import Attach
from swarm_tui.ui.live.past import ask_past
from swarm_tui.ui.live.time_travel import TimeTravel
from swarm_tui.ui.live.visible_panes import VisiblePanes
from swarm_tui.ui.look import theme as themes
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.pending_scales import PendingScales
from swarm_tui.ui.model.restarts import AwaitedRestarts
from swarm_tui.ui.model.saved_state import StateFile, load_state
from swarm_tui.ui.model.seen_problems import SeenProblems
from swarm_tui.ui.model.sent_mail import SentMail
from swarm_tui.ui.model.source import Choice, Source
from swarm_tui.ui.model.stream import Stream
from swarm_tui.ui.navigator import Navigator
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.screens.main import MainScreen
from swarm_tui.ui.update_loop import UpdateLoop

SETTLED = (1.0, 15.0)
"""Seconds after which the widgets are there, and after which the past is."""


class SwarmApp(App[int]):
    """The screen of one swarm. `source` is the world, `clock` the time in seconds since the epoch. Where one is to
    `choose`, the page of all swarms, or over all shards, is on top first.

    `notes` are told first. It is the desk that all others know: see `Desk`.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    TITLE = "swarm-tui"
    CSS = "Screen { background: $background; } ModalScreen { background: $background 50%; }"

    def __init__(
        self,
        source: Source,
        *,
        config: UserConfig | None = None,
        notes: Sequence[str] = (),
        state_path: Path | None = None,
        read_only: bool = False,
        can_bring_down: bool = False,
        filters: SavedFilters | None = None,
        choose: Choice = "",
        clock: Callable[[], float] = time.time,
        timers: bool = True,
        known: Fleet | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.source: Source = source
        self.config = config or UserConfig()
        self.state_path = state_path
        self.state = load_state(state_path)
        self._file = StateFile(state_path, self.state)
        self.filters = filters or SavedFilters()
        self.read_only = read_only
        self.can_bring_down = can_bring_down
        self.clock = clock
        self.timers = timers
        panels, swarm = self.config.panels, source.facts.swarm
        stream = Stream(swarm, panels.stream_lines, heartbeats=panels.heartbeats)
        self.model = Model(swarm, clock, stream, recording=source.facts.recording, known=known)
        self.model.live_seen = SeenProblems(self.state.seen)
        self.registry = Registry(ALL, self.config.keys)
        self.registry.notes.extend(notes)
        self._bind_leave()
        self.notices = Notices(clock)
        self.restarts = AwaitedRestarts(self.registry.told, source.facts.restart_within)
        self.sent_mail = SentMail()
        self.scales = PendingScales(self.model.live)
        self.undo = Undo(clock)
        self.down_wanted = False
        self.swarm_wanted: str | None = None
        self._choose = choose
        self.look: ThemeStyles = themes.look(themes.DEFAULT)
        self.pages = Navigator(self, self)
        self.panes = VisiblePanes(self, self.call_later)
        self.typed_keys = TypeAhead(self, self)
        self.time = TimeTravel(self, self._time_turned)
        self._acts = ActRunner(self, self.pages.confirm)
        for each in themes.themes():
            self.register_theme(each)
        chosen = self.state.theme if self.state.theme_over == self.config.theme else None
        self._use_theme(chosen or self.config.theme or themes.DEFAULT)

    # Running.

    def on_mount(self) -> None:
        self.main = MainScreen(self)
        alarms = Alarms(self.model, self._to_terminal, bell=self.config.bell)
        self.updates = UpdateLoop(self, self, self.main, self.pages, alarms, self._file)
        self.attaching = Attach(self, self, self.updates)
        self.push_screen(self.main)
        self.source.start()
        with suppress(ValueError, RuntimeError, NotImplementedError):  # Not on another thread than the main one.
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)
        for note in (*self.registry.notes, *self.filters.read()[1]):
            self.say(note, bad=True)
        if self.timers:
            self.updates.begin()
            gc.set_threshold(20_000, 20, 50)
            for after in SETTLED:  # What stands by then stays, and is up to 0.4 s of each full collection.
                self.set_timer(after, gc.freeze)
        ask_past(self)
        if self._choose:
            (self.pages.open_swarms if self._choose == "swarms" else self.pages.open_shards)()

    def on_unmount(self) -> None:
        self.source.close()
        self._file.keep()

    def _hung_up(self) -> None:
        """End as the signal ends others: the terminal is gone, and a clean exit would wait to draw on it."""
        self._file.keep()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)

    async def on_event(self, event: Event) -> None:
        if not self.typed_keys.takes(event):
            await super().on_event(event)

    def _time_turned(self) -> None:
        """Draw all anew: another moment shows."""
        self.main.time_turned()
        self.panes.watch(anew=True)
        for screen in self.pages.screens():
            screen.on_top(self.model.clock())
            screen.renew_footer()

    @property
    def front(self) -> SwarmScreen | None:
        """Return the screen of ours that is on top."""
        return self.pages.front

    def _to_terminal(self, text: str) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(text)

    # Acts.

    def perform(self, action: Action, context: Context) -> None:
        """Do an act: say why not, ask first, or run it."""
        self._acts.perform(action, context)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell the user, in the last line."""
        self.notices.add(text, bad=bad)
        if self.front is not None and self.is_running:
            self.front.renew_footer()

    def get_driver_class(self) -> type[Driver]:
        return sleepy(super().get_driver_class())

    def copy(self, text: str) -> None:
        """Put the text on the terminal's clipboard."""
        self.copy_to_clipboard(text)
        first, count = text.split("\n", 1)[0].strip(), text.count("\n") + 1
        lines = f"{count} lines, from " if count > 1 else ""
        self.say(f"copied {lines}{first[:60]}{'…' if len(first) > 60 else ''}")

    def pop_screen(self) -> AwaitComplete:
        """Close what is on top; what stood below it shows the time of now in its first frame already."""
        self.pages.before_close()
        return super().pop_screen()

    # Leaving and glyphs.

    def _bind_leave(self) -> None:
        """Let the keys of leaving that are no text work over dialogs and where one types too."""
        self._bindings.key_to_bindings.pop("ctrl+q", None)
        for key in self.registry.keys("leave"):
            if not types(key):
                self._bindings.key_to_bindings[key] = [Binding(key, "leave", show=False, priority=True)]

    def action_leave(self) -> None:
        """Close the screen, whatever has the focus."""
        self.leave()

    def action_help_quit(self) -> None:
        """End nothing by Ctrl-C: say how to leave."""
        self.say(f"{self.registry.told('leave')} leaves; the swarm runs on")

    def why_not_down(self) -> str | None:
        """Return why this screen cannot bring the swarm down."""
        return None if self.can_bring_down else "this swarm was not brought up from here: use swarm-tui down"

    def leave(self, down: bool = False) -> None:
        """Close the screen."""
        self.down_wanted = down
        self.exit(0)

    def open_swarm(self, name: str) -> None:
        """Close the screen, and open that of another swarm."""
        self.swarm_wanted = name
        self.exit(0)

    def next_theme(self) -> None:
        """Take the next set of colours."""
        self.set_theme(themes.NAMES[(themes.NAMES.index(self.theme) + 1) % len(themes.NAMES)])

    def set_theme(self, name: str) -> None:
        """Draw in these colours from now on."""
        self.state.theme, self.state.theme_over = name, self.config.theme
        self._use_theme(name)
        self.say(f"theme: {name}")

    def _use_theme(self, name: str) -> None:
        known = name if name in themes.NAMES else themes.DEFAULT
        self.look = themes.look(known, colour=not self.no_color)
        self.theme = known

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return what our styles use, for a theme that is not ours: Textual's own, before ours is there."""
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
