"""Where the main screen's panels stand and how large they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm_tui.ui.screens.panels import PanelScreen

PANELS = ("agents", "tasks", "stream", "pane")
_LISTS, _LIVE = ("agents", "tasks"), frozenset({"stream", "pane"})


class Arrangement:
    """Narrow: stacked, stream and pane sharing the last place. Wide: the stream beside all else, for it alone fills any
    height.

    `panels` are those that are open, in the order in which tab visits them; `sizes` are the lines that the user added
    to a panel, or took from it.
    """

    def __init__(self, screen: "PanelScreen", panels: Sequence[str], sizes: dict[str, int]) -> None:
        self._screen = screen
        self.panels: list[str] = list(dict.fromkeys(panels)) or ["agents"]
        self.sizes = dict(sizes)
        self.zoomed = False
        self._bottom = "stream" if "stream" in self.panels else "pane"
        self.rows = ""
        """The lines of the rows as they are laid out."""

    def open(self, name: str) -> None:
        """Make the panel one of those that show."""
        if name not in self.panels:
            self.panels.append(name)
        if name in _LIVE:
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
        if focus in _LIVE:
            self._bottom = focus
        shown = self._shown(narrow, focus)
        for name in PANELS:
            screen.query_one(f"#{name}").display = name in shown
        room = height - 3 - screen.problem_strip.line_count - screen.time_bar.line_count
        if wide:
            self._columns(shown, room)
        else:
            self._stack(shown, room, narrow, focus)

    def _shown(self, narrow: bool, focus: str) -> set[str]:
        if self.zoomed:
            return {focus}
        shown = set(self.panels)
        if narrow and shown >= _LIVE:
            shown.discard("pane" if self._bottom == "stream" else "stream")
        return shown

    def _columns(self, shown: set[str], room: int) -> None:
        """Put one column beside another: the stream, or else the pane, at the right."""
        right = next((name for name in ("stream", "pane") if name in shown), None)
        left = [name for name in (*_LISTS, "pane") if name in shown and name != right]
        if right is None or not left:
            self._place(left or list(shown), [])
            return
        self._place([left[0], right, *left[1:]], self._lines(left, room, "pane", room // 3), beside=right)

    def _stack(self, shown: set[str], room: int, narrow: bool, focus: str) -> None:
        """Put one over another; stream and pane side by side where both show."""
        names = [name for name in PANELS if name in shown]
        rows = [name for name in names if name != "pane" or "stream" not in shown]
        bottom = (10 if focus in _LIVE else 3) if narrow else room * 2 // 5
        self._place(names, self._lines(rows, room, self._bottom, bottom), across=shown >= _LIVE)

    def _lines(self, rows: list[str], room: int, low: str, size: int) -> list[int]:
        """Return lines for each row; 0 for the one that has what the others leave. `low` has the last, some `size`."""
        lists = [name for name in rows if name in _LISTS]
        live = rows[-1] if rows and rows[-1] in _LIVE and lists else ""
        last = self._sized(low, size, 2, room - 6) if live else 0
        heights = {live: last}
        if len(lists) == 2:
            heights["agents"] = self._sized("agents", min(self._wants(), room - last - 4), 3, room - last - 3)
        return [heights.get(name, 0) for name in rows]

    def _place(self, names: list[str], rows: list[int], *, beside: str | None = None, across: bool = False) -> None:
        """Put the panels into the grid, in this order. `beside` has the right column, `across`: two share the last."""
        screen = self._screen
        body = screen.query_one("#body")
        two = beside is not None or across
        for name in names:
            style = screen.query_one(f"#{name}").styles
            style.row_span = len(rows) if name == beside else 1
            style.column_span = 2 if across and name in _LISTS else 1
        body.styles.grid_size_columns = 2 if two else 1
        body.styles.grid_columns = "3fr 2fr" if beside else "1fr 1fr" if two else "1fr"
        self.rows = " ".join(str(row) if row else "1fr" for row in rows) or "1fr"
        body.styles.grid_rows = self.rows
        order = [*names, *(name for name in PANELS if name not in names)]
        if [child.id for child in body.children] != order:
            body.sort_children(key=lambda child: order.index(child.id or ""))

    def _wants(self) -> int:
        rows = self._screen.agents.count()
        return rows + 1 if rows else 4

    def _sized(self, name: str, size: int, least: int, most: int) -> int:
        return max(least, min(most, size + self.sizes.get(name, 0)))
