"""The base of all screens: keys from the registry, a footer, a line to type in."""

from collections.abc import Callable
from typing import Any, TypeVar

from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.model import Delta, Model
from swarm_tui.ui.widgets.alert_strip import AlertStrip
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.prompt import Complete, Prompt

W = TypeVar("W", bound=Widget)


class SwarmScreen(Screen[Any]):
    """A screen of ours. `SCOPE` is its name in the registry; what more it can do it says by its capabilities."""

    SCOPE = "message"
    PAGE = ""
    """The name of the act that opens it, where that would only open it again."""
    AUTO_FOCUS = ""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._by_kind: dict[type[Widget], list[Any]] = {}
        for key in self.keys():
            self._bindings.key_to_bindings[key] = [Binding(key, f"press('{key}')", show=False)]

    # What a subclass may say.

    def keys(self) -> list[str]:
        """Return the keys that go to the registry: all, so that one without effect here can say so."""
        return list(self.desk.registry.bound())

    @property
    def scope(self) -> str:
        """Return where the user is, as the registry names it."""
        return self.SCOPE

    @property
    def lines(self) -> Lines | None:
        """Return the list that the movement keys move."""
        focused = self.focused
        return focused if isinstance(focused, Lines) else next(iter(self.query(Lines)), None)

    def take(self, delta: Delta, now: float) -> None:
        """Draw what changed in the model."""

    def tick(self, now: float) -> None:
        """Let a second pass."""

    def on_top(self, now: float) -> None:
        """Show what is so now: the screen is on top, or will be at once."""
        for lines in self.query(Lines):
            lines.redraw()
        self.tick(now)

    def back(self) -> None:
        """Go back."""
        self.desk.pages.close()

    # Shared.

    def told(self, act: str) -> str:
        """Return the key of an act, for a sentence."""
        return self.desk.registry.told(act)

    @property
    def model(self) -> Model:
        """Return the facts that the screen shows."""
        return self.desk.model

    def context(self) -> Context:
        """Return what an act would be about now."""
        return Context(self.desk, self)

    def action_press(self, key: str) -> None:
        """Do the act of a key that the registry knows."""
        action = self.desk.registry.pick(key, self.scope)
        if action is not None:
            self.press(action)

    def press(self, action: Action) -> None:
        """Do the act of a key that was pressed."""
        self.desk.perform(action, self.context())

    def act(self, name: str) -> None:
        """Do an act by its name, as its key would."""
        self.desk.perform(self.desk.registry.actions[name], self.context())

    def ask(self, label: str, text: str, done: Callable[[str], None], typed: Callable[[str], None] | None = None,
            left: Callable[[], None] | None = None, complete: Complete | None = None,
            hint: str = "") -> None:  # fmt: skip
        """Let the user type a line at the bottom. `typed` hears each change, `left` that they gave up.

        `hint` shows while nothing is typed.
        """
        prompts = self.query(Prompt)
        if prompts:
            prompts.first().ask(label, text, done, typed, left, complete, hint)

    def ask_command(self) -> None:
        """Let the user type a command."""
        from swarm_tui.ui.input.command import run_command
        from swarm_tui.ui.input.completion import complete

        desk = self.desk
        self.ask(
            ":",
            "",
            lambda text: run_command(desk, text),
            complete=lambda text: complete(desk, text),
            hint="an act, and whom it is to take: drain docs-01; tab completes",
        )

    def renew_footer(self) -> None:
        """Draw anew what the keys do."""
        for footer in self._all(Footer):
            footer.renew()

    def renew_alerts(self) -> None:
        """Say what is wrong with the swarm as a whole."""
        for strip in self._all(AlertStrip):
            strip.show()

    def _all(self, kind: type[W]) -> list[W]:
        """Return the widgets of that kind, which are looked for when the screen's are there, and not again."""
        if not self.is_mounted:
            return list(self.query(kind))
        if kind not in self._by_kind:
            self._by_kind[kind] = list(self.query(kind))
        return self._by_kind[kind]

    def on_lines_moved(self, event: Lines.Moved) -> None:
        if event.lines is self.lines:
            self.renew_footer()

    def on_lines_opened(self) -> None:
        self.act("open")

    def on_descendant_focus(self) -> None:
        self.renew_footer()

    def on_screen_resume(self) -> None:
        self.desk.panes.watch()
        self.on_top(self.model.clock())
        self.renew_footer()
