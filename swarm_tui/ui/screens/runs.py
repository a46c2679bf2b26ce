"""Pages of the runs of workflows: all of them, and one with its graph."""

from typing import Any

from rich.segment import Segment

from swarm_tui.domain.comparison import COMPARE, Candidate, candidates, table
from swarm_tui.domain.fleet.runs import RunView, StepView
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.rows import ScheduleRow, run_rows, schedule_rows
from swarm_tui.ui.desk.capabilities import HasRuns, HasTasks
from swarm_tui.ui.live.past import answer
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, ago, clock, fit, flat
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.widgets.page import Line, rule

#: Glyph and style of a step's and a run's state.
GLYPHS = {
    "asked": ("·", "wait"),
    "rejected": ("✗", "bad"),
    "blocked": ("◌", "wait"),
    "running": ("▶", "busy"),
    "asking": ("?", "warn"),
    "complete": ("✓", "ok"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "quiet"),
    "skipped": ("⊝", "quiet"),
}
_ASKS = {TaskState.AWAITING_APPROVAL: "waits for approval", TaskState.HELD: "is held"}
_BAD = frozenset({TaskState.FAILED, TaskState.DEAD, TaskState.CANCELLED, TaskState.EXPIRED})
#: Steps that a line of the list shows as glyphs, and columns that a deeper step is set in, at most.
MOST_GLYPHS, DEEPEST = 24, 6
#: Columns of the picture of time, where there is room for it beside the rest.
TIME_WIDTH, ROOM_FOR_TIME = 30, 118
#: Steps of a run whose page is drawn at once when something is said; one of more is drawn each second.
MANY_STEPS = 500
#: Columns from which a step's type shows: why it is as it is matters more.
ROOM_FOR_TYPE = 100


class _RunPage(PageScreen, HasRuns):
    """A page about runs, which the dispatcher is asked about as it opens."""

    SCOPE = "run"

    def ask_dispatcher(self, query: str, args: dict[str, Any]) -> None:
        """Ask the dispatcher; what it says is taken in, and drawn."""
        desk = self.desk
        if desk.model.fleet.broker_up:
            desk.in_thread(lambda: answer(desk.source, query, args), self._answered)

    def _answered(self, reply: Reply | None) -> None:
        self.model.fleet.load_runs(run_rows(reply.rows if reply else ()))
        self.renew()

    def take(self, delta: Delta, now: float) -> None:
        if delta.header:
            self.renew()

    def tick(self, now: float) -> None:
        self.renew()

    def glyph(self, state: str) -> Segment:
        """Return a state's glyph in its colour."""
        glyph, style = GLYPHS.get(state, ("?", "quiet"))
        return Segment(glyph, self.desk.look[style])


