"""`swarm-tui compare`: what several agents made of the same task, side by side; and how that begins."""

import re
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
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
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.run_acts import submit, wait_for_end
from swarm_tui.client.ids import new_id
from swarm_tui.domain.comparison import COMPARE, Candidate, best, candidates, comparison, table
from swarm_tui.domain.fleet.runs import REJECTED
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.names import is_run_id
from swarm_tui.protocol.run_bodies import new_run
from swarm_tui.protocol.text import clean

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")


@click.command(epilog="Example: swarm-tui compare compare-1f2e3d4c")
@click.argument("run_id", metavar="RUN")
@swarm_option
@broker_option
@json_option
def command(run_id: str, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """Show what each of those made of a task that `publish TYPE --with A,B` gave to several, the best first."""
    found = target(swarm, broker)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = follower.load_runs("run", {"run_id": run_id})
        if rows is None:
            raise Failure("no dispatcher answers; `swarm-tui status` shows it")
        if not rows or rows[0].workflow != COMPARE:
            raise Failure(f"no comparison `{run_id}`; `swarm-tui runs` lists the runs", NO_SUCH)
        _show(_known(follower, run_id), as_json)
    return 0


def compare(
    found: Target,
    task: Task,
    names: Sequence[str],
    checks: Sequence[str],
    accept_timeout: float,
    wait: bool,
    as_json: bool,
) -> int:
    """Give the task to each of `names`, and print the run's id; with `wait`, what came of it."""
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong or len(set(names)) < max(2, len(names)):
        why = f"`{wrong[0]}` is no CLI's name" if wrong else "name at least two, each once: --with claude,codex"
        raise Failure(why, USAGE)
    run_id = task.task_id if not task.task_id.startswith("task_") else f"compare-{new_id()[:8]}"
    if not is_run_id(run_id):
        raise Failure(f"{run_id!r} is no run's id: letters, digits, _ and -", USAGE)
    run = new_run(run_id, comparison(task.type, task.payload, names, checks), {})
    with follow(found, patience=accept_timeout) as follower:
        check_swarm_exists(follower, found)
        view = submit(follower, run, accept_timeout)
        if view is None or view.state == REJECTED:
            why = (
                view.reason
                if view is not None
                else "no dispatcher took it; `swarm-tui status` shows whether one is there"
            )
            raise Failure(f"{run_id}: {clean(why, 500)}")
        if not as_json:
            click.echo(run_id)
        if not wait:
            if as_json:
                print_json({"run_id": run_id, "state": view.state})
            return 0
        wait_for_end(follower, run_id, (lambda line: None) if as_json else note)
        shown = _known(follower, run_id)
        _show(shown, as_json)
    return 0 if best(shown) is not None else 1


def _known(follower: Follower, run_id: str) -> list[Candidate]:
    """Return who did it, with what the dispatcher knows of their tasks."""
    follower.load_runs("run", {"run_id": run_id})
    with follower.lock:
        run = follower.fleet.runs[run_id]
        steps = list(run.steps)
    for step in steps:
        follower.load_tasks("task", {"task_id": f"{run_id}.{step}"})
    with follower.lock:
        return candidates(run, follower.fleet.tasks.get)


def _show(found: list[Candidate], as_json: bool) -> None:
    if as_json:
        print_json([{name: value for name, value in _plain(one).items() if name != "rank"} for one in found])
        return
    formatting.table(["", *(one.name for one in found)], [[name, *cells] for name, cells in table(found)])
    first = best(found)
    if first is not None and not any(one.merge == "merged" for one in found):
        click.echo(f"merge one: swarm-tui merge {first.task_id}")


def _plain(one: Candidate) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(one)
    return plain
