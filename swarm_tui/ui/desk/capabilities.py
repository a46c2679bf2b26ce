"""Capabilities of screens: a screen declares those it has by inheriting them, an action names the one it needs.

They are plain classes, not protocols: Textual's screens have a metaclass of their own.
"""

from typing import Any, ClassVar, TypeVar


class Capability:
    """Base of all; `LACKS` is the sentence for a screen without it, `{act}` in it stands for the key of that act."""

    LACKS: ClassVar[str] = "this does nothing here"


C = TypeVar("C", bound=Capability)


def capability(screen: object, needs: type[C]) -> C | None:
    """Return the screen as what has the capability; None where it has it not."""
    return screen if isinstance(screen, needs) else None


class HasAgents(Capability):
    """Agents are at hand: marked, under the cursor, or what the page is about."""

    LACKS = "there is no agent here"

    def agent_ids(self) -> list[str]:
        """Return the agents at hand."""
        raise NotImplementedError

    def selected_agent(self) -> str | None:
        """Return the one agent at hand, whatever is marked."""
        return next(iter(self.agent_ids()), None)


class HasTasks(Capability):
    """Tasks are at hand."""

    LACKS = "there is no task here"

    def task_ids(self) -> list[str]:
        """Return the tasks at hand."""
        raise NotImplementedError


class HasRuns(Capability):
    """A run is at hand."""

    LACKS = "there is no run here"

    def run_id(self) -> str | None:
        """Return the run at hand."""
        raise NotImplementedError

    def step(self) -> str | None:
        """Return the step under the cursor, where one is."""
        return None


class Markable(Capability):
    """Rows can be marked, so that an act takes all of them."""

    LACKS = "nothing can be marked here"

    def hidden(self) -> int:
        """Count the marked rows that do not show."""
        raise NotImplementedError

    def mark(self) -> None:
        """Mark the row under the cursor, or take its mark away."""
        raise NotImplementedError

    def mark_all(self) -> None:
        """Mark all that show, or none."""
        raise NotImplementedError

    def unmark(self) -> None:
        """Take the marks away that the keys act on here."""
        raise NotImplementedError


class Opens(Capability):
    """The key of `open` does something here."""

    LACKS = "nothing opens here"

    def open(self) -> None:
        """Open what is under the cursor."""

    def why_not_open(self) -> str | None:
        """Return why nothing opens now; None where something does."""
        return None

    def entering(self) -> str | None:
        """Return the word for what the key does, where that is not to open."""
        return None

    def enter(self) -> None:
        """Do what the key of `open` does."""
        self.open()


class Copies(Capability):
    """Text can be copied to the clipboard."""

    LACKS = "there is nothing to copy here"

    def copy(self) -> None:
        """Copy what is under the cursor."""
        raise NotImplementedError

    def copies(self) -> bool:
        """Tell whether what is under the cursor is there to be copied."""
        return False


class Numbered(Capability):
    """Agents have numbers."""

    LACKS = "agents have no numbers here"

    def go_agent(self, number: int) -> None:
        """Select agent `number`, from 1."""
        raise NotImplementedError

    def numbered(self) -> int:
        """Count the agents that have a number."""
        raise NotImplementedError


class Follows(Capability):
    """A list has a newest line that it can keep to."""

    LACKS = "this page has no newest line: {logs} opens the log, which has"

    def follow(self) -> None:
        """Keep to the newest line."""
        raise NotImplementedError


class Searchable(Capability):
    """A list can be filtered, or words be found in it."""

    LACKS = "there is no list here to filter"

    def ask_filter(self) -> None:
        """Ask for the words."""
        raise NotImplementedError

    def set_filter(self, text: str) -> bool:
        """Filter by these words, or find them; False where there is nothing to filter."""
        raise NotImplementedError


class Panelled(Capability):
    """Panels share the screen."""

    LACKS = "there are no panels here"

    def turn_panel(self, by: int) -> None:
        """Focus the next panel, or the one before."""
        raise NotImplementedError

    def resize_panel(self, by: int) -> None:
        """Make the panel with the focus larger or smaller."""
        raise NotImplementedError


