"""What opens screens: the part of the app that the acts call."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.question import Question
from swarm_tui.ui.model.stream import Message

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp
    from swarm_tui.ui.screens.page import PageScreen


class Navigator:
    """Mixed into the app. Screens are imported as they are opened, so that the first frame does not wait for them."""

    def open_page(self: "SwarmApp", kind: type["PageScreen"], *subject: object) -> None:  # type: ignore[misc]
        """A page of this kind, on the screen that an earlier one left where none is open."""
        page = self.kept.get(kind)
        if page is None or page in self.screen_stack:
            fresh = kind(self, *subject)
            if page is None:
                self.kept[kind] = fresh
                self.install_screen(fresh, kind.__name__)
            self.push_screen(fresh)
        else:
            page.page.leave()
            page.turn_to(*subject)
            page.begin()
            self.push_screen(page)

    def _open_aside(self: "SwarmApp", kind: type["PageScreen"], *subject: object) -> None:  # type: ignore[misc]
        """A page about the screen: in the place of another such one; of the same, that closes."""
        page = self.screen
        if getattr(page, "ASIDE", False):
            self.pop_screen()
        if not isinstance(page, kind):
            self.open_page(kind, *subject)

    def open_message(self: "SwarmApp", message: Message) -> None:  # type: ignore[misc]
        """One message as a tree."""
        from swarm_tui.ui.screens.message import MessageScreen

        self.open_page(MessageScreen, message)

    def open_task(self: "SwarmApp", task_id: str) -> None:  # type: ignore[misc]
        """A task's page."""
        from swarm_tui.ui.screens.task import TaskScreen

        self.open_page(TaskScreen, task_id)

    def open_agent(self: "SwarmApp", agent_id: str) -> None:  # type: ignore[misc]
        """An agent's page."""
        from swarm_tui.ui.screens.agent import AgentScreen

        self.open_page(AgentScreen, agent_id)

    def open_log(self: "SwarmApp", context: Context) -> None:  # type: ignore[misc]
        """An agent's log."""
        from swarm_tui.ui.screens.log import LogScreen

        if context.agent is not None and not isinstance(self.screen, LogScreen):
            self.open_page(LogScreen, context.agent.agent_id)

    def open_wall(self: "SwarmApp") -> None:  # type: ignore[misc]
        """All panes; once more comes back."""
        from swarm_tui.ui.screens.wall import WallScreen

        if isinstance(self.screen, WallScreen):
            self.pop_screen()
        else:
            self.to_main()
            self.hold()
            self.push_screen(WallScreen(self))

    def open_form(self: "SwarmApp") -> None:  # type: ignore[misc]
        """The publish form."""
        from swarm_tui.ui.screens.form import FormScreen

        form = self.kept.get(FormScreen)
        if self.screen is form:
            return
        self.hold()
        if form is None:
            form = self.kept[FormScreen] = FormScreen(self)
            self.install_screen(form, "form")
            self.push_screen(form)
            return
        if form in self.screen_stack:
            self.close_down_to(form)
        else:
            self.push_screen(form)
        form.begin()

    def open_palette(self: "SwarmApp") -> None:  # type: ignore[misc]
        """Find anything by typing a part of it."""
        from swarm_tui.ui.screens.palette import PaletteScreen

        if self.front is not None:
            self.push_screen(PaletteScreen(self, self.front.context()))

    def open_help(self: "SwarmApp", scope: str) -> None:  # type: ignore[misc]
        """What works here."""
        from swarm_tui.ui.screens.help import HelpScreen

        self._open_aside(HelpScreen, scope)

    def open_notices(self: "SwarmApp") -> None:  # type: ignore[misc]
        """What the screen has told."""
        from swarm_tui.ui.screens.told import NoticesScreen

        self._open_aside(NoticesScreen)

    def open_refusals(self: "SwarmApp") -> None:  # type: ignore[misc]
        """The messages that were refused."""
        from swarm_tui.ui.screens.told import RefusalsScreen

        self._open_aside(RefusalsScreen)

    def confirm(self: "SwarmApp", asked: Question, yes: Callable[[], None]) -> None:  # type: ignore[misc]
        """Ask, No first."""
        from swarm_tui.ui.screens.confirm import ConfirmScreen

        self.push_screen(ConfirmScreen(self, asked), lambda agreed: yes() if agreed else None)

    def command(self: "SwarmApp", text: str) -> None:  # type: ignore[misc]
        """Run what the user typed after `:`."""
        from swarm_tui.ui.input.command import run_command

        run_command(self, text)

    def load_past(self: "SwarmApp") -> None:  # type: ignore[misc]
        """Ask for the tasks and messages of before."""
        from swarm_tui.ui.live.past import ask_past

        ask_past(self)
