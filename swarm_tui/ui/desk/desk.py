"""The desk: what acts, screens and widgets may use of the running screen; nobody but those who wire knows the app."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from textual.events import Key
from textual.widget import Widget

from swarm_tui.config.saved_filters import SavedFilters
from swarm_tui.config.user import UserConfig
from swarm_tui.domain.views import AgentView
from swarm_tui.ui.desk.notices import Notices
from swarm_tui.ui.desk.time_port import TimePort
from swarm_tui.ui.desk.undo import Undo
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.model.model import Delta, Model
from swarm_tui.ui.model.pending_scales import PendingScales
from swarm_tui.ui.model.restarts import AwaitedRestarts
from swarm_tui.ui.model.saved_state import ScreenState
from swarm_tui.ui.model.sent_mail import SentMail
from swarm_tui.ui.model.source import Source
from swarm_tui.ui.model.stream import Message

if TYPE_CHECKING:
    from swarm_tui.ui.desk.actions import Action, Registry
    from swarm_tui.ui.desk.context import Context


class ListPort(Protocol):
    """A list that the movement keys move. `top` is the first line that shows; `tail` keeps to the newest."""

    top: int
    cursor: int
    tail: bool

    def goes(self) -> bool:
        """Tell whether the movement keys lead anywhere."""
        ...

    def move(self, by: int) -> None:
        """Move by lines."""
        ...

    def page(self, by: int) -> None:
        """Move by pages."""
        ...

    def first(self) -> None:
        """Go to the first line."""
        ...

    def last(self) -> None:
        """Go to the last line."""
        ...


class ScreenPort(Protocol):
    """A screen, as acts see it; what more it can do its capabilities say."""

    PAGE: str

    @property
    def scope(self) -> str:
        """Return where the user is, as the registry names it."""
        ...

    @property
    def lines(self) -> ListPort | None:
        """Return the list that the movement keys move."""
        ...

    def context(self) -> "Context":
        """Return what an act would be about now."""
        ...

    def back(self) -> None:
        """Go back."""
        ...

    def ask(self, label: str, text: str, done: Callable[[str], None]) -> None:
        """Let the user type a line at the bottom."""
        ...

    def ask_command(self) -> None:
        """Let the user type a command."""
        ...

    def renew_footer(self) -> None:
        """Draw anew what the keys do."""
        ...

    def press(self, action: "Action") -> None:
        """Do the act of a key that was pressed."""
        ...


class MainView(Protocol):
    """The main screen: agents, tasks, stream and pane."""

    only_problems: bool
    """Tell whether all panels are narrowed to what is wrong."""

    def all_changed(self) -> None:
        """Draw everything anew: the link came or went, or the past was loaded."""
        ...

    def time_turned(self) -> None:
        """Draw everything anew: another moment shows."""
        ...

    def take(self, delta: Delta, now: float) -> None:
        """Draw what changed."""
        ...

    def tick(self, now: float) -> None:
        """Let a second pass."""
        ...

    def focus_panel(self, name: str) -> None:
        """Focus this panel, and make it show."""
        ...

    def set_problems(self, on: bool) -> None:
        """Narrow all panels to what is wrong, or show all again."""
        ...

    def lead_to(self, panel: str, subject_id: str) -> None:
        """Put the cursor on the worst of the problems."""
        ...

    def narrow_stream(self, change: Callable[[], None]) -> None:
        """Do what narrows or widens the stream, and draw it anew."""
        ...

    def agents_listed(self) -> Sequence[str]:
        """Return the agents in the order of the agents panel: their numbers."""
        ...


class Pages(Protocol):
    """Opens and closes pages."""

    def open_message(self, message: Message) -> None:
        """Show one message as a tree."""
        ...

    def open_task(self, task_id: str, part: str = "") -> None:
        """Show a task's page, or a part of it."""
        ...

    def open_agent(self, agent_id: str) -> None:
        """Show an agent's page."""
        ...

    def open_log(self, agent_id: str) -> None:
        """Show an agent's log."""
        ...

    def open_wall(self) -> None:
        """Show all panes; once more comes back."""
        ...

    def open_form(self, entry: "dict[str, Any] | None" = None) -> None:
        """Show the publish form."""
        ...

    def open_run_form(self) -> None:
        """Show the form for a run."""
        ...

    def open_palette(self) -> None:
        """Find anything by typing a part of it."""
        ...

    def open_help(self, context: "Context") -> None:
        """Show what works where the context is."""
        ...

    def open_runs(self) -> None:
        """Show the runs of workflows; once more comes back."""
        ...

    def open_run(self, run_id: str) -> None:
        """Show a run with its graph."""
        ...

    def open_changes(self) -> None:
        """Show what changed between two moments; once more comes back."""
        ...

    def open_swarms(self) -> None:
        """Show all swarms, here and on this broker; once more comes back."""
        ...

    def open_shards(self) -> None:
        """Show all shards of the swarm that this one is a shard of; once more comes back."""
        ...

    def open_filters(self) -> None:
        """Show the filters that are kept by name."""
        ...

    def open_notices(self) -> None:
        """Show what the screen has told."""
        ...

    def open_refusals(self) -> None:
        """Show the messages that were refused."""
        ...

    def close(self) -> None:
        """Close what is on top."""
        ...

    def to_main(self) -> None:
        """Close all pages."""
        ...