TURNED = "/"
"""Stands for the column by which rows are sorted: they are to go the other way."""


class Sortable(Capability):
    """Rows can be sorted by a column."""

    LACKS = "only agents and tasks can be sorted"

    def sort(self, column: str | None = None) -> str | None:
        """Sort by the column of that name, by the next one without a name; return why not, as a sentence."""
        raise NotImplementedError


class Groupable(Capability):
    """Rows can be put in groups that fold, and agents be shown as a map."""

    LACKS = "only agents and tasks can be grouped"

    def group(self, name: str | None = None) -> str | None:
        """Group by this, by the next thing without a name, by nothing where it is `none`; return why not."""
        raise NotImplementedError

    def why_not_fold(self) -> str | None:
        """Return why nothing can be folded now; None where something can."""
        raise NotImplementedError

    def fold_all(self) -> None:
        """Fold all groups, or open all."""
        raise NotImplementedError

    def turn_map(self) -> None:
        """Show the agents as a map of cells, or as a table again."""
        raise NotImplementedError

    def step(self, by: int) -> None:
        """Go to the next cell of the map, or the one before."""
        raise NotImplementedError

    def why_no_cells(self) -> str | None:
        """Return why there is no cell beside this one; None on a map."""
        raise NotImplementedError


class Tabbed(Capability):
    """A list has tabs, one for each group of states."""

    LACKS = "there are no tabs here"

    def turn_tab(self, by: int) -> None:
        """Show the next tab, or the one before."""
        raise NotImplementedError


class InParts(Capability):
    """The page of a thing can be turned to a part of it."""

    LACKS = "this page has no parts"

    def show_part(self, part: str) -> None:
        """Show the part; the one that shows already gives way to the first."""
        raise NotImplementedError

    def turn_part(self, by: int) -> None:
        """Show the next part, or the one before."""
        raise NotImplementedError

    def why_no_part(self) -> str | None:
        """Return why there is nothing to turn to; None where there is."""
        return None


class Paged(Capability):
    """More is there than one page shows."""

    LACKS = "all is on this page"

    def turn_page(self, by: int) -> None:
        """Show the next page, or the one before."""
        raise NotImplementedError

    def one_page(self) -> str | None:
        """Return why there is no other page to turn to; None where there is one."""
        raise NotImplementedError


class Zoomable(Capability):
    """A part can have all the room."""

    LACKS = "nothing can be zoomed here"
    zoomed: str | bool | None = None
    """The part that has all the room, or whether one has."""

    def zoom(self) -> None:
        """Give one part all the room, or give it back."""
        raise NotImplementedError


class ListsProblems(Capability):
    """The view can be narrowed to what is wrong."""

    LACKS = "problems are shown on the main screen"
    only_problems = False


class Sends(Capability):
    """A task can be sent from here."""

    LACKS = "nothing is sent from here"

    def send(self) -> None:
        """Send what the form holds."""
        raise NotImplementedError

    def begin(self, entry: dict[str, Any] | None = None) -> None:
        """Begin a task anew, from this; what was written is put aside."""
        raise NotImplementedError

    def raw(self) -> None:
        """Turn from fields to raw text, or back."""
        raise NotImplementedError

    def templates(self) -> None:
        """Let the person choose what to begin from."""
        raise NotImplementedError


class ShowsPanes(Capability):
    """Terminal panes show here."""

    LACKS = "no pane shows here"

    def panes(self) -> frozenset[str]:
        """Return the ids of the panes that show now."""
        raise NotImplementedError

    def pane_size(self) -> tuple[int, int] | None:
        """Return the columns and lines that each of them has at least; None while that is not known."""
        raise NotImplementedError

    def captured(self, panes: dict[str, list[str]]) -> None:
        """Take in panes that changed: lines with their SGR codes, by pane id."""
        raise NotImplementedError
