"""A task's page: what it is, every hop with its time, how it ended, what was said, what its agent wrote meanwhile."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.segment import Segment

from swarm_tui.bus.port import BusError
from swarm_tui.client.hosts_output import hosts_online
from swarm_tui.client.past import heard_by
from swarm_tui.domain.hops import timeline
from swarm_tui.domain.states import ENDED, GIVEN, OPEN
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import Hop, task_rows
from swarm_tui.ui.desk.capabilities import HasAgents, HasTasks, InParts
from swarm_tui.ui.live.past import answer, history
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.message_line import summary
from swarm_tui.ui.look.sgr import plain
from swarm_tui.ui.look.text import Parts, ago, clock, fit, flat, span, wrapped
from swarm_tui.ui.look.words import units_of
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.model.source import Source
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.screens.talk import talk
from swarm_tui.ui.screens.task_change import PARTS, change_lines, has_parts, merge_lines, parts_line, usage_lines
from swarm_tui.ui.screens.task_facts import Seen, facts
from swarm_tui.ui.widgets.lines import Lines
from swarm_tui.ui.widgets.page import Line, Value, rule
from swarm_tui.ui.widgets.tree import Path, tree
from swarm_tui.worktrees.change import Change
from swarm_tui.worktrees.git import GitError

_HOP = {"failed": "bad", "dead": "bad", "rejected": "bad", "held": "warn", "retry-wait": "warn", "complete": "ok"}
_STAMP = re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)")


PRINTED = 300
"""Lines of what a task printed that its page shows, the last ones."""
EVERY = 2
"""Seconds between two looks at what a running task prints."""
CHANGE_EVERY = 10
"""The same at what it has changed, while that shows."""


class TaskScreen(PageScreen, HasAgents, HasTasks, InParts):
    """The page of a task. What the screen did not hear itself it asks of the dispatcher and of monitoring."""

    SCOPE = "task"
    _generation = 0

    def turn_to(self, task_id: str, part: str = "") -> None:
        self.task_id, self.part = task_id, part or PARTS[0]
        self.change: Change | None = None
        self.why_no_change = ""
        """Why there is none to show, once that is known."""
        self.spent: list[dict[str, Any]] = []
        self._drawn: tuple[object, int, list[Line]] = (None, 0, [])
        self._reading = False
        self._generation += 1
        self.past: list[Event] = []
        self.written: list[str] | None = None
        self.unanswered: list[str] = []
        """Who was asked and has not answered."""
        self.log_of = ""
        self.printed: list[str] = []
        """What its last attempt printed."""
        self._asking = False
        self._age_drawn = ""

    def begin(self) -> None:
        desk, task_id = self.desk, self.task_id
        if desk.model.fleet.broker_up:
            self.unanswered = ["the dispatcher", "monitoring"]
            desk.in_thread(lambda: answer(desk.source, "task", {"task_id": task_id}), self._if_current(self._row))
            asked = {"task_id": task_id, "limit": 200}
            desk.in_thread(lambda: answer(desk.source, "history", asked), self._if_current(self._past))
        self._read_log()
        self._read_output()
        self._read_change()

    def _read_change(self) -> None:
        """Ask for the change, while it is what shows."""
        if self._reading or self.part != "diff" or self.model.task(self.task_id) is None:
            return
        source, task_id = self.desk.source, self.task_id
        hosts = hosts_online(self.model.fleet, but=source.facts.host) if self.model.fleet.broker_up else 0
        self._reading = True
        self.desk.in_thread(lambda: _change_of(source, task_id, hosts), self._if_current(self._changed))

    def _changed(self, came: Change | str) -> None:
        self._reading = False
        if isinstance(came, str):
            self.why_no_change = came
        elif came != self.change:
            self.change, self.why_no_change = came, ""
        if self.is_mounted:
            self.renew()

    def show_part(self, part: str) -> None:
        self.part = PARTS[0] if self.part == part else part
        self.page.leave()
        self._read_change()
        self.renew()
        self.page.redraw()

    def turn_part(self, by: int) -> None:
        self.show_part(PARTS[(PARTS.index(self.part) + by) % len(PARTS)])

    def why_no_part(self) -> str | None:
        task = self.model.task(self.task_id)
        if task is not None and (has_parts(task) or self.part != PARTS[0]):
            return None
        return "this task has no conversation and no worktree: all of it is on this page"

    def _read_output(self) -> None:
        if self._asking or self.model.task(self.task_id) is None:
            return
        source, task_id, facts = self.desk.source, self.task_id, self.desk.source.facts
        hosts = hosts_online(self.model.fleet, but=facts.host) if self.model.fleet.broker_up else 0
        self._asking = True
        self.desk.in_thread(lambda: _output_of(source, task_id, hosts), self._if_current(self._printed))

    def _printed(self, lines: list[str] | None) -> None:
        self._asking = False
        if lines is not None and lines != self.printed:
            self.printed = lines
            if self.is_mounted:
                self.renew()

    def _if_current(self, take: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return `take`, which does nothing where the page was opened anew by then."""
        generation = self._generation
        return lambda came: take(came) if generation == self._generation else None

    def _row(self, reply: Reply | None) -> None:
        self.unanswered.remove("the dispatcher")
        rows = task_rows(reply.rows if reply else ())
        self.spent = rows[0].spent if rows else []
        if rows and self.is_mounted:
            self.desk.main.take(self.model.load(rows, self.model.clock()), self.model.clock())
        if self.is_mounted:
            self.renew()

    def _past(self, reply: object) -> None:
        self.unanswered.remove("monitoring")
        found = history(self.model.swarm, reply, self.model.clock())  # type: ignore[arg-type]
        self.past = [message for message in found if isinstance(message, Event)]
        if self.is_mounted:
            self.renew()

    def _read_log(self) -> None:
        task = self.model.task(self.task_id)
        if task is None or task.agent_id is None:
            return
        agent = self.log_of = task.agent_id
        read = self._if_current(self._logged)
        self.desk.in_thread(lambda: self.desk.source.log(agent, 4000), read)

    def _logged(self, lines: list[str] | None) -> None:
        self.written = lines
        if self.is_mounted:
            self.renew()

    def task_ids(self) -> list[str]:
        return [self.task_id]

    def agent_ids(self) -> list[str]:
        task = self.model.task(self.task_id)
        return [task.agent_id] if task and task.agent_id else []

    def take(self, delta: Delta, now: float) -> None:
        if self.task_id in delta.tasks:
            task = self.model.task(self.task_id)
            if task is not None and (task.agent_id != self.log_of or task.state in ENDED):
                self._read_log()
                self._read_output()
                self._read_change()
            self.renew()
            self.renew_footer()

    def tick(self, now: float) -> None:
        task = self.model.task(self.task_id)
        if task is not None and task.state in GIVEN and int(now) % EVERY == 0:
            self._read_output()
        if task is not None and task.state in GIVEN and int(now) % CHANGE_EVERY == 0:
            self._read_change()
        if task is not None and (task.state in OPEN or ago(now - task.created_at) != self._age_drawn):
            self.renew()

    def open(self) -> None:
        subject = self.page.subject()
        if isinstance(subject, Event):
            self.desk.pages.open_message(subject)
        elif isinstance(subject, str):
            self.desk.pages.open_agent(subject)

    def copy(self) -> None:
        self.desk.copy(self.task_id) if self.page.cursor == 0 else super().copy()

    def title_parts(self, width: int) -> Parts:
        task, look = self.model.task(self.task_id), self.desk.look
        if task is None:
            word = "opening" if self.unanswered else "is not known here"
            return self.titled("TASK", flat(self.task_id), [Segment(word, look["warn"])])
        glyph, style = glyphs.of_task(task)
        asks = [Segment(f"   asking {' and '.join(self.unanswered)}…", look["quiet"])] if self.unanswered else []
        return self.titled("TASK", flat(self.task_id, 60), [Segment(f"{glyph} {task.state.value}", look[style]), *asks])

    def lay(self, width: int) -> list[Line]:
        task = self.model.task(self.task_id)
        if task is None:
            says = "Nobody knows of this task."
            if self.unanswered:
                says = f"Opening: waiting for {' and '.join(self.unanswered)}"
            return [([Segment(f"  {says}", self.desk.look["quiet"])], None)]
        turns = f"{self.told('previous_part')} {self.told('next_part')}"
        head = [parts_line(self.part, self.desk.look, width, turns)] if self.why_no_part() is None else []
        mail = (view for view in self.model.fleet.mails.values() if view.task_id == self.task_id)
        if self.part != PARTS[0]:
            return [*head, *self._part(task, width)]
        return [
            *head,
            *self._facts(task, width),
            *self._hops(task, width),
            *self._value("payload", task.payload, width),
            *self._value("result", task.result, width, units_of(task)),
            *_late(task, self.desk.look, width, self.page),
            *talk(mail, self.desk.look, width, self.page, of="", about=" about it"),
            *self._output(width),
            *self._messages(width),
            *([] if self.printed else self._log(task, width)),
        ]

    def _part(self, task: TaskView, width: int) -> list[Line]:
        look = self.desk.look
        if self.part == "conversation":
            empty: Line = ([Segment("  nothing was printed yet", look["quiet"])], None)
            return self._output(width) or [empty]
        if self.part == "usage":
            return list(usage_lines(task, self.spent, look, width))
        if self.part == "hops":
            return [*self._hops(task, width), *self._messages(width)]
        merge = list(merge_lines(task.merge, look, width))
        if self.change is None:
            says = self.why_no_change or "asking git what it changed…"
            return [*merge, *(([Segment(f"  {line}", look["quiet"])], None) for line in wrapped(says, width - 2))]
        if self._drawn[:2] != (self.change, width):
            whole = f"swarm-tui diff {flat(self.task_id, 60)} shows all"
            self._drawn = (self.change, width, list(change_lines(self.change, look, width, whole)))
        return [*merge, *self._drawn[2]]

    def _facts(self, task: TaskView, width: int) -> list[Line]:
        look, now = self.desk.look, self.model.clock()
        why_waiting, todo = self.model.why_waiting(task)
        self._age_drawn = ago(now - task.created_at)
        asks = tuple(self.model.fleet.asks.of_task(self.task_id))
        seen = Seen(task, now, width, look, self.told, why_waiting, todo, asks)
        return [
            (
                [Segment(f"  {fact.name:<10}", look["quiet"]), *fact.parts],
                Value(fact.says or "".join(part.text for part in fact.parts).strip(), fact.about),
            )
            for fact in facts(seen)
        ]

    def _hops(self, task: TaskView, width: int) -> list[Line]:
        lines = [rule("hops", width, self.page)]
        before: Hop | None = None
        for hop in timeline(task.hops):
            lines.append((self._hop(hop, before, width), hop.agent_id))
            before = hop
        if not task.hops:
            lines.append(([Segment("  none heard", self.desk.look["quiet"])], None))
        return lines

    def _hop(self, hop: Hop, before: Hop | None, width: int) -> Parts:
        look = self.desk.look
        gap = f"+{span(hop.at - before.at)}" if before is not None else ""
        parts = [
            Segment(f"  {clock(hop.at, ms=True)} ", look["quiet"]),
            Segment(fit(gap, 12, True) + "  ", look["quiet"]),
            Segment(fit(flat(hop.what), 12) + " ", look[_HOP.get(hop.what, "strong")]),
            Segment(f"#{hop.attempt} " if hop.attempt else "   ", look["quiet"]),
            Segment(f"{flat(hop.agent_id or '')} ", look["plain"]),
        ]
        if hop.by:
            parts.append(Segment(f"by {flat(hop.by)} ", look["accent"]))
        used = sum(part.cell_length for part in parts)
        return [*parts, Segment(fit(flat(hop.detail), max(0, width - used)), look["quiet"])]

    def _value(self, name: str, value: object, width: int, units: Mapping[Path, str] | None = None) -> list[Line]:
        if value in (None, {}, ""):
            return []
        return [
            rule(f"{name} ({self.told('copy')} copies)", width, self.page, Value(value)),
            *tree(value, self.desk.look, width, units=units),
        ]

    def _messages(self, width: int) -> list[Line]:
        look = self.desk.look
        seen: dict[str, Event] = {event.id or str(id(event)): event for event in heard_by(self.model.moment, self.past)}
        seen.update({event.id or str(id(event)): event for event in self.model.messages(task_id=self.task_id)})
        rows: list[Line] = []
        for event in sorted(seen.values(), key=lambda event: event.received)[-200:]:
            topic = flat(event.topic.removeprefix(self.model.swarm + "/"))
            line = [
                Segment(f"  {clock(event.received, ms=True)} ", look["quiet"]),
                Segment(fit(topic, 22) + " ", look["topic"]),
            ]
            used = sum(part.cell_length for part in line)
            rows.append(([*line, Segment(fit(flat(summary(event)), max(0, width - used)))], event))
        return [rule(f"messages ({self.told('open')} opens one)", width, self.page), *rows] if rows else []

    def _output(self, width: int) -> list[Line]:
        rows: list[Line] = [([Segment(f"  {fit(flat(line, 1000), width - 2)}")], None) for line in self.printed]
        more = f"; all of it: swarm-tui logs --task {flat(self.task_id, 60)}" if len(rows) >= PRINTED else ""
        # A line that was printed has no time of its own.
        until = "" if self.model.moment is None else " until now"
        return [rule(f"it printed{until}{more}", width, self.page), *rows] if rows else []

    def _log(self, task: TaskView, width: int) -> list[Line]:
        if not self.written or task.agent_id is None:
            return []
        start = task.started_at or task.created_at
        lines, when = told_of(self.written, self.task_id), "meanwhile"
        if lines is None:
            lines = within(self.written, start - 1.0, (task.ended_at or self.model.clock()) + 2.0)
        if lines is None:
            lines, when = [plain(raw).rstrip() for raw in self.written[-50:]], "last; its log tells no times"
        rows: list[Line] = [([Segment(f"  {fit(flat(line, 1000), width - 2)}")], None) for line in lines[-300:]]
        return [rule(f"{flat(task.agent_id)} wrote {when}", width, self.page), *rows] if rows else []


