"""The change of a task on its page: what becomes of it, and its lines by file."""

from collections.abc import Iterator

from rich.segment import Segment

from swarm_tui.domain.usage import read_usage, told
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.merge_bodies import MergeState
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, fit, flat, wrapped
from swarm_tui.ui.widgets.page import Line, Value
from swarm_tui.worktrees.change import Change, FileDiff

#: The parts of a task's page that one whose agent works on files, or talks, can be turned to.
PARTS = ("task", "conversation", "diff", "usage", "hops")
#: Lines of a change that are drawn.
MOST = 3000
_STYLES = {"+": "ok", "-": "bad", "@": "accent"}
_MERGE = {"merged": "ok", "returned": "bad", "stopped": "bad", "mending": "warn", "running": "busy"}
_KINDS = {"added": "new", "deleted": "deleted", "renamed": "renamed", "copied": "copied", "type": "another type"}


def has_parts(task: TaskView) -> bool:
    """Return whether there is a conversation, or a change, to show apart from the rest."""
    wrote = isinstance(task.result, dict) and isinstance(task.result.get("branch"), str)
    return wrote or bool(task.session) or isinstance(task.payload.get("prompt"), str)


def parts_line(part: str, look: ThemeStyles, width: int, turns: str) -> Line:
    """Return the line that names the parts, with the one that shows."""
    segments = [Segment("  ")]
    for name in PARTS:
        segments += [Segment(f" {name} ", look["head-on"] if name == part else look["quiet"]), Segment(" ")]
    used = sum(segment.cell_length for segment in segments)
    return [*segments, Segment(fit(f" {turns} turns", max(0, width - used)), look["track"])], None


def merge_lines(merge: MergeState | None, look: ThemeStyles, width: int) -> Iterator[Line]:
    """Yield what becomes of the work, and what the checks said of it."""
    if merge is None:
        return
    place = f", place {merge.position}" if merge.position else ""
    into = f" into {flat(merge.target)}" if merge.target else ""
    by = f", by its agent in {flat(merge.follow_up)}" if merge.state == "mending" else ""
    head = f"{merge.state}{into}{place}{by}"
    yield _named("merge", [Segment(head, look[_MERGE.get(merge.state, "warn")])], look, head)
    for line in wrapped(flat(merge.reason, 2000), width - 14) if merge.reason else ():
        yield _named("", [Segment(line)], look, merge.reason)
    for name, said in merge.checks.items():
        style = "bad" if said.startswith("failed") else "ok" if said.startswith("passed") else "warn"
        line = f"{flat(name)} {flat(said)}"
        yield _named("check", [Segment(fit(line, max(0, width - 14)), look[style])], look, line)


def change_lines(change: Change, look: ThemeStyles, width: int, all_of_it: str) -> Iterator[Line]:
    """Yield where the work is, how much it is, whom it meets, and its lines; `all_of_it` says what shows all."""
    target = f" → {change.target}" if change.target else ""
    behind = f", which has {change.behind} commits more by now" if change.behind else ""
    state = "" if change.state == "open" else f"   {change.state}"
    yield _named(
        "branch", [Segment(fit(f"{change.branch}{target}{behind}{state}", max(0, width - 14)))], look, change.branch
    )
    yield _named("folder", [Segment(fit(change.folder, max(0, width - 14)), look["quiet"])], look, change.folder)
    kept = f", {change.uncommitted} not committed" if change.uncommitted else ""
    files = f"{len(change.files)} file{'' if len(change.files) == 1 else 's'}"
    counts = [
        Segment(f"{files}{kept}  "),
        Segment(f"+{change.added} ", look["ok"]),
        Segment(f"-{change.removed}", look["bad"]),
    ]
    yield _named("changed", counts, look)
    for text, style in ((change.note, "warn"), *((_meets(one.task_id, one.where), "warn") for one in change.overlaps)):
        for line in wrapped(text, width - 14) if text else ():
            yield _named("", [Segment(line, look[style])], look, text)
    left = MOST
    for file in change.files:
        yield _heading(file, look, width)
        for text in file.lines[:left]:
            yield [Segment(fit(f"  {text}", width), look[_STYLES.get(text[:1], "quiet")])], Value(text)
        cut = file.cut + max(0, len(file.lines) - left)
        left = max(0, left - len(file.lines))
        if cut:
            yield [Segment(f"  … {cut:,} lines more; {all_of_it}", look["warn"])], None


def _meets(task_id: str, where: list[str]) -> str:
    more = f" and {len(where) - 4} more" if len(where) > 4 else ""
    return f"{flat(task_id)} changes the same lines: {', '.join(where[:4])}{more}"


def _heading(file: FileDiff, look: ThemeStyles, width: int) -> Line:
    kind = _KINDS.get(file.kind, "")
    words = ", ".join(filter(None, [f"{kind} from {file.old_path}" if file.old_path else kind, file.note]))
    counts = "" if file.added is None else f"  +{file.added} -{file.removed}"
    said = f"{file.path}{f' ({words})' if words else ''}{counts}"
    text = fit(f"── {said} ", min(width, len(said) + 4))
    return [Segment(text, look["accent"]), Segment("─" * max(0, width - len(text)), look["track"])], Value(file.path)


def usage_lines(task: TaskView, spent: list[dict[str, object]], look: ThemeStyles, width: int) -> Iterator[Line]:
    """Yield what each attempt took, and all of them."""
    for one in spent:
        used = told(read_usage(one)) if one else ""
        turn = f", turn {one['turn']}" if one.get("turn") else ""
        line = f"#{one.get('attempt', '?')} {flat(one.get('agent_id') or '')}{turn}: {used or 'told nothing'}"
        yield _named("attempt", [Segment(fit(line, max(0, width - 14)))], look, line)
        if session := one.get("session"):
            yield _named(
                "", [Segment(fit(f"session {flat(session)}", max(0, width - 14)), look["quiet"])], look, str(session)
            )
    whole = told(read_usage(task.usage)) if task.usage else "nothing was told of tokens or money"
    yield _named("in all", [Segment(whole, look["strong"])], look, whole)
    beside = task.result.get("beside") if isinstance(task.result, dict) else None
    if isinstance(beside, str) and beside:
        for line in wrapped(f"and, which nobody is told the price of: {flat(beside)}", max(20, width - 14)):
            yield _named("", [Segment(line, look["quiet"])], look, line)


def _named(name: str, parts: Parts, look: ThemeStyles, says: str = "") -> Line:
    return [Segment(f"  {name:<10}", look["quiet"]), *parts], Value(says) if says else None
