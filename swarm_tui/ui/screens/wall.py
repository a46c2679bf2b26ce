"""The wall: every pane at once, live, three by three or as fits; enter zooms."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Grid

from swarm_tui.ui import look as looks
from swarm_tui.ui.lines import Lines
from swarm_tui.ui.model import Delta
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.header import Header
from swarm_tui.ui.widgets.tile import Tile

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp

LEAST = (24, 6)
"""Columns and lines that a tile needs at least."""


class WallScreen(SwarmScreen):
    """As many tiles as fit, a page at a time."""

    SCOPE = "wall"
    CSS = """
    #tiles { layout: grid; height: 1fr; grid-gutter: 0 1; }
    """

    def __init__(self, app: "SwarmApp") -> None:
        super().__init__(app)
        self.first = 0
        self.zoomed: str | None = None
        self.tiles: list[Tile] = []
        self._grid = (0, 0)

    def compose(self) -> ComposeResult:
        yield Header(self.model, self.swarm_app.source.facts, read_only=self.swarm_app.read_only, id="header")
        yield Grid(id="tiles")
        yield Footer(id="footer")

    def on_resize(self) -> None:
        self.call_later(self.fit_panels)

    def shown(self) -> list[str]:
        """The agents of this page."""
        ids = self.swarm_app.main.agents.rows.ids()
        if self.zoomed in ids:
            return [self.zoomed]
        fit = self._fits()
        self.first = max(0, min(self.first, (len(ids) - 1) // fit * fit))
        return ids[self.first : self.first + fit]

    def _fits(self) -> int:
        """How many tiles a page has room for."""
        columns = max(1, min(3, self.size.width // LEAST[0]))
        return columns * max(1, min(3, (self.size.height - 3) // LEAST[1]))

    def one_page(self) -> str | None:
        count = len(self.swarm_app.main.agents.rows)
        return "every agent's pane is on this page" if self.zoomed or count <= self._fits() else None

    def turn_tab(self, by: int) -> None:
        count, fit = len(self.swarm_app.main.agents.rows), self._fits()
        pages = -(-count // fit)
        self.first = (self.first // fit + by) % max(1, pages) * fit
        self.call_later(self.fit_panels)

    async def fit_panels(self) -> None:
        """Lay the tiles out anew."""
        ids = self.shown()
        grid = self.query_one("#tiles", Grid)
        if [tile.agent_id for tile in self.tiles] != ids:
            at = self.current()
            await grid.remove_children()
            self.tiles = [Tile(agent_id) for agent_id in ids]
            columns = max(1, min(3, len(ids), self.size.width // LEAST[0]))
            grid.styles.grid_size_columns = columns
            grid.styles.grid_size_rows = max(1, -(-len(ids) // columns))
            await grid.mount_all(self.tiles)
            focus = next((tile for tile in self.tiles if tile.agent_id == at), self.tiles[0] if self.tiles else None)
            self.set_focus(focus)
        self._states()
        self._say_page(len(ids))
        self.swarm_app.watch_panes()

    def _say_page(self, shown: int) -> None:
        count = len(self.swarm_app.main.agents.rows)
        more = "" if shown >= count else f"agents {self.first + 1}-{self.first + shown} of {count}"
        if self.zoomed:
            more = f"{self.zoomed} alone: Esc shows all"
        header = self.query_one(Header)
        if header.note != more:
            header.note = more
            header.renew()
            self.renew_footer()

    def _states(self) -> None:
        for tile in self.tiles:
            agent = self.model.agent(tile.agent_id)
            if agent is not None:
                glyph, style = looks.AGENT[agent.state]
                pane = self.swarm_app.local_pane(agent)
                tile.follow_agent(
                    agent.agent_id, pane, (f"{glyph} {agent.state.value}", style), self.swarm_app.why_no_pane(agent)
                )

    def current(self) -> str | None:
        """The agent of the tile with the focus."""
        focused = self.focused
        return focused.agent_id if isinstance(focused, Tile) else None

    def agent_ids(self) -> list[str]:
        return [current] if (current := self.current()) else []

    def panes(self) -> frozenset[str]:
        return frozenset(tile.pane_id for tile in self.tiles if tile.pane_id)

    @property
    def lines(self) -> Lines | None:
        return self.focused if isinstance(self.focused, Tile) else None

    def take(self, delta: Delta, now: float) -> None:
        if delta.header:
            self.query_one(Header).renew()
        if delta.agents:
            self.call_later(self.fit_panels)

    def tick(self, now: float) -> None:
        self.query_one(Header).renew()

    def captured(self, panes: dict[str, list[str]]) -> None:
        for tile in self.tiles:
            if tile.pane_id in panes:
                tile.capture(panes[tile.pane_id])

    def move_focus(self, by: int) -> None:
        """To another tile."""
        if self.tiles:
            at = next((i for i, tile in enumerate(self.tiles) if tile is self.focused), 0)
            self.set_focus(self.tiles[(at + by) % len(self.tiles)])

    def open(self) -> None:
        self.zoom()

    def zoom(self) -> None:
        """One tile takes all the room, or gives it back."""
        self.zoomed = None if self.zoomed else self.current()
        self.call_later(self.fit_panels)

    def go_agent(self, number: int) -> None:
        if number <= len(self.tiles):
            self.set_focus(self.tiles[number - 1])

    def back(self) -> None:
        if self.zoomed:
            self.zoom()
        else:
            super().back()
