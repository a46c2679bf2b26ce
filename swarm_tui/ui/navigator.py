"""The navigator: which screens are open, and what opens and closes them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from swarm_tui.ui.acts.filters import apply_filter
from swarm_tui.ui.desk.act_runner import Question
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.stream import Message
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.screens.dialog import Dialog

if TYPE_CHECKING:
    from swarm_tui.ui.screens.page import PageScreen


class Navigator:
    """Screens are imported as they are opened, so that the first frame does not wait for them."""

    def __init__(self, app: App[Any], desk: Desk) -> None:
        self._app = app
        self._desk = desk
        self._kept: dict[type[SwarmScreen], Any] = {}
        """The screen of each kind that is mounted and may be closed: mounting another takes several times as long."""

    # What is open.

    @property
    def front(self) -> SwarmScreen | None:
        """Return the screen of ours that is on top, below dialogs."""
        return next((screen for screen in reversed(self._app.screen_stack) if isinstance(screen, SwarmScreen)), None)

    def screens(self) -> list[SwarmScreen]:
        """Return all screens of ours that are open, the main one first."""
        return [s for s in self._app.screen_stack if isinstance(s, SwarmScreen) and s.is_mounted]

    def renew_question(self) -> None:
        """Let an open dialog follow the state."""
        if isinstance(self._app.screen, Dialog):
            self._app.screen.renew()

    # Closing.

    def before_close(self) -> None:
        """Bring what stands below the top up to now, so that its first frame shows it already."""
        stack = self._app.screen_stack
        below = stack[-2] if len(stack) > 1 else None
        if isinstance(below, SwarmScreen) and below.is_mounted:
            below.on_top(self._desk.model.clock())

    def close(self) -> None:
        """Close what is on top."""
        self._app.pop_screen()

    def to_main(self) -> None:
        """Close all pages."""
        self._close_down_to(next(screen for screen in self._app.screen_stack if isinstance(screen, SwarmScreen)))

    def _close_down_to(self, screen: SwarmScreen) -> None:
        while self._app.screen is not screen and len(self._app.screen_stack) > 1:
            self._app.pop_screen()

    # Opening.

    def _open_page(self, kind: "type[PageScreen]", *subject: object) -> None:
        """Open a page of this kind, on the screen that an earlier one left where none is open."""
        page = self._kept.get(kind)
        if page is None or page in self._app.screen_stack:
            fresh = kind(self._desk, *subject)
            if page is None:
                self._kept[kind] = fresh
                self._app.install_screen(fresh, kind.__name__)
            self._app.push_screen(fresh)
        else:
            page.page.leave()
            page.turn_to(*subject)
            page.begin()
            self._app.push_screen(page)

    def _open_aside(self, kind: "type[PageScreen]", *subject: object) -> None:
        """Open a page about the screen: in the place of another such one; of the same, that closes."""
        page = self._app.screen
        if getattr(page, "ASIDE", False):
            self._app.pop_screen()
        if not isinstance(page, kind):
            self._open_page(kind, *subject)

    def open_message(self, message: Message) -> None:
        """Show one message as a tree."""
        from swarm_tui.ui.screens.message import MessageScreen

        self._open_page(MessageScreen, message)

    def open_task(self, task_id: str, part: str = "") -> None:
        """Show a task's page, or a part of it."""
        from swarm_tui.ui.screens.task import TaskScreen

        self._open_page(TaskScreen, task_id, part)

    def open_runs(self) -> None:
        """Show the runs of workflows; once more comes back."""
        from swarm_tui.ui.screens.runs import RunsScreen

        if isinstance(self._app.screen, RunsScreen):
            self._app.pop_screen()
        else:
            self._open_page(RunsScreen)

    def open_run(self, run_id: str) -> None:
        """Show a run with its graph."""
        from swarm_tui.ui.screens.runs import RunScreen

        self._open_page(RunScreen, run_id)

    def open_changes(self) -> None:
        """Show what changed between two moments; once more comes back."""
        from swarm_tui.ui.screens.changes import ChangesScreen

        if isinstance(self._app.screen, ChangesScreen):
            self._app.pop_screen()
        else:
            self._open_page(ChangesScreen)

    def open_swarms(self) -> None:
        """Show all swarms, here and on this broker; once more comes back."""
        from swarm_tui.ui.screens.swarms import SwarmsScreen

        if isinstance(self._app.screen, SwarmsScreen):
            self._app.pop_screen()
        else:
            self._open_page(SwarmsScreen)

    def open_shards(self) -> None:
        """Show all shards of the swarm that this one is a shard of; once more comes back."""
        from swarm_tui.ui.screens.shards import ShardsScreen

        if isinstance(self._app.screen, ShardsScreen):
            self._app.pop_screen()
        else:
            self._open_page(ShardsScreen)

    def open_agent(self, agent_id: str) -> None:
        """Show an agent's page."""
        from swarm_tui.ui.screens.agent import AgentScreen

        self._open_page(AgentScreen, agent_id)

    def open_log(self, agent_id: str) -> None:
        """Show an agent's log."""
        from swarm_tui.ui.screens.log import LogScreen

        if not isinstance(self._app.screen, LogScreen):
            self._open_page(LogScreen, agent_id)

    def open_wall(self) -> None:
        """Show all panes; once more comes back."""
        from swarm_tui.ui.screens.wall import WallScreen

        if isinstance(self._app.screen, WallScreen):
            self._app.pop_screen()
        else:
            self.to_main()
            self._desk.typed_keys.hold()
            self._app.push_screen(WallScreen(self._desk))

    def open_form(self, entry: dict[str, Any] | None = None) -> None:
        """Show the publish form: empty, or with what a task is to begin from."""
        from swarm_tui.ui.screens.form import FormScreen

        form = self._kept.get(FormScreen)
        if self._app.screen is form:
            return
        self._desk.typed_keys.hold()
        if form is None:
            form = self._kept[FormScreen] = FormScreen(self._desk, entry)
            self._app.install_screen(form, "form")
            self._app.push_screen(form)
            return
        if form in self._app.screen_stack:
            self._close_down_to(form)
        else:
            self._app.push_screen(form)
        form.begin(entry)

    def open_run_form(self) -> None:
        """Show the form for a run."""
        from swarm_tui.ui.screens.run_form import RunFormScreen

        self._desk.typed_keys.hold()
        self._app.push_screen(RunFormScreen(self._desk))

    def open_palette(self) -> None:
        """Find anything by typing a part of it."""
        from swarm_tui.ui.screens.palette import PaletteScreen

        if self.front is not None:
            self._app.push_screen(PaletteScreen(self._desk, self.front.context()))

    def open_filters(self) -> None:
        """Show the filters that are kept by name; the one that is taken is applied."""
        from swarm_tui.ui.screens.filters import FiltersScreen

        def taken(name: str | None) -> None:
            if name is not None:
                apply_filter(self._desk, name)

        self._app.push_screen(FiltersScreen(self._desk), taken)

    def open_help(self, context: Context) -> None:
        """Show what works where the context is."""
        from swarm_tui.ui.screens.help import HelpScreen

        acts = self._desk.registry.here(context.scope)
        reasons = {act.name: reason for act in acts if (reason := act.why_not(context)) is not None}
        self._open_aside(HelpScreen, context.scope, reasons)

    def open_notices(self) -> None:
        """Show what the screen has told."""
        from swarm_tui.ui.screens.notices import NoticesScreen

        self._open_aside(NoticesScreen)

    def open_refusals(self) -> None:
        """Show the messages that were refused."""
        from swarm_tui.ui.screens.notices import RefusalsScreen

        self._open_aside(RefusalsScreen)

    def confirm(self, question: Question, yes: Callable[[], None]) -> None:
        """Ask, No first; `yes` is called after a yes."""
        from swarm_tui.ui.screens.confirm import ConfirmScreen

        self._app.push_screen(ConfirmScreen(self._desk, question), lambda agreed: yes() if agreed else None)
