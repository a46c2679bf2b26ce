"""A pane of the wall, and what stands there while it has none."""

from typing import Protocol, cast

from rich.segment import Segment
from textual.events import Click

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
