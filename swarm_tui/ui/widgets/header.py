"""The header: the broker and whose it is, the dispatcher, the agents, the tasks, the rate; and the trouble strip."""

from collections.abc import Callable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from swarm_tui.domain.problems import Problem
from swarm_tui.domain.states import LIVE, TaskState
from swarm_tui.ui.desk.actions import Registry
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.text import Parts, clock, fit, flat, wrapped
from swarm_tui.ui.model.here import is_down
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.seen_problems import SWARM_WIDE, counted
from swarm_tui.ui.model.source import Facts
from swarm_tui.ui.widgets.static_lines import StaticLines, clicking
from swarm_tui.ui.widgets.tasks import BAD, BADLY, TABS, aged

_SHOWN = [
    (TaskState.AWAITING_APPROVAL, "to approve", "ask"),
    (TaskState.HELD, "held", "held"),
    (TaskState.RUNNING, "running", "run"),
    (TaskState.ASSIGNED, "assigned", "asgd"),
    (TaskState.QUEUED, "queued", "wait"),
    (TaskState.RETRY_WAIT, "to retry", "retry"),
    (TaskState.FAILED, "failed", "fail"),
    (TaskState.DEAD, "dead", "dead"),
    (TaskState.COMPLETE, "done", "done"),
]


#: The tab that shows the tasks of a state.
_TAB = {state: next(name for name, states in TABS[2:] if states and state in states) for state, _, _ in _SHOWN}

#: Words that go first where there is no room: their glyphs say enough.
_PLAIN_WORDS = frozenset({"agents", "run", "wait", "retry", "done", "asgd"})


#: The part of the day's budget from which on it stands out.
NEARLY = 0.8
#: How many of those that want the same done are told by their words.
LIKE = 3