class RunsScreen(_RunPage):
    """A line for each run, the newest first; enter opens one."""

    PAGE = "runs"

    def turn_to(self) -> None:
        self.schedules: list[ScheduleRow] = []

    def begin(self) -> None:
        self.ask_dispatcher("runs", {"limit": 100})
        desk = self.desk
        if desk.model.fleet.broker_up:
            desk.in_thread(lambda: answer(desk.source, "schedules", {}), self._scheduled)

    def _scheduled(self, reply: Reply | None) -> None:
        self.schedules = schedule_rows(reply.rows if reply else ())
        self.renew()

    def title_parts(self, width: int) -> Parts:
        runs = self.model.fleet.runs.values()
        open_ones = sum(not run.is_over for run in runs)
        return self.titled("RUNS", str(len(runs)), [Segment(f"· {open_ones} running", self.desk.look["quiet"])])

    def lay(self, width: int) -> list[Line]:
        runs = sorted(self.model.fleet.runs.values(), key=lambda run: run.created_at, reverse=True)
        empty = "  No run is known; `swarm-tui run NAME` begins one"
        lines = [self._line(run, width) for run in runs] or [([Segment(empty, self.desk.look["quiet"])], None)]
        if self.schedules:
            lines.append(rule("schedules", width, self.page))
        return lines + [self._schedule(row, width) for row in self.schedules]

    def _schedule(self, row: ScheduleRow, width: int) -> Line:
        look = self.desk.look
        until = "never" if row.next_at is None else f"in {ago(row.next_at - self.model.clock())}"
        parts = [
            Segment("  " + fit(flat(row.name), 20) + " ", look["id"]),
            Segment(fit("paused" if row.paused else until, 10) + " ", look["warn" if row.paused else "plain"]),
            # In little room what is wrong matters more than when it was to be.
            Segment("" if row.reason and width < ROOM_FOR_TYPE else fit(flat(row.cron), 16) + " ", look["quiet"]),
            Segment(fit(flat(row.what), 22) + " ", look["plain"]),
        ]
        used = sum(part.cell_length for part in parts)
        why = row.reason or f"fired {row.fired}, skipped {row.skipped}; {row.timezone}"
        style = "warn" if row.reason and not row.paused else "quiet"
        return [*parts, Segment(fit(flat(why), max(0, width - used)), look[style])], None

    def _line(self, run: RunView, width: int) -> Line:
        look = self.desk.look
        steps = list(run.steps.values())
        took = ago((run.ended_at or self.model.clock()) - run.created_at)
        parts = [
            Segment("  "),
            self.glyph(run.state),
            Segment(" " + fit(flat(run.run_id), 24) + " ", look["id"]),
            Segment(fit(flat(run.workflow), 12) + " ", look["plain"]),
            *(self.glyph(_state(step)) for step in steps[:MOST_GLYPHS]),
            Segment("…" if len(steps) > MOST_GLYPHS else ""),
            Segment(f" {took} ", look["quiet"]),
        ]
        used = sum(part.cell_length for part in parts)
        style = "bad" if run.state in ("failed", "rejected") else "quiet"
        return [*parts, Segment(fit(_word(run), max(0, width - used)), look[style])], run.run_id

    def opens(self) -> bool:
        return self.page.subject() in self.model.fleet.runs

    def open(self) -> None:
        subject = self.page.subject()
        if isinstance(subject, str) and self.opens():
            self.desk.pages.open_run(subject)

    def run_id(self) -> str | None:
        subject = self.page.subject()
        return subject if isinstance(subject, str) else None


