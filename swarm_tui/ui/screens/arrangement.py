"""Where the main screen's panels stand and how large they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm_tui.ui.screens.panels import PanelScreen

PANELS = ("agents", "tasks", "stream", "pane")
_LEFT, _RIGHT = frozenset({"agents", "tasks"}), frozenset({"stream", "pane"})


class Arrangement:
    """Narrow: stacked, stream and pane sharing the last place. Wide: two columns.

    `panels` are those that are open, in the order in which tab visits them; `sizes` are the lines that the user added
    to a panel, or took from it.
    """

    def __init__(self, screen: "PanelScreen", panels: Sequence[str], sizes: dict[str, int]) -> None:
        self._screen = screen
        self.panels: list[str] = list(dict.fromkeys(panels)) or ["agents"]
        self.sizes = dict(sizes)
        self.zoomed = False
        self._bottom = "stream" if "stream" in self.panels else "pane"

    def open(self, name: str) -> None:
        """Make the panel one of those that show."""
        if name not in self.panels:
            self.panels.append(name)
        if name in _RIGHT:
            self._bottom = name

    def resize(self, name: str, by: int) -> None:
        """Give the panel lines, or take them; the tasks have what the agents leave."""
        if name == "tasks":
            name, by = "agents", -by
        self.sizes[name] = max(-20, min(20, self.sizes.get(name, 0) + by))

    def fit(self, focus: str) -> None:
        """Lay the panels out for the screen's size and the panel with the focus."""
        screen = self._screen
        width, height = screen.size
        wide = width >= 160 and height >= 30
        narrow = not wide and (width < 110 or height < 30)
        body = screen.query_one("#body")
        body.set_class(wide, "wide")
        body.set_class(not narrow and not wide, "medium")
        if focus in _RIGHT:
            self._bottom = focus
        shown = self._shown(narrow, focus)
        for name in PANELS:
            screen.query_one(f"#{name}").display = name in shown
        screen.query_one("#left").display = bool(shown & _LEFT)
        screen.query_one("#right").display = bool(shown & _RIGHT)
        room = height - 3 - screen.trouble.tall
        if wide:
            self._columns(shown, room)
        else:
            self._stack(shown, room, narrow, focus)

    def _shown(self, narrow: bool, focus: str) -> set[str]:
        if self.zoomed:
            return {focus}
        shown = set(self.panels)
        if narrow and shown >= _RIGHT:
            shown.discard("pane" if self._bottom == "stream" else "stream")
        return shown

    def _columns(self, shown: set[str], room: int) -> None:
        right, agents = self._screen.query_one("#right"), self._screen.query_one("#agents")
        right.styles.height, right.styles.width = "1fr", "2fr"
        if not shown >= _LEFT:
            agents.styles.height = "1fr"
        else:
            agents.styles.height = self._sized("agents", min(self._wants(), room // 2), 3, room - 4)
        stream = self._screen.query_one("#stream")
        if not shown >= _RIGHT:
            stream.styles.height = "1fr"
        else:
            stream.styles.height = self._sized("stream", room // 2 - self.sizes.get("pane", 0), 3, room - 3)

    def _stack(self, shown: set[str], room: int, narrow: bool, focus: str) -> None:
        right, agents = self._screen.query_one("#right"), self._screen.query_one("#agents")
        right.styles.width = "1fr"
        self._screen.query_one("#stream").styles.height = "1fr"
        bottom = 0
        if shown & _RIGHT and not shown & _LEFT:
            right.styles.height = "1fr"
        elif shown & _RIGHT:
            size = (10 if focus in _RIGHT else 3) if narrow else room * 2 // 5
            bottom = self._sized(self._bottom, size, 2, room - 6)
            right.styles.height = bottom
        if not shown >= _LEFT:
            agents.styles.height = "1fr"
        else:
            agents.styles.height = self._sized("agents", min(self._wants(), room - bottom - 4), 3, room - bottom - 3)

    def _wants(self) -> int:
        rows = len(self._screen.agents.rows)
        return rows + 1 if rows else 4

    def _sized(self, name: str, size: int, least: int, most: int) -> int:
        return max(least, min(most, size + self.sizes.get(name, 0)))
