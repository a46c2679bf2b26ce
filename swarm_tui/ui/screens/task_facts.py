"""The facts at the head of a task's page: a table of what there is to say, each row from one function."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rich.segment import Segment

from swarm_tui.domain.outcome import outcome, particulars, took, verdict_failed
from swarm_tui.domain.states import CANCEL_WITHIN, ENDED, GIVEN, OPEN
from swarm_tui.domain.usage import read_usage, told
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.rows import AskRow
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import ago, bar, clock, flat, span, wrapped
from swarm_tui.ui.look.words import of_task

DIFF_LINES = 40
"""Lines of the change that an ask is about."""
PARTICULARS = 4
"""Most lines of what a result names as wrong that stand above the hops, to be seen without a key; each whole."""


class Fact(NamedTuple):
    """A row. `about` is the agent that enter opens, `says` what a copy of the row gives."""

    name: str
    parts: list[Segment]
    about: str | None = None
    says: str = ""


class Seen(NamedTuple):
    """Material of the rows: the task at the time `now`, in so many columns; `why_waiting` is why it waits, `todo` what
    to do about it."""

    task: TaskView
    now: float
    width: int
    look: ThemeStyles
    told: Callable[[str], str]
    why_waiting: str
    todo: str
    asks: tuple[AskRow, ...] = ()


def facts(seen: Seen) -> Iterator[Fact]:
    """Yield the rows that have something to say, in their order."""
    for each in _ROWS:
        yield from each(seen)


def _wrap(
    name: str, text: str, width: int, segment: Callable[[str], Segment], says: str = "", hang: str = ""
) -> Iterator[Fact]:
    """Yield the lines of `text`, the first under its name, the others after `hang`."""
    for number, line in enumerate(wrapped(flat(text, 2000), width)):
        yield Fact(name if number == 0 else "", [segment(line if number == 0 else hang + line)], says=says)


def _type(s: Seen) -> Iterator[Fact]:
    priority = Segment(f"   priority {flat(s.task.priority)}", s.look["quiet"])
    yield Fact("type", [Segment(flat(s.task.type), s.look["strong"]), priority])


def _state(s: Seen) -> Iterator[Fact]:
    glyph, style = glyphs.of_task(s.task)
    said = f"{glyph} {s.task.state.value}  "
    nobody = bool(s.why_waiting and s.todo)
    means = "Written down by the dispatcher; nobody takes it." if nobody else of_task(s.task, s.told)
    for number, text in enumerate(wrapped(means, s.width - 13 - len(said))):
        first = Segment(said, s.look[style]) if number == 0 else Segment(" " * len(said))
        yield Fact("state" if number == 0 else "", [first, Segment(text, s.look["quiet"])])


def _waits(s: Seen) -> Iterator[Fact]:
    if not s.why_waiting:
        return
    style = s.look["warn" if s.todo else "plain"]
    yield from _wrap("waits", s.why_waiting, s.width - 14, lambda text: Segment(text, style))
    for number, text in enumerate(wrapped(flat(s.todo, 2000), s.width - 16) if s.todo else ()):
        yield Fact("", [Segment("→ " if number == 0 else "  ", s.look["accent"]), Segment(text)])


def _asks(s: Seen) -> Iterator[Fact]:
    """Tell what its AI agent asks, with the change that it is about."""
    for row in s.asks:
        left = f"{span(max(0.0, row.expires_at - s.now))} left, then it is a no"
        yield from _wrap("ASKS", f"{row.tool} {row.title}", s.width - 14, lambda text: Segment(text, s.look["alarm"]))
        says = f"→ {s.told('approve')} allows, {s.told('deny')} denies; {left}"
        yield Fact("", [Segment(flat(says), s.look["accent"])], says=row.title)
        lines = [line for line in (row.diff or "").split("\n") if line]
        for line in lines[:DIFF_LINES]:
            style = {"+": "ok", "-": "bad", "@": "accent"}.get(line[:1], "quiet")
            yield Fact("", [Segment(flat(line, s.width - 14), s.look[style])], says=row.diff or "")
        if len(lines) > DIFF_LINES:
            yield Fact("", [Segment(f"… {len(lines) - DIFF_LINES} more lines", s.look["quiet"])], says=row.diff or "")


def _stopping(s: Seen) -> Iterator[Fact]:
    asked = s.task.cancel_requested_at
    if asked is None or s.task.state in ENDED:
        return
    left = max(0.0, asked + CANCEL_WITHIN - s.now)
    says = f"asked to stop {ago(s.now - asked)} ago; ended for it in {left:.0f} s at the latest"
    says += "; then it runs again" if s.task.runs_again else ""
    yield from _wrap("stopping", says, s.width - 14, lambda text: Segment(text, s.look["warn"]))


def _why(s: Seen) -> Iterator[Fact]:
    if why := s.task.error or s.task.reason:
        style = "bad" if s.task.error else "warn"
        yield from _wrap("why", why, s.width - 14, lambda text: Segment(text, s.look[style]), why)


def _verdict(s: Seen) -> Iterator[Fact]:
    came = outcome(s.task.result)
    if not came:
        return
    badly = verdict_failed(s.task.result)
    yield from _wrap("verdict", came, s.width - 14, lambda text: Segment(text, s.look["bad" if badly else "ok"]), came)
    for each in particulars(s.task.result, PARTICULARS) if badly else ():
        yield from _wrap("", flat(each, 600), s.width - 16, lambda text: Segment(text, s.look["bad"]), each, "  ")


def _kept(s: Seen) -> Iterator[Fact]:
    """Name what it started and leaves running, as its layout's `children: keep` says."""
    kept = s.task.result.get("kept") if isinstance(s.task.result, dict) else None
    for each in kept if isinstance(kept, list) else []:
        if isinstance(each, dict):
            says = f"pid {each.get('pid')}: {each.get('command')}"
            yield from _wrap("runs on", says, s.width - 14, lambda text: Segment(text, s.look["accent"]), says, "  ")


