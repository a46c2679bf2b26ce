"""The tasks panel: what needs a person, what runs, what waits, what ended."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from rich.segment import Segment
from rich.style import Style

from swarm_tui.domain.outcome import came_badly, outcome, took, verdict_failed
from swarm_tui.domain.states import CANCEL_WITHIN, ENDED, GIVEN, OPEN, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.text import Parts, ago, bar, flat
from swarm_tui.ui.model.filters import Known
from swarm_tui.ui.model.row_lines import Group
from swarm_tui.ui.model.sorted_rows import Key
from swarm_tui.ui.widgets.columns import Column, Scene, id_cell, text_cell
from swarm_tui.ui.widgets.table import FLASH, Table

#: What each tab shows; None is everything.
TABS: list[tuple[str, frozenset[TaskState] | None]] = [
    ("all", None),
    ("open", frozenset(set(TaskState) - set(ENDED))),
    ("running", frozenset({TaskState.RUNNING, TaskState.ASSIGNED})),
    ("waiting", frozenset({TaskState.BLOCKED, TaskState.QUEUED, TaskState.RETRY_WAIT})),
    ("asks", frozenset({TaskState.AWAITING_APPROVAL, TaskState.HELD})),
    ("failed", frozenset({TaskState.FAILED, TaskState.DEAD, TaskState.EXPIRED})),
    ("done", frozenset({TaskState.COMPLETE, TaskState.CANCELLED, TaskState.SKIPPED})),
]
ASKS = frozenset({TaskState.AWAITING_APPROVAL, TaskState.HELD})
BAD = frozenset({TaskState.FAILED, TaskState.DEAD})
FRESH = 600.0
"""Seconds after which a failure is told in a low voice."""
BADLY = "came-badly"
"""A word of tasks that were done and came out badly, for a filter."""
_RANK = {
    TaskState.AWAITING_APPROVAL: 0,
    TaskState.HELD: 0,
    TaskState.RUNNING: 1,
    TaskState.ASSIGNED: 1,
    TaskState.RETRY_WAIT: 2,
    TaskState.QUEUED: 3,
    TaskState.BLOCKED: 4,
}
#: As names of the module: an enum looks its own up at each call, and a hundred thousand rows are sorted by them.
_QUEUED, _RUNNING = TaskState.QUEUED, TaskState.RUNNING
_PRIORITY = {"high": "▲", "low": "▽"}


def _state(task: TaskView, scene: Scene, width: int) -> Parts:
    glyph, style = glyphs.of_task(task)
    style = "quiet" if style in ("bad", "warn") and aged(task, scene.now) else style
    word = glyphs.WORD.get(task.state, task.state.value)
    if task.cancel_requested_at is not None and task.state in GIVEN:
        word, style = "stopping", "warn"
    text = f"{glyph} {word}"
    parts = text_cell(text, style, scene, width)
    if scene.now - scene.changed.get(task.task_id, 0.0) < FLASH:
        return [Segment(s.text, (s.style or Style()) + Style(reverse=True)) for s in parts]
    return parts


def _id(task: TaskView, scene: Scene, width: int) -> Parts:
    return id_cell(task.task_id, "id", scene, width)


def _type(task: TaskView, scene: Scene, width: int) -> Parts:
    return text_cell(flat(task.type), "plain", scene, width)


def _agent(task: TaskView, scene: Scene, width: int) -> Parts:
    if task.agent_id is None and task.assigned_to:
        return id_cell(f"→{task.assigned_to}", "quiet", scene, width)
    return id_cell(task.agent_id or "-", "plain" if task.agent_id else "quiet", scene, width)


def _attempt(task: TaskView, scene: Scene, width: int) -> Parts:
    text = str(task.attempt or "·")
    return text_cell(text, "warn" if task.attempt > 1 else "quiet", scene, width, True)


def _stopping(task: TaskView, now: float) -> str:
    """Return since when it is asked to stop, and for how long it may take; empty for one that is not."""
    asked = task.cancel_requested_at
    if asked is None or task.state not in GIVEN:
        return ""
    again = ", then again" if task.runs_again else ""
    return f"asked to stop {ago(now - asked)} ago, over in {ago(asked + CANCEL_WITHIN - now)}{again}"


#: The style of why a task waits, by whether something can be done about it.
_WAITS = {True: "warn", False: "quiet"}


def _progress(task: TaskView, scene: Scene, width: int) -> Parts:
    """Return what it asks; a bar while it runs; why it waits, or how it ended."""
    if asked := scene.asks(task):
        return text_cell(f"? {flat(asked)}", "alarm", scene, width)
    if stopping := _stopping(task, scene.now):
        return text_cell(stopping, "warn", scene, width)
    if task.state in (TaskState.RUNNING, TaskState.ASSIGNED) and task.progress is not None:
        percent = f"{task.progress:4.0f}%"
        gauge = 12 if width >= 28 else max(4, min(16, width - len(percent)))
        bars = [
            Segment(bar(task.progress, gauge), scene.look["bar"] + scene.look["head"]),
            Segment(percent, scene.look["busy"]),
        ]
        rest = width - gauge - len(percent)
        return bars + text_cell(" " + flat(task.message), "quiet", scene, rest)
    if (waits := scene.why_waiting(task))[0]:
        return text_cell(flat(waits[0]), _WAITS[bool(waits[1])], scene, width)
    if task.state is TaskState.RETRY_WAIT and task.retry_at:
        return text_cell(
            f"again in {ago(task.retry_at - scene.now)} {flat(task.error or task.reason)}", "warn", scene, width
        )
    if task.state in BAD:
        style = "quiet" if aged(task, scene.now) else "bad"
        return text_cell(flat(task.error or task.reason), style, scene, width)
    if task.state is TaskState.COMPLETE and (came := outcome(task.result)):
        badly = verdict_failed(task.result) and not aged(task, scene.now)
        return text_cell(flat(came), "bad" if badly else "quiet", scene, width)
    style = "warn" if task.state in ASKS else "quiet"
    return text_cell(flat(task.reason or task.message or ""), style, scene, width)


def _wait_place(task: TaskView) -> float:
    """Return the seconds that it waited, behind those the tasks that wait still: the oldest first."""
    begun = task.started_at or (task.ended_at or task.updated_at if task.state in ENDED else None)
    return -task.created_at if begun is None else begun - task.created_at


def _waited(task: TaskView, now: float) -> str:
    until = task.started_at or (task.ended_at or task.updated_at if task.state in ENDED else now)
    return ago(until - task.created_at) if task.created_at else "-"


def _wait(task: TaskView, scene: Scene, width: int) -> Parts:
    return text_cell(_waited(task, scene.now), "quiet", scene, width, True)


def _run(task: TaskView, scene: Scene, width: int) -> Parts:
    """Draw how long its last attempt took; how long one has run so far is said at the end of the row."""
    if task.state in OPEN:
        return text_cell("·", "quiet", scene, width, True)
    seconds = took(task.state, task.duration)
    if seconds is not None and seconds < 10:
        return text_cell(f"{seconds:.1f}s", "plain", scene, width, True)
    return text_cell(ago(seconds), "plain", scene, width, True)


def _begun(task: TaskView) -> float:
    """Return when its state began."""
    if (state := task.state) is _QUEUED and task.attempt <= 1:
        return task.created_at
    return (state is _RUNNING and task.started_at) or task.updated_at or task.created_at


def _since(task: TaskView, now: float) -> str:
    """Return how long it has been in its state."""
    return ago(now - _begun(task))


def aged(task: TaskView, now: float) -> bool:
    """Tell whether it failed so long ago that it is less loud than a new failure."""
    return task.state in (*BAD, TaskState.COMPLETE) and now - (task.ended_at or task.updated_at) > FRESH


def _age(task: TaskView, scene: Scene, width: int) -> Parts:
    style = "busy" if task.state is TaskState.RUNNING else "quiet"
    return text_cell(_since(task, scene.now), style, scene, width, True)


def columns() -> list[Column[TaskView]]:
    """Return the columns, in the order they stand."""
    return [
        Column("STATE", 11, 11, 0, _state, sort=lambda t: t.state),
        Column("TASK", 13, 24, 1, _id, sort=lambda t: t.task_id),
        Column("TYPE", 12, 18, 0, _type, sort=lambda t: t.type),
        Column("AGENT", 12, 20, 2, _agent, sort=lambda t: t.agent_id or t.assigned_to),
        Column("#", 2, 2, 5, _attempt, True, 84, sort=lambda t: t.attempt, most_first=True),
        Column("HOW IT GOES", 18, 90, 3, _progress, sort=lambda t: t.progress if t.state in OPEN else None),
        Column("WAIT", 4, 4, 6, _wait, True, 104, sort=_wait_place),
        Column("TOOK", 4, 4, 7, _run, True, 104, sort=lambda t: took(t.state, t.duration), most_first=True),
        Column("FOR", 4, 4, 1, _age, True, sort=_begun, most_first=True),
    ]


def _told(task: TaskView) -> str:
    """Return all words of a task that a filter looks at."""
    words = (task.task_id, task.type, task.state, task.agent_id, task.priority, task.error)
    return " ".join(filter(None, (*words, BADLY if came_badly(task) else "")))


_OF_STATE: dict[TaskState, Group] = {
    state: (_RANK.get(state, 5 if state in BAD else 6), state.value) for state in TaskState
}


class _Labels(dict[str | None, Group]):
    """The group of each name, made once: a hundred thousand rows have few. `lacks`: the last group, of no name."""

    def __init__(self, lacks: str) -> None:
        super().__init__()
        self._lacks = lacks

    def __missing__(self, name: str | None) -> Group:
        if len(self) >= 1 << 15:
            self.clear()
        self[name] = found = (0, name) if name else (1, self._lacks)
        return found


_TYPES, _AGENTS = _Labels("no type"), _Labels("no agent")


class TaskTable(Table[TaskView]):
    """Every task the screen knows; those that ask for a person first, then running, waiting, ended (newest first)."""

    NOUN = "tasks"
    COLUMNS = columns()
    GROUPS: Mapping[str, Callable[[TaskView], Group]] = {
        "state": lambda task: _OF_STATE[task.state],
        "type": lambda task: _TYPES[task.type],
        "agent": lambda task: _AGENTS[task.agent_id],
    }
    tab = 0

    def source(self) -> Mapping[str, TaskView]:
        return self.model.fleet.tasks

    def key(self, row: TaskView) -> Key:
        rank = _RANK.get(row.state, 4)
        if self.model.fleet.asks.open and self.model.fleet.asks.of_task(row.task_id):
            return (-1, row.created_at)
        if rank == 4:
            return (rank, -(row.ended_at or row.updated_at))
        if rank == 3:
            return (rank, {"high": 0, "low": 2}.get(row.priority, 1), row.created_at)
        return (rank, row.created_at)

    def has(self, word: str, *, of_all: bool) -> Callable[[TaskView], bool]:
        if " " in word or not of_all:
            return lambda task: word in _told(task).lower()
        types, agents = Known(lambda value: word in value), Known(lambda value: word in value)
        states = {state for state in TaskState if word in state}
        low = {priority for priority in ("low", "medium", "high") if word in priority}
        badly = word in BADLY

        def has(task: TaskView) -> bool:
            return (
                word in task.task_id.lower()
                or types[task.type]
                or agents[task.agent_id]
                or (bool(states) and task.state in states)
                or (bool(low) and task.priority in low)
                or ((error := task.error) is not None and word in error.lower())
                or (badly and came_badly(task))
            )

        return has

    def facts(self) -> Mapping[str, Callable[[TaskView], str | None]]:
        return {
            "task": lambda task: task.task_id,
            "type": lambda task: task.type,
            "state": lambda task: task.state,
            "agent": lambda task: task.agent_id,
        }

    def heard(self, row: TaskView) -> float | None:
        return row.updated_at

    def in_trouble(self, row: TaskView) -> bool:
        return row.task_id in self.model.wrong("tasks")

    def passing(self, *, of_all: bool = False) -> list[Callable[[TaskView], bool]]:
        checks, states = super().passing(of_all=of_all), TABS[self.tab][1]
        return checks if states is None else [lambda task: task.state in states, *checks]

    def narrows(self) -> tuple[object, ...]:
        return (self.tab, *super().narrows())

    def turn(self, by: int) -> None:
        """Show the next tab, or the one before."""
        self.set_tab((self.tab + by) % len(TABS))

    def set_tab(self, tab: int) -> None:
        """Show this tab."""
        self.tab = tab
        self.narrow()

    def apply(self, ids: Iterable[str], now: float) -> None:
        touched = list(ids)
        source = self.source()
        for task_id in touched:
            task = source.get(task_id)
            if task is not None and task.updated_at > now - 1.0:
                self.changed_at.pop(task_id, None)  # So that they stay in the order of their times.
                self.changed_at[task_id] = now
        super().apply(touched, now)

    def tick(self) -> None:
        now = self.model.clock()
        for name in [*takewhile(lambda name: now - self.changed_at[name] >= FLASH, self.changed_at)]:
            del self.changed_at[name]
        super().tick()

    def scene(self) -> Scene:
        asks = self.model.fleet.asks
        return replace(
            super().scene(),
            why_waiting=self.model.why_waiting,
            asks=lambda task: asks.told_of(task_id=task.task_id),
        )

    def dated(self, index: int) -> object:
        task, now = self.source().get(self.row_lines.name(index) or ""), self.model.clock()
        if task is None:
            return None
        again = ago(task.retry_at - now) if task.state is TaskState.RETRY_WAIT and task.retry_at else ""
        return (
            _since(task, now),
            aged(task, now),
            _stopping(task, now),
            _waited(task, now),
            again,
            task.task_id in self.changed_at,
            self.model.why_waiting(task),
            self.model.fleet.asks.told_of(task_id=task.task_id),
        )

    def flag(self, row: TaskView) -> Segment:
        return Segment(_PRIORITY.get(row.priority, " "), self.look["warn" if row.priority == "high" else "quiet"])

    def limits(self) -> dict[str, int]:
        shown = [self.rows[i] for i in range(min(len(self.rows), 50))]
        tasks = self.source()
        task = max((len(name) for name in shown), default=11)
        type_ = max((len(tasks[name].type) for name in shown if name in tasks), default=12)
        held = [tasks[name].agent_id or f"→{tasks[name].assigned_to or ''}" for name in shown if name in tasks]
        agent = max((len(name) for name in held), default=12)
        if self.size.width < 100:
            return {"TASK": min(task, 13), "TYPE": 12, "AGENT": min(agent, 14)}
        if self.size.width < 140:
            return {"TASK": min(task, 14), "TYPE": min(type_, 18), "AGENT": min(agent, 20)}
        return {"TASK": min(task, 40), "TYPE": min(type_, 24), "AGENT": min(agent, 28)}

    def title(self) -> list[tuple[str, str]]:
        shown, total = len(self.rows), len(self.source())
        whole = shown == total or self.problems
        title = [("TASKS", "title"), (f" {shown}" if whole else f" {shown}/{total}", "strong")]
        return title + ([(f" {TABS[self.tab][0]}", "accent")] if self.tab else [])

    def group_parts(self, label: str, ids: Sequence[str], width: int) -> Parts:
        """Return how many of a group are in each state."""
        if self.grouping == "state":
            return []
        rows = self.source()
        states = Counter(rows[name].state for name in ids if name in rows)
        parts: Parts = []
        for state in sorted(states, key=lambda state: (_RANK.get(state, 5), state)):
            glyph, style = glyphs.TASK[state]
            parts.append(Segment(f"   {glyph} {states[state]:,} {state.value}", self.look[style]))
        return parts

    def nothing(self) -> list[str]:
        clear, turn = self.told("clear"), f"{self.told('previous_state')} and {self.told('next_state')}"
        if self.pattern:
            return ["No task in trouble matches" if self.problems else "No task matches", f"{clear} clears the filter"]
        if self.problems and not self.tab:
            when = "was in trouble when the broker was lost" if self.model.stale else "is in trouble"
            return [f"No task {when}", f"{clear} shows all"]
        if self.tab and self.problems:
            return [f"No task in trouble is {TABS[self.tab][0]}", f"{turn} turn to other states"]
        if self.tab:
            return [f"No task is {TABS[self.tab][0]}", f"{turn} turn to other states"]
        return ["No task yet", f"{self.told('publish')} makes one; or in a shell: swarm-tui publish TYPE"]
