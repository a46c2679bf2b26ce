"""One pane of the wall."""

from typing import TYPE_CHECKING

from rich.segment import Segment

from swarm_tui.ui.lines import Parts
from swarm_tui.ui.text import flat
from swarm_tui.ui.widgets.pane import PaneView

if TYPE_CHECKING:
    from swarm_tui.ui.screens.wall import WallScreen


class Tile(PaneView):
    """A small pane: its end shows. The movement keys go from tile to tile."""

    BAR = False

    def __init__(self, agent_id: str) -> None:
        super().__init__()
        self.agent_id = agent_id

    def head(self, width: int) -> list[Parts]:
        look = self.look
        name = flat(self.agent_id or "", 40)
        state = self.state[0]
        room = max(0, width - len(state) - 2)
        title = f"{'▌' if self.has_focus else ' '}{name}"[:room].ljust(room)
        return [
            [
                Segment(title, look["head-on"] if self.has_focus else look["strong"]),
                Segment(" " + state, look[self.state[1]]),
            ]
        ]

    def move(self, by: int) -> None:
        """To another tile."""
        screen: WallScreen = self.screen  # type: ignore[assignment]
        if screen.zoomed:
            super().move(by)
        else:
            screen.move_focus(by)

    def on_click(self, event: object) -> None:
        """A click takes the focus; a second one zooms."""
        if getattr(event, "chain", 1) == 2:
            self.post_message(self.Opened(self))
