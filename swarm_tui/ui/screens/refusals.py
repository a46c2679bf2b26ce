"""The messages that were refused, the newest first: where they came, why, and how they began."""

from rich.segment import Segment

from swarm_tui.protocol.envelope import Rejected
from swarm_tui.ui.lines import Parts
from swarm_tui.ui.model import Delta
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.text import clock, fit, flat
from swarm_tui.ui.widgets.page import Line


class RefusalsScreen(PageScreen):
    """The last ones that are kept; enter opens one."""

    SCOPE = "problems"
    PAGE = "refused"
    ASIDE = True

    def title_parts(self, width: int) -> Parts:
        fleet = self.model.fleet
        kept = f"the last {len(fleet.refusals)} are kept" if fleet.counts.refused > len(fleet.refusals) else ""
        return self.titled("REFUSED", f"{fleet.counts.refused:,}", [Segment(kept, self.swarm_app.look["quiet"])])

    def lay(self, width: int) -> list[Line]:
        look = self.swarm_app.look
        lines: list[Line] = []
        for refused in reversed(self.model.fleet.refusals):
            topic = flat(refused.topic.removeprefix(self.model.swarm + "/"))
            parts = [
                Segment(f"  {clock(refused.received, ms=True)} ", look["quiet"]),
                Segment(fit(topic, 28) + " ", look["topic"]),
            ]
            used = sum(part.cell_length for part in parts)
            reason = fit(flat(refused.reason), max(0, width - used))
            lines.append(([*parts, Segment(reason, look["bad"])], refused))
        return lines or [([Segment("  No message was refused", look["quiet"])], None)]

    def take(self, delta: Delta, now: float) -> None:
        if delta.stream and len(self.model.fleet.refusals) != len(self.page.laid):
            self.renew()

    def open(self) -> None:
        subject = self.page.subject()
        if isinstance(subject, Rejected):
            self.swarm_app.open_message(subject)
