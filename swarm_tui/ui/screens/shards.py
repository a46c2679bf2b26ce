"""The page over all shards of a swarm: who leads each, its agents, its tasks by state, its troubles, and the sums."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from rich.segment import Segment

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.problems import Problem
from swarm_tui.domain.states import LIVE, TaskState
from swarm_tui.domain.views import DispatcherView
from swarm_tui.protocol.rows import state_counts
from swarm_tui.protocol.shards import number_of, shard, whole_of
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, fit, flat
from swarm_tui.ui.model.source import Neighbour
from swarm_tui.ui.screens.swarms import LOOKS, NeighboursScreen, heard
from swarm_tui.ui.widgets.page import Line

#: Seconds after which a dispatcher is asked again how many tasks it has, and in which one is known that there is none.
EVERY, SETTLED = 3.0, 4.0
#: Columns from which names are whole, and from which every state of tasks has a column of its own.
ROOMY, WIDE = 110, 160
#: Shards that have a line though nothing is heard of them.
MOST_SILENT = 64


class Group(NamedTuple):
    """A column: states of tasks that are counted together, and how it looks where there are some."""

    head: str
    states: tuple[TaskState, ...]
    style: str = "plain"


_ENDED_ELSE = (TaskState.CANCELLED, TaskState.EXPIRED, TaskState.SKIPPED)
NARROW = (
    Group("WAIT", (TaskState.QUEUED, TaskState.BLOCKED, TaskState.RETRY_WAIT)),
    Group("ASK", (TaskState.AWAITING_APPROVAL, TaskState.HELD), "warn"),
    Group("RUN", (TaskState.ASSIGNED, TaskState.RUNNING)),
    Group("FAIL", (TaskState.FAILED, TaskState.DEAD), "bad"),
    Group("DONE", (TaskState.COMPLETE,)),
)
ALL_STATES = (
    Group("QUEUED", (TaskState.QUEUED,)),
    Group("BLOCKED", (TaskState.BLOCKED,)),
    Group("RETRY", (TaskState.RETRY_WAIT,)),
    Group("APPROVE", (TaskState.AWAITING_APPROVAL,), "warn"),
    Group("HELD", (TaskState.HELD,), "warn"),
    Group("GIVEN", (TaskState.ASSIGNED,)),
    Group("RUN", (TaskState.RUNNING,)),
    Group("FAILED", (TaskState.FAILED,), "bad"),
    Group("DEAD", (TaskState.DEAD,), "bad"),
    Group("DONE", (TaskState.COMPLETE,)),
    Group("OTHER", _ENDED_ELSE),
)


class ShardsScreen(NeighboursScreen):
    """Numbers are those of each dispatcher's journal, asked every few seconds; of one that is silent what was heard."""

    PAGE = "shards"

    def turn_to(self) -> None:
        super().turn_to()
        self._counts: dict[str, dict[str, int]] = {}
        self._asked: dict[str, float] = {}
        self._since = self.desk.clock()

    @property
    def whole(self) -> str:
        return whole_of(self.desk.source.facts.swarm) or ""

    def look(self, now: float) -> None:
        super().look(now)
        for each in self._known():
            leads = each.fleet.dispatcher is not None and each.fleet.dispatcher.online
            if not leads:
                self._counts.pop(each.swarm, None)
            elif now - self._asked.get(each.swarm, 0.0) >= EVERY:
                self._asked[each.swarm] = now
                self.desk.in_thread(partial(self._count, each.swarm), self._counted)

    def _count(self, name: str) -> tuple[str, dict[str, int] | None]:
        """Ask its dispatcher how many tasks it has; blocks."""
        source = self.desk.source
        if name == source.facts.swarm:
            reply = source.query("counts", {})
            return name, state_counts(reply.rows if reply is not None else ())
        return name, source.neighbours.count(name) if source.neighbours is not None else None

    def _counted(self, answer: tuple[str, dict[str, int] | None]) -> None:
        name, counts = answer
        if counts is not None:
            self._counts[name] = counts
            self.renew()

    def _known(self) -> list[Neighbour]:
        return sorted([self.own(), *self.others], key=lambda each: number_of(each.swarm) or 0)

    def title_parts(self, width: int) -> Parts:
        known, facts = self._known(), self.desk.source.facts
        neighbours = self.desk.source.neighbours
        lead = sum(_leads(each.fleet) for each in known)
        count = max(facts.shards, len(known))
        more = f"{lead} of {count} led"
        if neighbours is not None and neighbours.untold:
            more += f"; {neighbours.untold} more are not heard: too many at once"
        style = "quiet" if lead == count else "warn"
        return self.titled("SHARDS", flat(self.whole, 60), [Segment(more, self.desk.look[style])])

    def lay(self, width: int) -> list[Line]:
        look, known = self.desk.look, self._known()
        table = _Table(
            groups=ALL_STATES if width >= WIDE else NARROW,
            name=max(8, *(min(30, len(self._short(each.swarm, width))) for each in known)),
            leader=16 if width < ROOMY else 28,
            agents=7 if width < ROOMY else 9,
            number=6 if width < ROOMY else 7 if width < WIDE else 9,
        )
        lines: list[Line] = [([Segment(fit(table.head(), width), look["quiet"])], None)]
        wrong = 0
        for each in known:
            found = self.troubles(each)
            wrong += len(found)
            lines += [(self._line(each, found, table, width), each.swarm), *self.trouble_lines(each, found, width)]
        silent = self._silent(known)
        lines += [self._missing(name, table, width) for name in silent[:MOST_SILENT]]
        if len(silent) > MOST_SILENT:
            lines.append(([Segment(f"    and {len(silent) - MOST_SILENT:,} more", look["bad"])], None))
        line = [Segment("─" * width, look["track"])]
        return [*lines, (line, None), (self._sums(known, len(silent), wrong, table), None)]

    def _sums(self, known: list[Neighbour], silent: int, wrong: int, table: "_Table") -> Parts:
        """Return the line of all together."""
        look, sums = self.desk.look, Counter[str]()
        for each in known:
            sums.update(self._tasks(each))
        agents = [agent for each in known for agent in each.fleet.agents.values()]
        alive = sum(agent.state in LIVE for agent in agents)
        lead = f"{sum(_leads(each.fleet) for each in known)} lead"
        return [
            Segment(f"    {fit(f'all {len(known) + silent}', table.name)} {fit(lead, table.leader)} ", look["strong"]),
            Segment(f"{f'{alive}/{len(agents)}':>{table.agents}}", look["strong"]),
            *table.cells(sums, look),
            Segment(f"  {wrong or '-':>8}", look["warn" if wrong else "quiet"]),
        ]

    def _short(self, name: str, width: int) -> str:
        """Return the name; where there is little room, what tells it from the other shards."""
        return flat(name) if width >= ROOMY else flat(name.removeprefix(f"{self.whole}/"))

    def _silent(self, known: list[Neighbour]) -> list[str]:
        """Return the shards of the layout that were not heard of; at first none, for they may yet be found."""
        if self.desk.clock() - self._since < SETTLED:
            return []
        there = {each.swarm for each in known}
        names = [shard(self.whole, number) for number in range(self.desk.source.facts.shards)]
        return [name for name in names if name not in there]

    def _missing(self, name: str, table: "_Table", width: int) -> Line:
        layout = (self.desk.source.facts.layout or "LAYOUT").rpartition("/")[2]
        said = f"  ‼ {fit(self._short(name, width), table.name)} not heard of: `swarm-tui up {layout} --swarm {name}`"
        return [Segment(fit(said, width), self.desk.look["bad"])], None

    def _tasks(self, each: Neighbour) -> Mapping[str, int]:
        """Return its numbers of tasks, by state."""
        counts = self._counts.get(each.swarm)
        return counts if counts is not None else {str(s): n for s, n in each.fleet.counts_by_state().items()}

    def _line(self, each: Neighbour, found: list[Problem], table: "_Table", width: int) -> Parts:
        look, fleet = self.desk.look, each.fleet
        alive = sum(agent.state in LIVE for agent in fleet.agents.values())
        shown, known = each.swarm == self.desk.source.facts.swarm, fleet.was_linked
        worst, style = LOOKS[found[0].severity] if found else ("●", "ok") if _leads(fleet) else ("○", "warn")
        leader = _leader(fleet.dispatcher, width) if known else "…"
        return [
            Segment(" ▸" if shown else "  ", look["accent"]),
            Segment(f"{worst} ", look[style]),
            Segment(fit(self._short(each.swarm, width), table.name) + " ", look["strong" if each.here else "plain"]),
            Segment(fit(flat(leader), table.leader) + " ", look["plain" if _leads(fleet) or not known else "bad"]),
            Segment(f"{heard(fleet, alive):>{table.agents}}", look["plain"]),
            *table.cells(self._tasks(each), look, known=each.swarm in self._counts),
            Segment(f"  {len(found) or '-':>8}", look[style if found else "quiet"]),
        ]