class TypedKeys(Protocol):
    """Keys that are kept while something opens that they are for."""

    @property
    def holding(self) -> bool:
        """Tell whether keys are kept."""
        ...

    def hold(self) -> None:
        """Keep keys until `release`."""
        ...

    def hold_late(self, event: Key) -> None:
        """Keep a key that a widget had already."""
        ...

    def release(self) -> None:
        """Let the keys go on that were kept."""
        ...


class HistoryReader(Protocol):
    """A pane view that waits for its history."""

    pane_id: str | None

    def history(self, pane_id: str, lines: list[str]) -> None:
        """Take in all that the pane printed."""
        ...


class PaneAccess(Protocol):
    """The panes that can be seen from here."""

    def local_pane(self, agent: AgentView) -> str | None:
        """Return the agent's pane, where this host has it."""
        ...

    def address_of(self, agent: AgentView) -> str | None:
        """Return where ssh reaches the other host that has the agent's pane."""
        ...

    def why_no_pane(self, agent: AgentView) -> list[str]:
        """Return why there is nothing to see of its pane, in lines."""
        ...

    def watch(self, anew: bool = False) -> None:
        """Capture what shows, and nothing else."""
        ...

    def load_history(self, pane: HistoryReader) -> None:
        """Get all that the pane printed, off the screen's thread."""
        ...


class Attaching(Protocol):
    """Attach: the terminal becomes a pane."""

    def why_not(self, agent: AgentView | None) -> str | None:
        """Return why it cannot attach to the agent; None when it can."""
        ...

    def attach(self, agent: AgentView) -> None:
        """Give the terminal away, and take it back."""
        ...


class Desk(Protocol):
    """Everything that may be used of the running screen. `clock` gives seconds since the epoch."""

    @property
    def source(self) -> Source: ...
    @property
    def model(self) -> Model: ...
    @property
    def registry(self) -> "Registry": ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def config(self) -> UserConfig: ...
    @property
    def state(self) -> ScreenState: ...
    @property
    def filters(self) -> SavedFilters: ...
    @property
    def look(self) -> ThemeStyles: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def undo(self) -> Undo: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def scales(self) -> PendingScales: ...
    @property
    def restarts(self) -> AwaitedRestarts: ...
    @property
    def sent_mail(self) -> SentMail: ...
    @property
    def pages(self) -> Pages: ...
    @property
    def panes(self) -> PaneAccess: ...
    @property
    def attaching(self) -> Attaching: ...
    @property
    def time(self) -> TimePort: ...
    @property
    def typed_keys(self) -> TypedKeys: ...
    @property
    def front(self) -> ScreenPort | None: ...
    @property
    def main(self) -> MainView: ...

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell the user, in the last line."""
        ...

    def copy(self, text: str) -> None:
        """Put the text on the terminal's clipboard."""
        ...

    def perform(self, action: "Action", context: "Context") -> None:
        """Do an act: say why not, ask first, or run it."""
        ...

    def in_thread(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do what blocks on a thread, and take the outcome on the screen's own."""
        ...

    def leave(self, down: bool = False) -> None:
        """Close the screen; `down` brings the swarm down afterwards."""
        ...

    def open_swarm(self, name: str) -> None:
        """Close the screen, and open that of another swarm."""
        ...

    def why_not_down(self) -> str | None:
        """Return why this screen cannot bring the swarm down; None when it can."""
        ...

    def next_theme(self) -> None:
        """Take the next set of colours."""
        ...

    def set_theme(self, name: str) -> None:
        """Take these colours from now on."""
        ...


def desk_of(widget: Widget) -> Desk:
    """Return the desk of the app that the widget is mounted in."""
    return cast(Desk, widget.app)