class RunScreen(_RunPage, HasTasks):
    """A run's graph: a step stands right of what it needs. Enter opens the task of the step under the cursor."""

    PAGE = "run"

    def turn_to(self, run_id: str) -> None:
        self.about = run_id
        self._fresh = True
        """Whether the cursor is to go to the first step."""

    def renew(self) -> None:
        before = self.page.subject() if self.page.laid else None
        super().renew()
        lines = [line[1] for line in self.page.laid]
        if before is not None and before in lines and self.page.subject() != before:
            # A line came or went above: the cursor stays at its step.
            self.page.go(lines.index(before))
        first = next((index for index, line in enumerate(self.page.laid) if line[1] is not None), None)
        if self._fresh and first is not None and not self.page.room:
            # It has no size yet, and whoever is quick types before it has: nothing scrolls, the head stays in sight.
            self._fresh, self.page.cursor = False, first
        elif self._fresh and first is not None and self.page.room > first:
            self._fresh = False
            self.page.go(first)

    def begin(self) -> None:
        self.ask_dispatcher("run", {"run_id": self.about})

    def take(self, delta: Delta, now: float) -> None:
        if self.run is None or len(self.run.steps) <= MANY_STEPS:
            super().take(delta, now)

    @property
    def run(self) -> RunView | None:
        """Return the run, as far as it is known."""
        return self.model.fleet.runs.get(self.about)

    def title_parts(self, width: int) -> Parts:
        run = self.run
        if run is None:
            return self.titled("RUN", flat(self.about), [Segment("nothing is known of it", self.desk.look["quiet"])])
        took = ago((run.ended_at or self.model.clock()) - run.created_at)
        more = [self.glyph(run.state), Segment(f" {run.state} {flat(run.workflow)}, {took}", self.desk.look["plain"])]
        return self.titled("RUN", flat(run.run_id), more)

    def lay(self, width: int) -> list[Line]:
        run, look = self.run, self.desk.look
        if run is None:
            return [([Segment("  The dispatcher has not answered", look["quiet"])], None)]
        lines: list[Line] = [
            ([Segment(f"  {name:<9}", look["quiet"]), Segment(fit(flat(value), max(0, width - 12)))], None)
            for name, value in (("by", run.by), ("began", clock(run.created_at)), ("reason", run.reason))
            if value
        ]
        if run.workflow == COMPARE:
            found = candidates(run, self.model.task)
            lines += [rule("side by side, the best first", width, self.page), *_side_by_side(found, look, width)]
        lines.append(rule("steps; the longest way stands out", width, self.page))
        depths, longest = _depths(run), _longest(run)
        room = min(30, max((len(name) + 3 * min(depth, DEEPEST) for name, depth in depths.items()), default=8))
        for name in sorted(depths, key=lambda name: depths[name]):
            lines.append((self._step(run, run.steps[name], depths[name], room, width, name in longest), name))
        return lines

    def _step(self, run: RunView, step: StepView, depth: int, room: int, width: int, long: bool) -> Parts:
        look, now = self.desk.look, self.model.clock()
        indent = "   " * (min(depth, DEEPEST) - 1) + "└─▸" if depth else ""
        took = "" if step.began_at is None else ago((step.ended_at or now) - step.began_at)
        parts: Parts = [
            Segment("  "),
            Segment(indent, look["track"]),
            self.glyph(_state(step)),
            Segment(" " + fit(flat(step.name), max(4, room - len(indent))) + " ", look["strong" if long else "plain"]),
            Segment(fit(flat(step.type), 20) + " " if width >= ROOM_FOR_TYPE else "", look["quiet"]),
            Segment(fit(_done(step), 10) + " ", look[GLYPHS.get(step.state, ("", "quiet"))[1]]),
            Segment(fit(took, 7, right=True) + " ", look["quiet"]),
        ]
        used = sum(part.cell_length for part in parts)
        left = width - used - (TIME_WIDTH + 1 if width >= ROOM_FOR_TIME else 0)
        why = _why(step) if step.state != "failed" else self._error(step) or _why(step)
        parts.append(Segment(fit(why, max(0, left)), look["warn" if step.state == "running" else "quiet"]))
        if width >= ROOM_FOR_TIME:
            parts.append(Segment(" " + _time(run, step, now), look[GLYPHS.get(step.state, ("", "quiet"))[1]]))
        return parts

    def _error(self, step: StepView) -> str:
        known = (self.model.task(task_id) for task_id, state in step.tasks.items() if state in _BAD)
        return flat(step.reason or next((task.error or task.reason for task in known if task is not None), ""))

    def task_ids(self) -> list[str]:
        """Return the open tasks of the step under the cursor, or its only one."""
        run, subject = self.run, self.page.subject()
        step = run.steps.get(subject) if run is not None and isinstance(subject, str) else None
        if step is None:
            return []
        known = [task_id for task_id in step.tasks if task_id in self.model.fleet.tasks]
        asking = [task_id for task_id in known if step.tasks[task_id] in _ASKS]
        bad = [task_id for task_id in known if step.tasks[task_id] in _BAD]
        return asking or bad[:1] or known[-1:]

    def _opened_task(self) -> str | None:
        """The task of the step under the cursor that enter opens; one that was never heard of is asked for there."""
        run, subject = self.run, self.page.subject()
        step = run.steps.get(subject) if run is not None and isinstance(subject, str) else None
        return next(iter(self.task_ids()), next(iter(step.ids), None) if step is not None else None)

    def opens(self) -> bool:
        return self._opened_task() is not None

    def open(self) -> None:
        if (task_id := self._opened_task()) is not None:
            self.desk.pages.open_task(task_id)

    def run_id(self) -> str | None:
        return self.about

    def step(self) -> str | None:
        run, subject = self.run, self.page.subject()
        return subject if run is not None and isinstance(subject, str) and subject in run.steps else None