class Header(StaticLines):
    """Two lines that answer at a glance."""

    DEFAULT_CSS = "Header { height: 2; background: $panel; }"

    def __init__(self, model: Model, facts: Facts, registry: Registry, *, read_only: bool, id: str) -> None:
        super().__init__(id=id)
        self.model = model
        self._registry = registry
        self.facts = facts
        self.read_only = read_only

    def lines(self, width: int) -> list[Parts]:
        refused = self._refused()
        room = width - sum(segment.cell_length for segment in refused)
        used = self._used()
        counts = self._agents() + self._asks() + self._tasks(short=False) + used
        if sum(segment.cell_length for segment in counts) > room:
            counts = self._agents() + self._asks() + self._tasks(short=True) + used
        if sum(segment.cell_length for segment in counts) > room:
            counts = self._agents() + self._asks() + self._tasks(short=True)
        if sum(segment.cell_length for segment in counts) > room:
            counts = [Segment("  ", part.style) if part.text.strip() in _PLAIN_WORDS else part for part in counts]
        if sum(segment.cell_length for segment in counts) > room:
            counts = [Segment(part.text.replace("  ", " "), part.style) for part in counts]
        second = ends(counts, refused, width)
        if waiting := self.model.waiting():
            second = ends(counts, [Segment(f"opening: waiting for {waiting} ", self.look["accent"])], width)
        if self.model.stale and not self.model.connecting:
            second = [Segment(part.text, (part.style or Style()) + Style(dim=True, bold=False)) for part in second]
        where, flow = self._where(width), self._flow()
        room = width - sum(part.cell_length for part in (*where, *flow))
        return [ends([*where, *self._guard(room)], flow, width), second]

    def _guard(self, room: int) -> Parts:
        """Tell how the swarm is guarded, in as many words as there is room for."""
        guard = self.facts.guard or self.model.guard
        style = self.look["warn" if guard == "unguarded" else "quiet"]
        said = next((text for text in (guard, guard.removeprefix("open to ")) if cell_len(text) + 3 <= room), "")
        return [Segment(f"  {said}", style)] if said and not self.facts.recording else []

    def _where(self, width: int) -> Parts:
        look = self.look
        parts = [
            Segment(f" {flat(self.facts.swarm, 40)} ", look["head-on"]),
            *self._link(),
            Segment(flat(self.facts.broker.split("://", 1)[-1], 30 if width < 100 else 60), look["quiet"]),
        ]
        if not self.facts.recording and (width >= 100 or not self.facts.embedded):
            parts.append(Segment(" (ours)" if self.facts.embedded else " (not ours)", look["quiet"]))
        return parts + self._dispatcher(width)

    def _link(self) -> Parts:
        look = self.look
        if (moment := self.model.moment) is not None:
            return [Segment(f" ◀ {clock(moment.at)} ", look["caution"]), Segment("broker ", look["plain"])]
        if self.model.ended is not None:
            return [Segment(f" ■ {clock(self.model.ended)} ", look["warn"]), Segment("end of ", look["warn"])]
        if self.facts.recording:
            # What is played as fast as it can be is at its end before its time is.
            at = min(self.model.clock(), *self.facts.recorded[1:]) if self.facts.recorded else self.model.clock()
            return [Segment(f" ▶ {clock(at)} ", look["ok"])]
        if self._is_down():
            return [Segment(" ○ ", look["warn"]), Segment("DOWN ", look["warn"])]
        if self.model.fleet.broker_up:
            return [Segment(" ● ", look["ok"]), Segment("broker ", look["plain"])]
        if self.model.connecting:
            return [Segment(" ◌ ", look["accent"]), Segment("connecting to ", look["plain"])]
        return [Segment(" ✗ ", look["bad"]), Segment("NO BROKER ", look["bad"])]

    def _is_down(self) -> bool:
        return self.model.moment is None and is_down(self.model.here, self.model.live)

    def _dispatcher(self, width: int) -> Parts:
        look, leader = self.look, self.model.fleet.dispatcher
        if self._is_down() or (leader is None and not self.model.fleet.was_linked):
            return []
        if leader is None:
            return [Segment("  ○ ", look["quiet"]), Segment("leaderless: best effort", look["warn"])]
        name = flat(leader.agent_id or "dispatcher", 20)
        mark, style = ("●", "ok") if leader.online else ("✗", "bad")
        style = "quiet" if self.model.stale else style
        more = f" epoch {leader.epoch}" if width >= 100 else ""
        return [
            Segment(f"  {mark} ", look[style]),
            Segment(name + ("" if leader.online else " away"), look["plain" if leader.online else "bad"]),
            Segment(more, look["quiet"]),
        ]

    def _flow(self) -> Parts:
        parts = [Segment(f"{self.model.fleet.rate:,.0f} msg/s ", self.look["quiet"])]
        if self.read_only:
            parts.insert(0, Segment(" read-only ", self.look["caution"]))
        return parts

    def _agents(self) -> Parts:
        look, agents = self.look, self.model.fleet.agents
        up = sum(1 for agent in agents.values() if agent.state in LIVE)
        style = "ok" if agents and up == len(agents) else "warn" if agents else "quiet"
        click = clicking("screen.show('agents')")
        return [
            Segment(f" {up}/{len(agents)}", look[style] + Style(bold=True) + click),
            Segment(" agents  ", look["quiet"] + click),
        ]

    def _asks(self) -> Parts:
        waiting = len(self.model.fleet.asks.open)
        if not waiting:
            return []
        return [Segment(f" ? {waiting} ask{'' if waiting == 1 else 's'} ", self.look["alarm"]), Segment("  ")]

    def _used(self) -> Parts:
        """Tell what this day's conversations took, of what they may take."""
        used = self.model.live.usage_today
        if used is None or not (used.tokens_in or used.cost) or self.model.moment is not None:
            return []
        limit = (used.budget or {}).get("day")
        spent = (used.budget or {}).get("spent_day") or used.cost
        style = "quiet" if limit is None or spent < NEARLY * limit else "warn" if spent < limit else "bad"
        of = "" if limit is None else f" of ${limit:g}"
        return [Segment(f"{used.money}{of} today  ", self.look[style])]

    def _tasks(self, *, short: bool) -> Parts:
        look, counts = self.look, self.model.counts()
        badly = self.model.fleet.came_badly
        parts: Parts = []
        for state, long, brief in _SHOWN:
            count = counts[state]
            if state is TaskState.COMPLETE and badly:
                count = max(0, count - badly)
                click = clicking(f"screen.show('tasks', '{BADLY}', 'done')")
                parts.append(Segment(f"{glyphs.DONE_BADLY[0]} {badly:,}", look[glyphs.DONE_BADLY[1]] + click))
                parts.append(Segment(" bad  ", look["quiet"] + click))
            if count or state in (TaskState.RUNNING, TaskState.QUEUED):
                glyph, style = glyphs.TASK[state]
                style = style if count and not (state in BAD and self._all_aged(state)) else "quiet"
                click = clicking(f"screen.show('tasks', '', '{_TAB[state]}')")
                parts.append(Segment(f"{glyph} {count:,}", look[style] + click))
                parts.append(Segment(f" {brief if short else long}  ", look["quiet"] + click))
        return parts

    def _all_aged(self, state: TaskState) -> bool:
        """Tell whether the last task that came to the state did so long ago."""
        fleet = self.model.fleet
        last = next(reversed(fleet.by_state[state]), None)
        return last is None or aged(fleet.tasks[last], self.model.clock())

    def _refused(self) -> Parts:
        refused = self.model.fleet.counts.refused
        if not refused:
            return []
        keys = self._registry.keys("refused")
        click = clicking(f"screen.press('{keys[0]}')") if keys else Style()
        return [Segment(f"{refused:,} refused: {self._registry.told('refused')} ", self.look["warn"] + click)]


