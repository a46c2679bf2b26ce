"""The wall: every pane at once, live, as many as there is room for; enter zooms."""

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.events import DescendantFocus

from swarm_tui.ui.desk.capabilities import Copies, Follows, HasAgents, Numbered, Opens, Paged, ShowsPanes, Zoomable
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.model import Delta, Model
from swarm_tui.ui.screens.base import SwarmScreen
from swarm_tui.ui.widgets.agents import natural
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.header import Header, ProblemStrip
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.prompt import Prompt
from swarm_tui.ui.widgets.tile import EmptyWall, Tile, TileGrid

LEAST = (24, 6)
"""Columns and lines that a tile needs at least."""
SHAPE = (80, 24)
"""Columns and lines of a terminal, whose shape suits what panes show."""


_GRAVE = {"critical": 0, "warning": 1, "info": 2}


class TilePages:
    """All agents, those that call for a person first, as many on a page as there is room for.

    None moves under the hand: they are put in order as the wall opens, and whenever its first page is turned to.
    """

    def __init__(self, model: Model, room: Callable[[], tuple[int, int]]) -> None:
        self._model, self._room = model, room
        self._first = 0
        self._worst: list[str] = []
        self._order: list[str] = []

    def numbers(self) -> list[str]:
        """Return all agents in the order of their numbers, which is that of the agents panel."""
        return sorted(self._model.fleet.agents, key=lambda name: (natural(name), name))

    def put_in_order(self) -> None:
        """Put the worst first, as things are now, and all that are alike in the order of their numbers."""
        grave: dict[str, int] = {}
        for problem in self._model.problems():
            for name in (problem.id, *problem.others):
                grave.setdefault(name, _GRAVE[problem.severity])
        self._worst = sorted((name for name in self.numbers() if name in grave), key=grave.__getitem__)
        self._order = []

    def ids(self) -> list[str]:
        """Return all agents: those that were the worst when they were put in order, then the others by number."""
        known = self._model.fleet.agents
        if len(self._order) != len(known) or not known.keys() >= set(self._order):
            worst = dict.fromkeys(name for name in self._worst if name in known)
            self._order = [*worst, *(name for name in self.numbers() if name not in worst)]
        return self._order

    def most(self) -> tuple[int, int]:
        """Return how many tiles there is room for side by side, and one above another."""
        wide, tall = self._room()
        return max(1, wide // LEAST[0]), max(1, tall // LEAST[1])

    def across(self, count: int) -> int:
        """Return how many of `count` tiles stand side by side: so that each is as near to a terminal as can be."""
        (most, rows), (wide, tall), count = self.most(), self._room(), max(1, count)
        fitting = [number for number in range(1, most + 1) if -(-count // number) <= rows] or [most]
        return max(fitting, key=lambda number: min(wide / number / SHAPE[0], tall / -(-count // number) / SHAPE[1]))

    def fits(self) -> int:
        """Return how many tiles a page has room for."""
        most, rows = self.most()
        return most * rows

    def shown(self) -> list[str]:
        """Return the agents of this page."""
        ids, fit = self.ids(), self.fits()
        self._first = max(0, min(self._first, (len(ids) - 1) // fit * fit))
        return ids[self._first : self._first + fit]

    def several(self) -> bool:
        """Tell whether there is more than one page."""
        return len(self.ids()) > self.fits()

    def turn(self, by: int) -> None:
        """Turn pages; after the last comes the first."""
        fit = self.fits()
        pages = -(-len(self.ids()) // fit)
        self._first = (self._first // fit + by) % max(1, pages) * fit
        if self._first == 0:
            self.put_in_order()

    def turn_to(self, name: str) -> None:
        """Turn to the page that has the agent."""
        self._first = self.ids().index(name) // self.fits() * self.fits()

    def told(self) -> str:
        """Return which agents of how many show; nothing where all do."""
        shown, count = len(self.shown()), len(self.ids())
        if shown == count:
            return ""
        return f"agents {self._first + 1}-{self._first + shown} of {count}, the worst first"


class WallScreen(SwarmScreen, HasAgents, Opens, Copies, Follows, Numbered, Paged, ShowsPanes, Zoomable):
    """As many tiles as fit, a page at a time."""

    SCOPE = "wall"
    CSS = """
    WallScreen { layers: below above; }
    #tiles { layout: grid; height: 1fr; grid-gutter: 0 1; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.pages = TilePages(self.model, self._room)
        self.zoomed: str | None = None
        self.grid = TileGrid(id="tiles")

    def compose(self) -> ComposeResult:
        desk = self.desk
        yield Header(self.model, desk.source.facts, desk.registry, read_only=desk.read_only, id="header")
        yield ProblemStrip(self.model, desk.registry.told, id="problem-strip")
        yield self.grid
        yield EmptyWall(self.model, id="nobody")
        yield Prompt()
        yield Footer(id="footer")

    def on_mount(self) -> None:
        self.problem_strip = self.query_one(ProblemStrip)
        self.problem_strip.show()
        self.pages.put_in_order()

    def on_resize(self) -> None:
        self.call_later(self.fit_panels)

    def _room(self) -> tuple[int, int]:
        """Return the columns and lines that tiles have, all together."""
        return self.size.width, self.size.height - 3 - self.problem_strip.line_count

    def one_page(self) -> str | None:
        return None if self.pages.several() and not self.zoomed else "every agent's pane is on this page"

    def turn_page(self, by: int) -> None:
        self.pages.turn(by)
        self.call_later(self.fit_panels)

    # Tiles.

    async def fit_panels(self) -> None:
        """Lay the tiles out anew; those that stay keep what they show."""
        zoomed = self.model.agent(self.zoomed)
        ids = self.pages.shown() if zoomed is None else [zoomed.agent_id]
        fresh = await self.grid.place(ids, self.pages.across(len(ids)))
        if self.focused is None or isinstance(self.focused, Tile):
            self.set_focus(self.grid.tile)
        self.grid.display = bool(ids)
        self.query_one(EmptyWall).display = not ids
        self.grid.tell_states(self.model, self.zoomed)
        self.query_one(Footer).note = "" if self.zoomed else self.pages.told()
        self.renew_footer()
        self.desk.panes.watch(anew=fresh)
        self.desk.typed_keys.release()

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        # Heard here, not by the grid: what loses the focus while tiles are placed is heard of after that.
        if isinstance(event.widget, Tile):
            self.grid.focused_agent = event.widget.agent_id

    # What is at hand.

    def agent_ids(self) -> list[str]:
        return [tile.agent_id] if (tile := self.grid.tile) and tile.agent_id else []

    def panes(self) -> frozenset[str]:
        return frozenset(tile.pane_id for tile in self.grid.tiles if tile.pane_id)

    def pane_size(self) -> tuple[int, int] | None:
        rooms = [room for tile in self.grid.tiles if (room := tile.room_for_text()) is not None]
        return (min(wide for wide, _ in rooms), min(tall for _, tall in rooms)) if rooms else None

    @property
    def lines(self) -> Lines | None:
        return self.grid.tile

    # Changes.

    def take(self, delta: Delta, now: float) -> None:
        if delta.header:
            self._header()
        if delta.agents:
            self.call_later(self.fit_panels)

    def tick(self, now: float) -> None:
        self._header()

    def renew_footer(self) -> None:
        super().renew_footer()
        self._header()  # What an act has put aside calls no longer.

    def _header(self) -> None:
        # One that was closed is mounted still, and its strip has no height to compare with.
        if self.is_mounted and self.is_attached:
            self.query_one(Header).renew()
            self.query_one(EmptyWall).redraw()
            if self.problem_strip.show():
                self.call_later(self.fit_panels)

    def captured(self, panes: dict[str, list[str]]) -> None:
        for tile in self.grid.tiles:
            if tile.pane_id in panes:
                tile.capture(panes[tile.pane_id])

    # Acts.

    def move_focus(self, by: int) -> None:
        """Go to another tile."""
        if (tile := self.grid.tile) is not None:
            tiles = self.grid.tiles
            self.set_focus(tiles[(tiles.index(tile) + by) % len(tiles)])

    def open(self) -> None:
        self.zoom()

    def entering(self) -> str:
        return "zoom out" if self.zoomed else "zoom"

    def zoom(self) -> None:
        """Give one tile all the room, or take it back."""
        self.zoomed = None if self.zoomed else next(iter(self.agent_ids()), None)
        self.call_later(self.fit_panels)

    def go_agent(self, number: int) -> None:
        """Go to the agent that has this number on the main screen, on whichever page."""
        ids = self.pages.numbers()
        if number > len(ids):
            self.desk.say(f"there is no agent {number}: {len(ids)} are known", bad=True)
            return
        self.grid.focused_agent = ids[number - 1]
        if self.zoomed:
            self.zoomed = ids[number - 1]
        self.pages.turn_to(ids[number - 1])
        self.call_later(self.fit_panels)

    def follow(self) -> None:
        if (tile := self.grid.tile) is not None:
            tile.follow_end()

    def copy(self) -> None:
        """Copy all lines of the tile."""
        if (tile := self.grid.tile) is None or not (text := tile.text()):
            self.desk.say("there is nothing to copy: the pane is empty", bad=True)
        else:
            self.desk.copy(text)

    def numbered(self) -> int:
        return len(self.pages.ids())

    def why_not_open(self) -> str | None:
        return None if self.grid.tile else "there is no pane here"

    def back(self) -> None:
        if self.zoomed:
            self.zoom()
        else:
            super().back()
