"""`swarm-tui tasks`: the list, or one task with every hop."""

import time

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    NO_SUCH,
    Failure,
    Target,
    broker_option,
    json_option,
    print_json,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import task_ids, task_types
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow, has_record
from swarm_tui.cli.journal_reader import journal_is_current, journal_rows, journal_task, whole_id
from swarm_tui.cli.name_checks import check_tasks
from swarm_tui.cli.number_types import Whole
from swarm_tui.cli.task_progress import LOOKED_AT, Heard, recorded, with_progress
from swarm_tui.client.record import recorded_rows
from swarm_tui.domain.hops import timeline
from swarm_tui.domain.outcome import outcome, took, verdict_failed
from swarm_tui.domain.states import OPEN, TaskState
from swarm_tui.domain.summary import task_json, task_row
from swarm_tui.domain.usage import read_usage, told
from swarm_tui.journal.recorder_port import heard_then
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.text import clean, clean_block
from swarm_tui.protocol.topics import Kind, topic

#: Seconds that asking why tasks wait may take at each step; without an answer they are listed all the same.
ASKED_WITHIN = 1.5


@click.command(epilog="Example: swarm-tui tasks --state running; swarm-tui tasks task_ab12 shows one with every hop")
@click.argument("task_id", metavar="[ID]", required=False, shell_complete=task_ids)
@click.option("--state", type=click.Choice([state.value for state in TaskState]), help="Only those in this state.")
@click.option("--type", "task_type", metavar="TYPE", shell_complete=task_types, help="Only those of this type.")
@click.option("--limit", type=Whole(min=1, max=100_000), default=50, show_default=True, help="The newest N.")
@swarm_option
@broker_option
@json_option
def command(
    task_id: str | None,
    state: str | None,
    task_type: str | None,
    limit: int,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """The swarm's tasks, newest first; with ID, one task with every hop and its time.

    In JSON times are seconds since the epoch, `duration` is milliseconds of the last attempt, `cancel_within` seconds.
    """
    found = target(swarm, broker)
    if task_id is not None:
        check_tasks((task_id,))
        return _one(found, task_id, bool(broker), as_json)
    if journal_is_current(found.state) and not broker:
        rows = journal_rows(found.state, task_state=state, task_type=task_type, limit=limit)
        _say_why(
            found, rows, {"state": str(TaskState.QUEUED), "limit": limit, **({"type": task_type} if task_type else {})}
        )
    else:
        rows = _ask_list(found, state, task_type, limit)
    if as_json:
        print_json([task_json(row) for row in rows])
    else:
        _print_list(rows)
    return 0


def _one(found: Target, task_id: str, remote: bool, as_json: bool) -> int:
    row = None
    if journal_is_current(found.state) and not remote:
        task_id = whole_id(found.state, task_id)
        row = journal_task(found.state, task_id)
        row = row and with_progress(row, found.swarm, recorded(found.state, found.swarm, task_id))
        _say_why(found, [row] if row is not None else [], {"task_id": task_id})
    row = row or _ask_one(found, task_id)
    if row is None:
        raise Failure(f"no task `{task_id}` in {found.swarm}; `swarm-tui tasks` lists those known", NO_SUCH)
    row = msgspec.structs.replace(row, hops=timeline(row.hops))
    if as_json:
        print_json(task_json(row, hops=True))
    else:
        _print_one(row)
    return 0


def _say_why(found: Target, rows: list[TaskRow], args: dict[str, object]) -> None:
    """Write into the rows that wait in the queue why they do: only who gives them out knows, so it is asked."""
    waiting = {row.task_id: row for row in rows if row.state == TaskState.QUEUED}
    if not waiting:
        return
    try:
        with follow(found, ASKED_WITHIN) as follower:
            follower.settle(ASKED_WITHIN)
            answers = None
            if _has_dispatcher(follower):
                answers = follower.load_tasks("task" if "task_id" in args else "tasks", args, ASKED_WITHIN)
        why = "no dispatcher is there to give it out" if answers is None else ""
    except Failure as failure:
        answers, why = None, failure.reason
    known = {row.task_id: row.waits for row in answers or ()}
    for task_id, row in waiting.items():
        row.waits = known.get(task_id, why)


def _ask_list(found: Target, state: str | None, task_type: str | None, limit: int) -> list[TaskRow]:
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        args: dict[str, object] = {"limit": limit}
        args.update({name: value for name, value in (("state", state), ("type", task_type)) if value})
        rows = follower.load_tasks("tasks", args) if _has_dispatcher(follower) else None
        if rows is None:
            _replay_history(follower, {"topic": f"{found.swarm}/tasks/#", "limit": 10_000})
            with follower.lock:
                rows = [task_row(task) for task in follower.fleet.tasks.values()]
    rows = [row for row in rows if state in (None, row.state) and task_type in (None, row.type)]
    return sorted(rows, key=lambda row: row.created_at, reverse=True)[:limit]


def _ask_one(found: Target, task_id: str) -> TaskRow | None:
    with follow(found) as follower:
        follower.settle()
        rows = follower.load_tasks("task", {"task_id": task_id}) if _has_dispatcher(follower) else None
        if rows:
            return with_progress(rows[0], found.swarm, _heard(follower, task_id))
        _replay_history(follower, {"task_id": task_id, "limit": 10_000})
        with follower.lock:
            view = follower.fleet.tasks.get(task_id)
            row = task_row(view) if view else None
        return row and with_progress(row, found.swarm, _heard(follower, task_id))


def _heard(follower: Follower, task_id: str) -> list[Heard]:
    """Return what whoever keeps the record has of the task's progress."""
    if not has_record(follower):
        return []
    asked = {"task_id": task_id, "topic": topic(follower.fleet.swarm, Kind.TASK_PROGRESS), "limit": LOOKED_AT}
    rows = recorded_rows(follower.operator.query("history", asked, 3.0))
    return [(row.at, row.payload) for row in rows if not row.refused]


def _has_dispatcher(follower: Follower) -> bool:
    with follower.lock:
        leader = follower.fleet.dispatcher
        return leader is not None and leader.online


def _replay_history(follower: Follower, args: dict[str, object]) -> None:
    """Without a dispatcher, what monitoring recorded tells what became of the tasks."""
    if not has_record(follower):
        return
    for row in recorded_rows(follower.operator.query("history", args, 3.0)):
        event = heard_then(follower.fleet.swarm, row)
        if isinstance(event, Event):
            with follower.lock:
                follower.fleet.apply(event, row.at)


def _print_list(rows: list[TaskRow]) -> None:
    if not rows:
        click.echo("no tasks")
        return
    now = time.time()
    formatting.table(
        ["TASK", "TYPE", "STATE", "PRIORITY", "TRY", "AGENT", "AGE", "TOOK", "HOW IT GOES"],
        [
            [
                clean(row.task_id),
                clean(row.type, 32),
                formatting.state(row.state),
                row.priority,
                str(row.attempt),
                clean(row.agent_id or "-"),
                formatting.age(now - row.created_at),
                "-" if (seconds := took(row.state, row.duration)) is None else f"{seconds:.1f}s",
                _how(row),
            ]
            for row in rows
        ],
    )


def _how(row: TaskRow) -> str:
    """Return how far it is while it is open; what came of it, or why it went wrong, once it has ended."""
    if row.cancel_requested_at is not None:
        return clean(_cancelling(row, time.time()))
    if row.state == TaskState.COMPLETE:
        text = outcome(row.result) or "done"
        return style(text, fg="red") if verdict_failed(row.result) else text
    if row.error or row.waits or row.reason:
        return clean(row.error or row.waits or row.reason)
    return clean(_far(row)) or "-"


def _cancelling(row: TaskRow, now: float) -> str:
    """Since when a task is asked to stop, and how long that may take; empty for one that is not."""
    if row.cancel_requested_at is None:
        return ""
    within = "" if row.cancel_within is None else f", ends within {row.cancel_within:.0f} s of that"
    again = "; it runs again once it has stopped" if row.runs_again else ""
    return f"cancelling: asked to stop {max(0.0, now - row.cancel_requested_at):.0f} s ago{within}{again}"


def _far(row: TaskRow) -> str:
    """Return how far a task that has not ended is; empty when that is not known."""
    if row.progress is None or row.state not in OPEN:
        return ""
    return f"{row.progress:.0f}% {row.message}".rstrip()


def _print_one(row: TaskRow) -> None:
    seconds = took(row.state, row.duration)
    for_so_long = "" if seconds is None else f", took {seconds:.2f}s"
    click.echo(f"{style(row.task_id, bold=True)}  {clean(row.type)}  {formatting.state(row.state)}{for_so_long}")
    for name, value in (
        ("priority", row.priority),
        ("agent", row.agent_id),
        ("attempt", str(row.attempt) if row.attempt else None),
        ("for", row.assigned_to),
        ("progress", _far(row)),
        ("stopping", _cancelling(row, time.time())),
        ("reason", row.waits or row.reason),
        ("error", row.error),
        ("outcome", outcome(row.result)),
        ("usage", told(read_usage(row.usage)) if row.usage else ""),
    ):
        if value:
            click.echo(f"{name:>9}  {clean(str(value))}")
    for name, data in (("payload", row.payload), ("result", row.result)):
        if data:
            text = clean_block(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
            click.echo(f"{name:>9}  " + text.replace("\n", "\n" + " " * 11))
    click.echo("     hops")
    start = row.hops[0].at if row.hops else 0.0
    for hop in row.hops:
        who = " ".join(part for part in (hop.agent_id and f"on {hop.agent_id}", hop.by and f"by {hop.by}") if part)
        attempt = f" #{hop.attempt}" if hop.attempt else ""
        line = f"{formatting.moment(hop.at)}  +{hop.at - start:7.3f}s  {hop.what}{attempt}  {who}  {hop.detail}"
        click.echo(f"           {clean(line).rstrip()}")
