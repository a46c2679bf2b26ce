"""What all screens share: keys from the registry, a footer, a line to type in, and what is at hand."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.screen import Screen

from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.model.model import Delta, Model
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


class SwarmScreen(Screen[Any]):
    """A screen of ours. `SCOPE` is its name in the registry."""

    SCOPE = "message"
    PAGE = ""
    """The name of the act that opens it, where that would only open it again."""
    AUTO_FOCUS = ""
    zoomed: str | bool | None = None
    """Whether one part has all the room, or which."""
    only_problems = False
    """Whether it shows only what is wrong."""

    def __init__(self, app: "SwarmApp") -> None:
        super().__init__()
        self.swarm_app = app
        for key in self.keys():
            self._bindings.key_to_bindings[key] = [Binding(key, f"press('{key}')", show=False)]

    # What a subclass may say.

    def keys(self) -> list[str]:
        """The keys that go to the registry: all, so that one without effect here can say so."""
        return list(self.swarm_app.registry.bound())

    @property
    def scope(self) -> str:
        """Where the user is, as the registry names it."""
        return self.SCOPE

    @property
    def lines(self) -> Lines | None:
        """The list that the movement keys move."""
        focused = self.focused
        return focused if isinstance(focused, Lines) else next(iter(self.query(Lines)), None)

    def agent_ids(self) -> list[str]:
        """The agents at hand."""
        return []

    def at_hand(self) -> str | None:
        """The one agent at hand, whatever is marked."""
        return next(iter(self.agent_ids()), None)

    def task_ids(self) -> list[str]:
        """The tasks at hand."""
        return []

    def hidden(self) -> int:
        """How many of the marked do not show."""
        return 0

    def panes(self) -> frozenset[str]:
        """The panes that show now."""
        return frozenset()

    def take(self, delta: Delta, now: float) -> None:
        """The model changed."""

    def tick(self, now: float) -> None:
        """A second went by."""

    def on_top(self, now: float) -> None:
        """It is on top now, or again: show what is so now."""
        for lines in self.query(Lines):
            lines.redraw()
        self.tick(now)

    def captured(self, panes: dict[str, list[str]]) -> None:
        """Panes changed."""

    def back(self) -> None:
        """Go back."""
        self.swarm_app.pop_screen()

    def open(self) -> None:
        """Open what is under the cursor."""

    def why_not_open(self) -> str | None:
        """Why nothing opens here."""
        return None

    def entering(self) -> str | None:
        """What the key of `open` does here, where that is not to open."""
        return None

    def enter(self) -> None:
        """What the key of `open` does."""
        self.open()

    def copy(self) -> None:
        """Copy what is under the cursor."""

    def copies(self) -> bool:
        """Whether what is under the cursor is there to be copied."""
        return False

    def unmark(self) -> None:
        """Take the marks away that the keys act on here."""

    def go_agent(self, number: int) -> None:
        """Select agent `number`."""

    def numbered(self) -> int:
        """How many agents have a number here."""
        return len(self.swarm_app.main.agents.rows)

    def follow(self) -> None:
        """Keep to the newest line."""

    def ask_filter(self) -> None:
        """Ask for a filter."""

    def set_filter(self, text: str) -> bool:
        """Filter by these words; False where there is nothing to filter."""
        return False

    def turn_panel(self, by: int) -> None:
        """Focus the next panel."""

    def resize_panel(self, by: int) -> None:
        """Make the panel larger or smaller."""

    def turn_tab(self, by: int) -> None:
        """The next tab."""

    def one_page(self) -> str | None:
        """Why there is no other page to turn to."""
        return "all is on this page"

    def mark(self) -> None:
        """Mark what is under the cursor."""

    def mark_all(self) -> None:
        """Mark all that show, or none."""

    def zoom(self) -> None:
        """Give one part all the room, or give it back."""

    def send(self) -> None:
        """Send what the form holds."""

    def raw(self) -> None:
        """Raw text, or fields."""

    def templates(self) -> None:
        """Choose what to begin from."""

    # Shared.

    def told(self, act: str) -> str:
        """The key of an act, for a sentence."""
        return self.swarm_app.registry.told(act)

    @property
    def model(self) -> Model:
        return self.swarm_app.model

    def context(self) -> Context:
        """What an act would be about now."""
        return Context(self.swarm_app, self)

    def action_press(self, key: str) -> None:
        """A key that the registry knows."""
        action = self.swarm_app.registry.pick(key, self.scope)
        if action is not None:
            self.swarm_app.perform(action, self.context())

    def act(self, name: str) -> None:
        """An act by its name, as its key would do it."""
        self.swarm_app.perform(self.swarm_app.registry.actions[name], self.context())

    def ask(self, label: str, text: str, done: Callable[[str], None], typed: Callable[[str], None] | None = None,
            left: Callable[[], None] | None = None) -> None:  # fmt: skip
        """Let the user type a line at the bottom. `typed` hears each change, `left` that they gave up."""
        prompts = self.query(Prompt)
        if prompts:
            prompts.first().ask(label, text, done, typed, left)

    def ask_command(self) -> None:
        """Let the user type a command."""
        self.ask(":", "", self.swarm_app.command)

    def renew_footer(self) -> None:
        """What the keys do may have changed."""
        for footer in self.query(Footer):
            footer.renew()

    def on_lines_moved(self) -> None:
        self.renew_footer()

    def on_lines_opened(self) -> None:
        self.act("open")

    def on_descendant_focus(self) -> None:
        self.renew_footer()

    def on_screen_resume(self) -> None:
        self.swarm_app.watch_panes()
        self.on_top(self.model.clock())
        self.renew_footer()