class _Table(NamedTuple):
    """The columns: groups of states, and how wide a shard's name, its leader, its agents and each number are."""

    groups: tuple[Group, ...]
    name: int
    leader: int
    agents: int
    number: int

    def head(self) -> str:
        """Return the names of the columns."""
        states = "".join(f"{group.head:>{self.number}}" for group in self.groups)
        return f"    {fit('SHARD', self.name)} {fit('LEADER', self.leader)} {'AGENTS':>{self.agents}}{states}  TROUBLES"

    def cells(self, counts: Mapping[str, int], look: ThemeStyles, *, known: bool = True) -> Parts:
        """Return each group's number of tasks; where they are not `known`, what was heard."""
        parts: Parts = []
        for group in self.groups:
            number = sum(counts.get(state, 0) for state in group.states)
            style = group.style if number and known else "plain" if known else "quiet"
            said = f"{number:,}" if number or known else "?"
            said = said if len(said) < self.number else f"{number // 1000:,}k"
            parts.append(Segment(f"{said:>{self.number}}", look[style]))
        return parts


def _leads(fleet: Fleet) -> bool:
    return fleet.dispatcher is not None and fleet.dispatcher.online


def _leader(dispatcher: DispatcherView | None, width: int) -> str:
    if dispatcher is None:
        return "no dispatcher"
    who = dispatcher.agent_id or dispatcher.instance
    if not dispatcher.online:
        return f"away: {who}"
    return f"{who} epoch {dispatcher.epoch}" if width >= ROOMY else who
