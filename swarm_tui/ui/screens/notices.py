"""Pages of what the screen has told and of the messages that were refused, the newest first."""

from rich.segment import Segment

from swarm_tui.protocol.envelope import Rejected
from swarm_tui.ui.look.text import Parts, clock, fit, flat, wrapped
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line, Value


class NoticesScreen(PageScreen):
    """The notices, with their times."""

    SCOPE = "message"
    PAGE = "notices"
    ASIDE = True

    def tick(self, now: float) -> None:
        self.renew()

    def title_parts(self, width: int) -> Parts:
        return self.titled("NOTICES", str(len(self.desk.notices.all)), [])

    def lay(self, width: int) -> list[Line]:
        look = self.desk.look
        lines: list[Line] = []
        for notice in reversed(self.desk.notices.all):
            for number, text in enumerate(wrapped(notice.text, width - 14)):
                when = f"  {clock(notice.at)}  " if number == 0 else " " * 12
                said = Segment(text, look["bad" if notice.bad else "plain"])
                lines.append(([Segment(when, look["quiet"]), said], Value(notice.text)))
        return lines or [([Segment("  Nothing was told yet", look["quiet"])], None)]


class RefusalsScreen(PageScreen):
    """The last ones that are kept; enter opens one."""

    SCOPE = "problems"
    PAGE = "refused"
    ASIDE = True
    _shown = 0
    """Number of those refused when it was laid out."""

    def title_parts(self, width: int) -> Parts:
        fleet = self.model.fleet
        kept = f"; the last {len(fleet.refusals)} are kept" if fleet.counts.refused > len(fleet.refusals) else ""
        more = [Segment(f"since this screen opened{kept}", self.desk.look["quiet"])]
        return self.titled("REFUSED", f"{fleet.counts.refused:,}", more)

    def lay(self, width: int) -> list[Line]:
        look = self.desk.look
        self._shown = self.model.fleet.counts.refused
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
        return lines or [([Segment("  No message was refused since this screen opened", look["quiet"])], None)]

    def take(self, delta: Delta, now: float) -> None:
        if delta.stream and self.model.fleet.counts.refused != self._shown:
            self.renew()

    def open(self) -> None:
        subject = self.page.subject()
        if isinstance(subject, Rejected):
            self.desk.pages.open_message(subject)
