"""`swarm-tui merge`: ask for a task's work to be merged, take that back, or see what is on its way."""

import time
from functools import partial
from math import inf

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    FAILED,
    NO_SUCH,
    USAGE,
    Failure,
    Target,
    broker_option,
    json_option,
    note,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import task_ids
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.journal_reader import journal_is_current, whole_id
from swarm_tui.cli.name_checks import check_tasks
from swarm_tui.cli.task_acts import Refusal
from swarm_tui.domain.dispatch.merge_record import SETTLED
from swarm_tui.protocol.merge_bodies import MergeAct, MergeState
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Seconds within which the dispatcher answers.
_PATIENCE = 5.0


@click.command(epilog="Example: swarm-tui merge task_1f2e --wait; swarm-tui merge")
@click.argument("task_id", metavar="TASK", required=False, shell_complete=task_ids)
@click.option("--into", metavar="BRANCH", default="", help="The branch to merge into; by default where it began.")
@click.option("--withdraw", is_flag=True, help="Take it back while it is on its way.")
@click.option("--wait", is_flag=True, help="Follow it to its end; exit 0 only when it is merged.")
@swarm_option
@broker_option
@json_option
def command(
    task_id: str | None, into: str, withdraw: bool, wait: bool, swarm: str | None, broker: str | None, as_json: bool
) -> int:
    """Merge what TASK wrote: rebased onto the branch as it is now, checked, and only then there.

    One at a time in a repository. What fails goes back to its agent with the reason. Without TASK: what is on its way.
    """
    if task_id is None:
        if into or withdraw or wait:
            raise Failure("which task? `swarm-tui merge TASK`", USAGE)
        return _list(target(swarm, broker), as_json)
    check_tasks((task_id,))
    found = target(swarm, broker)
    if journal_is_current(found.state) and not broker:
        task_id = whole_id(found.state, task_id)
    body = MergeAct(task_id=task_id, act="withdraw" if withdraw else "merge", into=into)
    with follow(found) as follower:
        state = act(follower, found, body)
        if wait and not withdraw:
            state = to_the_end(follower, state, tell=not as_json)
    return tell_end(state, as_json, wanted="withdrawn" if withdraw else "merged", waited=wait)


def act(follower: Follower, found: Target, body: MergeAct) -> MergeState:
    """Give the order, and return what the dispatcher made of it. Raises Failure with its reason where it refused."""
    check_swarm_exists(follower, found)
    rows = follower.load_tasks("task", {"task_id": body.task_id})
    if rows is None:
        raise Failure("no dispatcher answers, and only one that leads merges; `swarm-tui status` shows it")
    if not rows:
        raise Failure(f"no task `{body.task_id}`; `swarm-tui tasks` lists those known", NO_SUCH)
    refusal = Refusal(follower)
    heard: list[MergeState] = []

    def listen(event: object) -> None:
        told = getattr(event, "body", None)
        if isinstance(told, MergeState) and told.task_id == body.task_id:
            with follower.lock:
                heard.append(told)
                follower.lock.notify_all()

    follower.operator.on_event(listen)
    refusal.of(follower.operator.act(Kind.MERGE_ACT, body))
    follower.wait_for(lambda: bool(heard or refusal.why), _PATIENCE)
    if refusal.why:
        raise Failure(refusal.why)
    if not heard:
        raise Failure(f"{body.task_id}: the dispatcher did not answer within {_PATIENCE:g} s; `swarm-tui watch` tells")
    return heard[-1]


def to_the_end(follower: Follower, state: MergeState, *, tell: bool, limit: float = inf) -> MergeState:
    """Wait until nothing more happens to it by itself, at most `limit` seconds, and return how it is then."""
    said, end = "", time.monotonic() + limit
    while True:
        with follower.lock:
            view = follower.fleet.tasks.get(state.task_id)
            now = view.merge if view is not None and view.merge is not None else state
        line = words(now)
        if tell and line != said and now.state not in SETTLED:
            said = line
            note(line)
        if now.state in SETTLED or time.monotonic() >= end:
            return now
        follower.wait_for(partial(_differs, follower, now), 1.0)


def _differs(follower: Follower, before: MergeState) -> bool:
    view = follower.fleet.tasks.get(before.task_id)
    return view is not None and view.merge != before


def tell_end(state: MergeState, as_json: bool, *, wanted: str, waited: bool) -> int:
    """Print it; 0 where it is what was wanted, or may still become that."""
    if as_json:
        print_json(msgspec.to_builtins(state))
    elif state.state not in SETTLED and not waited:
        click.echo(f"{words(state)}; `swarm-tui merge` shows how far it is")
    elif state.state == wanted:
        click.echo(words(state))
    elif not waited:
        note(words(state))
    return 0 if state.state == wanted or (state.state not in SETTLED and not waited) else FAILED


def words(state: MergeState) -> str:
    """Return how far it is, as a line."""
    into = f" into {state.target}" if state.target and state.state != "discarding" else ""
    told = {
        "waiting": f"waits{f', place {state.position}' if state.position else ''}, to be merged{into}",
        "running": f"is being merged{into}: `swarm-tui runs {state.run_id}`",
        "mending": f"went back to its agent, which mends it in {state.follow_up}: {state.reason}",
        "discarding": "is being thrown away",
        "merged": f"is merged{into}: {state.reason or state.commit}",
    }.get(state.state, f"is {state.state}: {state.reason}")
    return clean(f"{state.task_id} {told}", 2000)


def _list(found: Target, as_json: bool) -> int:
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = follower.load_tasks("tasks", {"limit": 1000})
    if rows is None:
        raise Failure("no dispatcher answers; `swarm-tui status` shows it")
    merges = [row.merge for row in sorted(rows, key=lambda row: row.updated_at) if row.merge is not None]
    merges.sort(key=lambda merge: merge.state not in SETTLED)
    if as_json:
        print_json(msgspec.to_builtins(merges))
    elif not merges:
        click.echo("nothing is merged or on its way; `swarm-tui merge TASK` merges what a task wrote")
    else:
        shown = [
            [clean(m.task_id), m.state, clean(m.target) or "-", m.run_id or "-", _checks(m), clean(m.reason) or "-"]
            for m in merges
        ]
        formatting.table(["TASK", "STATE", "INTO", "RUN", "CHECKS", "WHY"], shown)
    return 0


def _checks(merge: MergeState) -> str:
    return ", ".join(f"{clean(name)} {clean(said).partition(':')[0]}" for name, said in merge.checks.items()) or "-"