def _late(task: TaskView, look: ThemeStyles, width: int, page: Lines) -> list[Line]:
    rows: list[Line] = [([Segment(f"  {fit(flat(late), width - 2)}", look["warn"])], None) for late in task.late]
    return [rule("came late: kept, not applied", width, page), *rows] if rows else []


def _output_of(source: Source, task_id: str, hosts: int) -> list[str] | None:
    """Return what it printed; None where that could not be asked."""
    try:
        return source.output(task_id, PRINTED, hosts)
    except (BusError, OSError):
        return None


def _change_of(source: Source, task_id: str, hosts: int) -> Change | str:
    """Return what it changed; a sentence where there is none to be had."""
    try:
        found = source.change(task_id, hosts)
    except (BusError, GitError, OSError) as error:
        return str(error)
    return found or "it has no worktree on any host that answers"


def stamp(line: str) -> float | None:
    """Return the time a line begins with, seconds since the epoch; None when it begins with none."""
    match = _STAMP.match(line)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match.group(1).replace(",", ".")).timestamp()
    except ValueError:
        return None


def told_of(lines: list[str], task_id: str) -> list[str] | None:
    """Return the agent's lines from where it says, the last time, that it begins the task, to where it says its end."""
    texts = [plain(raw).rstrip() for raw in lines]
    named = re.compile(rf"(?<![\w-]){re.escape(task_id)}(?![\w-])")
    begins = [number for number, text in enumerate(texts) if text.startswith("🔨") and named.search(text)]
    if not begins:
        return None
    since = begins[-1]
    ends = (n for n in range(since + 1, len(texts)) if texts[n].startswith(("✅", "❌")) and named.search(texts[n]))
    return texts[since : next(ends, len(texts)) + 1]


def within(lines: list[str], since: float, until: float) -> list[str] | None:
    """Return the lines of the span, where a line without a time belongs to the one before it; None without times."""
    kept: list[str] = []
    inside = timed = False
    for raw in lines:
        line = plain(raw).rstrip()
        at = stamp(line)
        if at is not None:
            timed = True
            inside = since <= at <= until
        if inside:
            kept.append(line)
    return kept if timed else None
