"""`swarm-tui diff`: what a task changed in its worktree, on this machine or on the host that has it."""

import os
import sys
from collections.abc import Iterator

import click
import msgspec

from swarm_tui.cli.common import (
    NO_SUCH,
    Failure,
    Target,
    broker_option,
    colour,
    json_option,
    print_json,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import task_ids
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import has_journal, journal_is_current, journal_task, whole_id
from swarm_tui.cli.name_checks import check_tasks
from swarm_tui.client.hosts_output import change_of_hosts, hosts_online
from swarm_tui.domain.comparison import REVIEW, TEST
from swarm_tui.domain.outcome import outcome
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.text import clean
from swarm_tui.worktrees.change import Change, FileDiff, read_change
from swarm_tui.worktrees.git import GitError

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_KINDS = {"added": "new", "deleted": "deleted", "renamed": "renamed", "copied": "copied", "type": "another type"}


@click.command(epilog="Example: swarm-tui diff task_1f2e; swarm-tui diff task_1f2e --stat")
@click.argument("task_id", metavar="TASK", shell_complete=task_ids)
@click.option("--stat", is_flag=True, help="The files with how much changed, without the lines.")
@swarm_option
@broker_option
@json_option
def command(task_id: str, stat: bool, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """Show what TASK changed in its worktree, from where it began to how it is now, committed or not."""
    check_tasks((task_id,))
    found = target(swarm, broker)
    if journal_is_current(found.state) and not broker:
        task_id = whole_id(found.state, task_id)
    change = find_change(found, task_id, here=not broker, patch=not stat)
    checks = verdicts(_rows(found, task_id, here=not broker))
    if as_json:
        files = [_json(file) for file in change.files]
        print_json({**msgspec.to_builtins(change), "state": change.state, "checks": checks, "files": files})
        return 0
    lines = [*_head(change), *_checked(checks), *_stat(change), *([] if stat else _patch(change)), *_tail(change)]
    if sys.stdout.isatty():
        os.environ.setdefault("LESS", "FRX")
        click.echo_via_pager("\n".join(lines) + "\n", color=colour() or None)
    else:
        click.echo("\n".join(lines))
    return 0


def find_change(found: Target, task_id: str, *, here: bool, patch: bool) -> Change:
    """Return the task's change, of this machine's worktree or of another host's. Raises Failure."""
    if here:
        try:
            if (change := read_change(found.state.root, task_id, patch=patch)) is not None:
                return change
        except GitError as error:
            raise Failure(f"{task_id}: {error}") from None
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        follower.settle()
        with follower.lock:
            hosts = hosts_online(follower.fleet)
        change = change_of_hosts(follower.operator, task_id, hosts, patch=patch)
        if change is not None:
            return change
        rows = follower.load_tasks("task", {"task_id": task_id})
    if rows == [] or (rows is None and not (has_journal(found.state) and journal_task(found.state, task_id))):
        raise Failure(f"no task `{task_id}`; `swarm-tui tasks` lists those known", NO_SUCH)
    where = f" on {rows[0].agent_id}'s host" if rows and rows[0].agent_id else ""
    raise Failure(
        f"{task_id} has no worktree on any host that answers ({hosts}): it made none, or it was made{where}, "
        "which is away; `swarm-tui status` shows the hosts"
    )


def verdicts(rows: list[TaskRow]) -> dict[str, str]:
    """Return what each check said of the work, by its type: in its last merge, or beside others that were compared."""
    said: dict[str, str] = {}
    for row in rows:
        if row.merge is not None:
            said |= row.merge.checks
        elif row.task_id.endswith((TEST, REVIEW)):
            said[row.type] = outcome(row.result) if row.state == TaskState.COMPLETE else str(row.state)
    return {clean(name, 128): clean(text, 300) for name, text in said.items() if text}


def _rows(found: Target, task_id: str, *, here: bool) -> list[TaskRow]:
    """Return the task and what looked at its work, as far as anybody knows them."""
    names = (f"{task_id}{TEST}", f"{task_id}{REVIEW}", task_id)
    if here and has_journal(found.state):
        return [row for name in names if (row := journal_task(found.state, name)) is not None]
    try:
        with follow(found) as follower:
            return [row for name in names for row in follower.load_tasks("task", {"task_id": name}) or ()]
    except Failure:
        # The worktree is here and the dispatcher elsewhere, out of reach.
        return []


def _checked(checks: dict[str, str]) -> Iterator[str]:
    for name, said in checks.items():
        word = said.partition(":")[0]
        yield f"{name} {style(said, fg={'passed': 'green', 'failed': 'red'}.get(word, 'yellow'))}"


def _json(file: FileDiff) -> dict[str, object]:
    plain: dict[str, object] = {"path": file.path, "kind": file.kind, "added": file.added, "removed": file.removed}
    if file.old_path:
        plain["old_path"] = file.old_path
    if file.note:
        plain["note"] = file.note
    if file.lines:
        plain["patch"] = "\n".join(file.lines)
    return plain | ({"cut": file.cut} if file.cut else {})


def _head(change: Change) -> Iterator[str]:
    state = "" if change.state == "open" else f"  {change.state}"
    yield style(f"{change.task_id}  {change.branch or 'no branch'}{state}", bold=True)
    into = f" → {change.target}" if change.target else ""
    gained = f", which has {change.behind} commits more by now" if change.behind else ""
    yield clean(f"{change.folder or '-'}  from {change.base[:12] or '?'}{into}{gained}", 500)
    if change.note:
        yield style(clean(change.note, 500), fg="yellow")
    for other in change.overlaps:
        where = ", ".join(other.where[:5]) + (f" and {len(other.where) - 5} more" if len(other.where) > 5 else "")
        yield style(clean(f"{other.task_id} changes the same lines: {where}", 500), fg="magenta")


def _stat(change: Change) -> Iterator[str]:
    yield ""
    wide = max((len(str(file.added or 0)) + len(str(file.removed or 0)) for file in change.files), default=2) + 3
    for file in change.files:
        if file.added is None:
            counts = " " * wide
        else:
            plain = f"+{file.added} -{file.removed}"
            shown = f"{style(f'+{file.added}', fg='green')} {style(f'-{file.removed}', fg='red')}"
            counts = " " * (wide - len(plain)) + shown
        yield f"{counts}  {told(file)}"
    files = f"{len(change.files)} file{'' if len(change.files) == 1 else 's'}"
    kept = f", {change.uncommitted} not committed" if change.uncommitted else ""
    yield f"{files}, +{change.added} -{change.removed}{kept}"


def told(file: FileDiff) -> str:
    """Return a file's name with what is to be said of it."""
    kind = _KINDS.get(file.kind, "")
    words = ", ".join(filter(None, [f"{kind} from {file.old_path}" if file.old_path else kind, file.note]))
    return f"{file.path}{f' ({words})' if words else ''}"


def _patch(change: Change) -> Iterator[str]:
    for file in change.files:
        yield ""
        yield style(f"── {told(file)}", bold=True)
        for line in file.lines:
            yield style(line, fg=_COLOURS.get(line[:1]))
        if file.cut:
            yield style(f"… {file.cut:,} lines more", fg="yellow")


def _tail(change: Change) -> Iterator[str]:
    if change.cut:
        yield ""
        yield style(clean(change.cut, 500), fg="yellow")
