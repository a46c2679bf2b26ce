"""All that the screen has told, the newest first."""

from rich.segment import Segment

from swarm_tui.ui.lines import Parts
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.text import clock, fit
from swarm_tui.ui.widgets.page import Line


class NoticesScreen(PageScreen):
    """The notices, with their times."""

    SCOPE = "message"
    PAGE = "notices"
    ASIDE = True

    def title_parts(self, width: int) -> Parts:
        return self.titled("NOTICES", str(len(self.swarm_app.notices.all)), [])

    def lay(self, width: int) -> list[Line]:
        look = self.swarm_app.look
        lines: list[Line] = [
            (
                [
                    Segment(f"  {clock(n.at)}  ", look["quiet"]),
                    Segment(fit(n.text, width - 14), look["bad" if n.bad else "plain"]),
                ],
                None,
            )
            for n in reversed(self.swarm_app.notices.all)
        ]
        return lines or [([Segment("  Nothing was told yet", look["quiet"])], None)]
