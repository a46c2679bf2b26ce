"""The panes of the wall, and what stands there while it has none."""

from typing import Protocol, cast

from rich.segment import Segment
from textual.containers import Grid
from textual.events import Click

from swarm_tui.ui.desk.desk import desk_of
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.text import Parts, fit_id, flat
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.pane import PaneView


class Wall(Protocol):
    """The screen that a tile stands on."""

    zoomed: str | bool | None

    def move_focus(self, by: int) -> None:
        """Go to another tile."""
        ...


class Tile(PaneView):
    """A small pane: its end shows. The movement keys go from tile to tile."""

    BAR = False

    def __init__(self, agent_id: str) -> None:
        super().__init__()
        self.agent_id = agent_id
        self.zoomed = False
        """Whether it has all the room."""

    def head(self, width: int) -> list[Parts]:
        look = self.look
        held = f" held: {self.told('follow')}" + (" follows" if self.zoomed else "")
        notes: Parts = [] if self.tail else [Segment(held, look["warn"])]
        if self.zoomed:
            notes.append(Segment(f" {self.told('back')} shows all", look["accent"]))
        notes.append(Segment(" " + self.state[0], look[self.state[1]]))
        while len(notes) > 1 and sum(note.cell_length for note in notes) > width // 2:
            notes.pop()
        room = max(0, width - sum(note.cell_length for note in notes) - 1)
        name = ("▌" if self.has_focus else " ") + fit_id(flat(self.agent_id or "", 40), max(0, room - 1))
        return [[Segment(name, look["head-on"] if self.has_focus else look["strong"]), *notes]]

    def goes(self) -> bool:
        screen = cast(Wall, self.screen)
        return not screen.zoomed or super().goes()

    def move(self, by: int) -> None:
        """Go to another tile."""
        screen = cast(Wall, self.screen)
        if screen.zoomed:
            super().move(by)
        else:
            screen.move_focus(by)

    def on_click(self, event: Click) -> None:
        """Take the focus, wherever in the tile the click is; a second one zooms."""
        event.prevent_default()
        if event.button == 1 and event.chain == 2 and not self.was_drag:
            self.post_message(self.Opened(self))


class TileGrid(Grid):
    """The tiles of one page, and which of them has the focus."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.tiles: list[Tile] = []
        self.focused_agent: str | None = None
        """The agent of the tile with the focus; it stays while another line is typed in."""

    @property
    def tile(self) -> Tile | None:
        """Return the tile with the focus, or the first; None where there is none."""
        return next((tile for tile in self.tiles if tile.agent_id == self.focused_agent), next(iter(self.tiles), None))

    async def place(self, ids: list[str], across: int) -> bool:
        """Show these agents, so many side by side; those that stay keep what they show. False: they show already."""
        if [tile.agent_id for tile in self.tiles] == ids:
            return False
        kept = {tile.agent_id: tile for tile in self.tiles if tile.agent_id in ids}
        await self.remove_children([tile for tile in self.tiles if tile.agent_id not in kept])
        self.tiles = [kept.get(name) or Tile(name) for name in ids]
        self.styles.grid_size_columns = across
        self.styles.grid_size_rows = max(1, -(-len(ids) // across))
        await self.mount_all([tile for tile in self.tiles if tile.agent_id not in kept])
        self.sort_children(key=lambda tile: ids.index(tile.agent_id))  # type: ignore[attr-defined]
        return True

    def tell_states(self, model: Model, zoomed: str | None) -> None:
        """Say of each tile how its agent is, where its pane is, and whether it is the one that is zoomed."""
        panes = desk_of(self).panes
        for tile in self.tiles:
            tile.zoomed = tile.agent_id == zoomed
            agent = model.agent(tile.agent_id)
            if agent is not None:
                glyph, style = glyphs.AGENT[agent.state]
                state = f"{glyph} {agent.word}", style
                tile.follow_agent(agent.agent_id, panes.local_pane(agent), state, panes.why_no_pane(agent))


class EmptyWall(Lines):
    """The wall of a swarm without agents."""

    BAR = CURSOR = False

    def __init__(self, model: Model, *, id: str) -> None:
        super().__init__(id=id)
        self.model = model

    def count(self) -> int:
        return 0

    def empty(self) -> list[str]:
        if waiting := self.model.waiting():
            return [f"Opening: waiting for {waiting}"]
        return ["No agent yet, so no pane", f"swarm-tui up LAYOUT starts some; {self.told('back')} goes back"]
