"""The page of changes between two moments: two of the past, or one of it and now."""

from rich.segment import Segment

from swarm_tui.domain.fleet.differences import ABOUT, Difference, differences
from swarm_tui.ui.look.text import Parts, fit, flat, span, when, wrapped
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line, Value, rule

#: Differences of one kind that the page lists, the worst first.
MOST = 300
#: Columns of an id.
ID_WIDTH = 26


class ChangesScreen(PageScreen):
    """Enter opens what a line is about. It follows the moment that shows, and now once a second."""

    SCOPE = "problems"
    PAGE = "changes"

    def turn_to(self) -> None:
        self._find()

    def on_top(self, now: float) -> None:
        self._find()
        super().on_top(now)

    def tick(self, now: float) -> None:
        self._find()
        self.renew()

    def _find(self) -> None:
        self._moments = self.desk.time.between()
        self._found: dict[str, list[Difference]] = {}
        if self._moments is not None:
            before, after = self._moments
            for each in differences(before.fleet, before.at, after.fleet):
                self._found.setdefault(each.about, []).append(each)

    def title_parts(self, width: int) -> Parts:
        if self._moments is None:
            return self.titled("CHANGES", "", [])
        before, after = (moment.at for moment in self._moments)
        count = sum(map(len, self._found.values()))
        now = self.desk.clock()
        until = "now" if self._moments[1].fleet is self.model.live else when(after, now)
        more = (
            f"{span(after - before)}, {count:,} differences" if count != 1 else f"{span(after - before)}, 1 difference"
        )
        return self.titled("CHANGES", f"{when(before, now)} → {until}", [Segment(more, self.desk.look["quiet"])])

    def lay(self, width: int) -> list[Line]:
        look, told = self.desk.look, self.told
        if self._moments is None:
            nothing = f"  No two moments: {told('time')} goes back in time, {told('mark_moment')} marks a moment there"
            return [([Segment(fit(nothing, width), look["quiet"])], None)]
        lines: list[Line] = []
        for about in ABOUT:
            found = self._found.get(about, [])
            if found:
                lines.append(rule(f"{about} {len(found):,}", width, self.page))
            for each in found[:MOST]:
                lines += self._lines(each, width)
            if len(found) > MOST:
                more = f"  and {len(found) - MOST:,} more; `swarm-tui history --changes` names all"
                lines.append(([Segment(fit(more, width), look["quiet"])], None))
        return lines or [([Segment("  Nothing changed between the two", look["quiet"])], None)]

    def _lines(self, each: Difference, width: int) -> list[Line]:
        """Return what changed, in as many lines as it takes: what is at its end is what it came to."""
        look = self.desk.look
        glyph = "!" if each.bad else "+" if each.before is None else "-" if each.after is None else "·"
        style = "bad" if each.bad else "plain"
        parts = [
            Segment(f"  {glyph} ", look[style]),
            Segment(fit(flat(each.id), min(ID_WIDTH, width // 3)) + " ", look["id"]),
        ]
        used = sum(part.cell_length for part in parts)
        words, indent = flat(each.words, 2000), [Segment(" " * used)]
        return [
            ([*(indent if number else parts), Segment(text, look[style])], Value(words, each.id))
            for number, text in enumerate(wrapped(words, width - used))
        ]

    def opens(self) -> bool:
        return super().opens() or self.page.subject() in self.model.fleet.runs

    def open(self) -> None:
        subject = self.page.subject()
        if not isinstance(subject, str):
            return
        if subject in self.model.fleet.agents:
            self.desk.pages.open_agent(subject)
        elif subject in self.model.fleet.tasks:
            self.desk.pages.open_task(subject)
        else:
            self.desk.pages.open_run(subject)