class ProblemStrip(StaticLines):
    """The loudest lines of the screen, there only when something is wrong: one, or, spread, each with what to do."""

    DEFAULT_CSS = "ProblemStrip { height: 1; }"

    def __init__(self, model: Model, key_text: Callable[[str], str], *, id: str) -> None:
        super().__init__(id=id)
        self._model = model
        self._key_text = key_text
        self.spread = False
        """Whether all that is wrong shows, seen or not, and what to do about it."""

    @property
    def found(self) -> list[Problem]:
        """Return what it has to say, the worst first."""
        return self._model.problems() if self.spread else self._model.current_problems()

    @property
    def line_count(self) -> int:
        """Return the lines it takes."""
        if not self.display:
            return 0
        return len(self._spread(self.found, self.screen.size.width)) if self.spread else 1

    def show(self) -> bool:
        """Say what is so now; whether its height changed."""
        before = self.line_count if self.is_attached else -1
        self.display = bool(self.found)
        tall = self.line_count
        if tall:
            self.styles.height = tall
        self.renew()
        return tall != before

    def on_click(self) -> None:
        """Go where its key goes."""
        self.screen.act("problems")  # type: ignore[attr-defined]

    def lines(self, width: int) -> list[Parts]:
        found = self.found
        if not found:
            return [[]]
        return self._spread(found, width) if self.spread else [self._line(found, width)]

    def _line(self, found: list[Problem], width: int) -> Parts:
        fresh, old = self._model.current_by_age()
        told = {id(problem) for problem in found}
        counts = counted([problem for problem in old if id(problem) in told])
        found = [problem for problem in fresh if id(problem) in told]
        if not found:
            tail = self.more(old, 0)
            return [Segment(fit(f" ! {counts}", width - len(tail) - 1) + tail + " ", self.look["warn"])]
        grave = found[0].severity == "critical"
        text, shown = f" {'‼' if grave else '!'} {flat(found[0].what)}", 1
        for problem in found[1:]:
            longer = f"{text}  ·  {flat(problem.what, 80)}"
            if cell_len(longer) > width - 30:
                break
            text, shown = longer, shown + 1
        tail = self.more(found, len(found) - shown)
        if counts and cell_len(tail) + cell_len(counts) < width // 2:
            tail = f"  ·  {counts}{tail}"
        return [Segment(fit(text, width - len(tail) - 1) + tail + " ", self.look["alarm" if grave else "caution"])]

    def more(self, found: list[Problem], left: int) -> str:
        """Return the end of its line: how many there is no room for, and the keys."""
        tail = (f" +{left} more:" if left else " ") + f" {self._key_text('problems')} shows"
        if any(problem.subject not in SWARM_WIDE for problem in found):
            tail += f", {self._key_text('seen')} seen"
        return tail

    def _spread(self, found: list[Problem], width: int) -> list[Parts]:
        """Return all that is wrong, what nobody has seen first; what to do is said once for all that want the same."""
        lines: list[Parts] = []
        most = max(3, self.screen.size.height * 2 // 5)
        advice: set[str] = set()
        left = len(found)
        for alike in self._alike(found):
            todo = "" if alike[0].todo in advice else alike[0].todo
            fresh = self._told_of(alike, todo, width, LIKE)
            if len(lines) + len(fresh) + (left > len(alike)) > most:
                fresh = self._told_of(alike, todo, width, 1)
            if len(lines) + len(fresh) + (left > len(alike)) > most:
                lines.append([Segment(fit(f"   +{left} more, below", width), self.look["quiet"])])
                break
            lines += fresh
            left -= len(alike)
            advice.add(alike[0].todo)
        return lines

    def _alike(self, found: list[Problem]) -> list[list[Problem]]:
        """Put those together that want the same done; what was seen last."""
        groups: dict[tuple[bool, str], list[Problem]] = {}
        for problem in sorted(found, key=self._model.seen_problems.is_seen):
            groups.setdefault((self._model.seen_problems.is_seen(problem), problem.todo or problem.what), []).append(
                problem
            )
        return list(groups.values())

    def _told_of(self, alike: list[Problem], todo: str, width: int, most: int) -> list[Parts]:
        """Tell of some that want the same done, the first few by their words, and then what that is."""
        if len(alike) == 1:
            return self._told(alike[0], todo, width)
        lines = [line for problem in alike[:most] for line in self._told(problem, "", width)]
        more = f"+{len(alike) - most} more" if len(alike) > most else ""
        if not todo:
            return [*lines, [Segment(f"   {more}", self.look["quiet"])]] if more else lines
        quiet = self._model.seen_problems.is_seen(alike[0])
        for number, line in enumerate(_two(f"{more}: {todo}" if more else flat(todo), width - 6, 0)):
            lines.append(
                [
                    Segment("   → " if number == 0 else "     ", self.look["accent"]),
                    Segment(line, self.look["quiet" if quiet else "plain"]),
                ]
            )
        return lines

    def _told(self, problem: Problem, advice: str, width: int) -> list[Parts]:
        """Tell what is wrong and what to do: on one line where there is room."""
        look, seen = self.look, self._model.seen_problems.is_seen(problem)
        style = "quiet" if seen else {"critical": "bad", "warning": "warn"}.get(problem.severity, "plain")
        mark = "‼" if problem.severity == "critical" else "!"
        text = f" {mark} {flat(problem.what, 400)}{' (seen)' if seen else ''}"
        todo: Parts = [Segment("→ ", look["accent"]), Segment(flat(advice), look["quiet" if seen else "plain"])]
        room = width - cell_len(text) - 2
        if advice and sum(part.cell_length for part in todo) <= room:
            return [[Segment(text + "  ", look[style]), *todo]]
        lines: list[Parts] = [
            [Segment(("" if number == 0 else "   ") + line, look[style])]
            for number, line in enumerate(_two(text, width - 1, 3))
        ]
        for number, line in enumerate(_two(flat(advice), width - 6, 0) if advice else []):
            lines.append([Segment("   → " if number == 0 else "     ", look["accent"]), Segment(line, todo[1].style)])
        return lines


def _two(text: str, width: int, indent: int) -> list[str]:
    """Return the text in two lines at most; the second is shorter by `indent`."""
    lines = wrapped(text.strip(), width - 1)
    rest = [fit(" ".join(lines[1:]), width - indent).rstrip()] if len(lines) > 1 else []
    return [(" " if indent else "") + lines[0], *rest]


def ends(left: Parts, right: Parts, width: int) -> Parts:
    """Return `left` and `right` at the two ends of a line; what is too much of `left` is cut."""
    room = max(0, width - sum(s.cell_length for s in right))
    kept: Parts = []
    used = 0
    for segment in left:
        size = segment.cell_length
        if used + size > room:
            kept.append(Segment(fit(segment.text, room - used), segment.style))
            used = room
            break
        kept.append(segment)
        used += size
    return [*kept, Segment(" " * (room - used)), *right]