def _word(run: RunView) -> str:
    asking = next((f"{step.name} {word}" for step in run.steps.values() if (word := _asking(step))), "")
    return flat(run.reason or asking or run.state)


def _asking(step: StepView) -> str:
    return next((_ASKS[state] for state in step.tasks.values() if state in _ASKS), "")


def _state(step: StepView) -> str:
    return "asking" if step.state == "running" and _asking(step) else step.state


def _done(step: StepView) -> str:
    states = step.last_round
    ended = sum(state in ENDED for state in states)
    many = step.count or (len(states) if len(states) > 1 else None)
    return f"{ended}/{many}" if many and step.state == "running" else step.state


def _why(step: StepView) -> str:
    return flat(step.reason or _asking(step) or (f"← {', '.join(step.needs)}" if step.needs else ""))


def _side_by_side(found: list[Candidate], look: ThemeStyles, width: int) -> list[Line]:
    """Return a column for each who did the same task."""
    room = max(8, (width - 12) // max(1, len(found)) - 1)
    head: list[Segment] = [Segment(" " * 12)]
    head += [Segment(fit(flat(one.name), room) + " ", look["strong"]) for one in found]
    lines: list[Line] = [(head, None)]
    for name, cells in table(found):
        parts = [Segment(f"  {name:<10}", look["quiet"])]
        parts += [Segment(fit(flat(cell), room) + " ", look[_said_style(cell)]) for cell in cells]
        lines.append((parts, None))
    return lines


def _said_style(cell: str) -> str:
    if cell.startswith(("failed", "dead")):
        return "bad"
    return "ok" if cell.startswith(("passed", "complete", "merged")) else "plain"


def _depths(run: RunView) -> dict[str, int]:
    """Return how far right each step stands: one further than the last of what it needs."""
    depths: dict[str, int] = {}
    for first in run.steps:
        stack = [first]
        while stack:
            name = stack[-1]
            needs = [need for need in run.steps[name].needs if need in run.steps]
            todo = [need for need in needs if need not in depths and need not in stack]
            if todo and name not in depths:
                stack.append(todo[0])
                continue
            depths[name] = 1 + max((depths.get(need, -1) for need in needs), default=-1)
            stack.pop()
    return depths


def _longest(run: RunView) -> set[str]:
    """Return the steps that decided how long the run took so far: the last, and back along the last of its needs."""
    begun = {name: step.ended_at or float("inf") for name, step in run.steps.items() if step.began_at is not None}
    name = max(begun, key=lambda name: begun[name], default="")
    found: set[str] = set()
    while name and name not in found:
        found.add(name)
        needs = [need for need in run.steps[name].needs if need in begun]
        name = max(needs, key=lambda need: begun[need], default="")
    return found


def _time(run: RunView, step: StepView, now: float) -> str:
    """Return when in the run the step was done, as a bar."""
    whole = max(0.001, (run.ended_at or now) - run.created_at)
    if step.began_at is None:
        return " " * TIME_WIDTH
    begin = min(TIME_WIDTH - 1, max(0, int((step.began_at - run.created_at) / whole * TIME_WIDTH)))
    end = min(TIME_WIDTH, max(begin + 1, round(((step.ended_at or now) - run.created_at) / whole * TIME_WIDTH)))
    return " " * begin + "━" * (end - begin) + " " * (TIME_WIDTH - end)