def _attempt(s: Seen) -> Iterator[Fact]:
    most = f" of {s.task.max_attempts}" if s.task.max_attempts else ""
    yield Fact("attempt", [Segment(f"{s.task.attempt}{most}")])


def _agent(s: Seen) -> Iterator[Fact]:
    task = s.task
    if not (task.agent_id or task.assigned_to):
        return
    wanted = f"  (asked for {flat(task.assigned_to)})" if task.assigned_to else ""
    parts = [Segment(flat(task.agent_id or "none yet"), s.look["strong"]), Segment(wanted, s.look["quiet"])]
    yield Fact("agent", parts, task.agent_id, task.agent_id or task.assigned_to or "")


def _time(s: Seen) -> Iterator[Fact]:
    task = s.task
    begun = task.started_at or ((task.ended_at or task.updated_at) if task.state in ENDED else s.now)
    ran = s.now - task.started_at if task.state in GIVEN and task.started_at else took(task.state, task.duration)
    published = f"published {clock(task.created_at)}, {ago(s.now - task.created_at)} ago"
    yield Fact("time", [Segment(f"{published}; waited {span(begun - task.created_at)}; ran {span(ran)}")])


def _usage(s: Seen) -> Iterator[Fact]:
    task = s.task
    if not task.usage and not task.session:
        return
    turn = f"   turn {task.turn}" if task.turn and task.state in OPEN else ""
    parts = [Segment(told(read_usage(task.usage)) if task.usage else "none told yet"), Segment(turn, s.look["quiet"])]
    yield Fact("usage", parts)
    if task.session:
        yield Fact("session", [Segment(flat(task.session, 80), s.look["quiet"])], says=task.session)


def _progress(s: Seen) -> Iterator[Fact]:
    task = s.task
    if task.progress is not None and task.state in OPEN:
        drawn = Segment(bar(task.progress, 30), s.look["bar"] + s.look["head"])
        yield Fact("progress", [drawn, Segment(f" {task.progress:.0f}%  {flat(task.message)}", s.look["busy"])])


_ROWS: tuple[Callable[[Seen], Iterator[Fact]], ...] = (
    _type,
    _state,
    _asks,
    _waits,
    _stopping,
    _why,
    _verdict,
    _kept,
    _attempt,
    _agent,
    _time,
    _usage,
    _progress,
)
