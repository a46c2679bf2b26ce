"""The page of all swarms: those that run here and those on this broker, each with its troubles."""

from collections.abc import Iterator

from rich.segment import Segment

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.problems import Problem, problems
from swarm_tui.domain.states import LIVE, TaskState
from swarm_tui.ui.look.text import Parts, fit, flat
from swarm_tui.ui.model.source import Neighbour
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line

#: Troubles of one swarm that are told, the worst first.
MOST = 3
#: Columns of a swarm's name, at most.
LONGEST = 32
LOOKS = {"critical": ("‼", "bad"), "warning": ("!", "warn"), "info": ("·", "quiet")}
_RUNNING = (TaskState.ASSIGNED, TaskState.RUNNING)
_WAITING = (TaskState.QUEUED, TaskState.BLOCKED, TaskState.RETRY_WAIT, TaskState.AWAITING_APPROVAL, TaskState.HELD)
_FAILED = (TaskState.FAILED, TaskState.DEAD)


class NeighboursScreen(PageScreen):
    """A page about several swarms, this one among them. The others are heard only while it shows.

    Enter turns the screen to the swarm under the cursor.
    """

    SCOPE = "problems"
    OF_NOW = True

    def turn_to(self) -> None:
        self.others: list[Neighbour] = []

    def begin(self) -> None:
        self.page.cursor = 1  # Below the names of the columns.

    @property
    def whole(self) -> str:
        """Return the swarm whose shards alone it is about; empty for all swarms."""
        return ""

    def on_screen_resume(self) -> None:
        if self.desk.source.neighbours is not None:
            self.desk.source.neighbours.open(self.whole)
        super().on_screen_resume()

    def on_screen_suspend(self) -> None:
        """Hear the others no more."""
        if (neighbours := self.desk.source.neighbours) is not None:
            self.desk.in_thread(neighbours.close, lambda _: None)

    def on_top(self, now: float) -> None:
        self.look(now)
        super().on_top(now)

    def tick(self, now: float) -> None:
        self.look(now)
        self.renew()

    def look(self, now: float) -> None:
        """Take in what the others said, and ask those that were not asked yet for their tasks."""
        neighbours = self.desk.source.neighbours
        if neighbours is None:
            return
        self.others = neighbours.look()
        for name in neighbours.unasked():
            self.desk.in_thread(
                lambda name=name: (name, neighbours.ask(name)),  # type: ignore[misc]
                lambda found: neighbours.load(*found),
            )

    def own(self) -> Neighbour:
        """Return the swarm that the screen shows, as it is now."""
        facts = self.desk.source.facts
        return Neighbour(swarm=facts.swarm, broker=facts.broker, here=facts.session is not None, fleet=self.model.live)

    def troubles(self, each: Neighbour) -> list[Problem]:
        """Return what is wrong there, the worst first; nothing while it is not known yet."""
        known = each.fleet.was_linked or not each.fleet.broker_up
        return problems(each.fleet, self.desk.clock()) if known else []

    def trouble_lines(self, each: Neighbour, found: list[Problem], width: int) -> Iterator[Line]:
        """Yield a line for each of its worst troubles."""
        for problem in found[:MOST]:
            glyph, style = LOOKS[problem.severity]
            words = fit(f"       {glyph} {flat(problem.what)}", width)
            yield [Segment(words, self.desk.look[style])], each.swarm

    def opens(self) -> bool:
        return isinstance(self.page.subject(), str)

    def open(self) -> None:
        """Turn the screen to it."""
        subject = self.page.subject()
        if subject == self.desk.source.facts.swarm:
            self.desk.pages.close()
        elif isinstance(subject, str):
            self.desk.open_swarm(subject)


class SwarmsScreen(NeighboursScreen):
    """All of them, by name."""

    PAGE = "swarms"

    def title_parts(self, width: int) -> Parts:
        neighbours = self.desk.source.neighbours
        untold = neighbours.untold if neighbours is not None else 0
        more = f"and {untold} more" if untold else "here, and on this broker as far as it shows them"
        return self.titled("SWARMS", str(len(self.others) + 1), [Segment(more, self.desk.look["quiet"])])

    def lay(self, width: int) -> list[Line]:
        known = sorted([self.own(), *self.others], key=lambda each: each.swarm)
        name = max(8, *(min(LONGEST, len(flat(each.swarm))) for each in known))
        lines: list[Line] = [self._head(name, width)]
        for each in known:
            found = self.troubles(each)
            lines += [self._line(each, found, name, width), *self.trouble_lines(each, found, width)]
        return lines

    def _head(self, name: int, width: int) -> Line:
        names = f"    {'SWARM':<{name}} {'AGENTS':>7} {'RUN':>5} {'WAIT':>5} {'FAIL':>5}  TROUBLES  BROKER"
        return [Segment(fit(names, width), self.desk.look["quiet"])], None

    def _line(self, each: Neighbour, found: list[Problem], name: int, width: int) -> Line:
        look, fleet = self.desk.look, each.fleet
        counts = fleet.counts_by_state()
        run, wait, failed = (sum(counts[state] for state in states) for states in (_RUNNING, _WAITING, _FAILED))
        alive = sum(agent.state in LIVE for agent in fleet.agents.values())
        shown = each.swarm == self.desk.source.facts.swarm
        worst, style = LOOKS[found[0].severity] if found else ("●", "ok")
        parts = [
            Segment(" ▸" if shown else "  ", look["accent"]),
            Segment(f"{worst} ", look[style]),
            Segment(fit(flat(each.swarm), name) + " ", look["strong" if each.here else "plain"]),
            Segment(f"{heard(fleet, alive):>7} {run:>5} {wait:>5} ", look["plain"]),
            Segment(f"{failed:>5} ", look["bad" if failed else "plain"]),
            Segment(f" {len(found) or '-':>8}  ", look[style if found else "quiet"]),
        ]
        used = sum(part.cell_length for part in parts)
        where = flat(each.broker.split("://", 1)[-1]) + ("" if each.here else "  not brought up here")
        return [*parts, Segment(fit(where, max(0, width - used)), look["quiet"])], each.swarm


def heard(fleet: Fleet, alive: int) -> str:
    """Return how many agents are alive, of how many; a mark while nothing was heard yet."""
    return f"{alive}/{len(fleet.agents)}" if fleet.was_linked else "…"
