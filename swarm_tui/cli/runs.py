"""`swarm-tui runs`: the list, or one run with its steps."""

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
from swarm_tui.cli.completers import run_ids
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import journal_is_current, journal_runs
from swarm_tui.cli.name_checks import check_run
from swarm_tui.cli.number_types import Whole
from swarm_tui.protocol.rows import RunRow, StepRow
from swarm_tui.protocol.text import clean

#: A letter for each state of a step: a run is a line of them.
GLYPHS = {"blocked": "◌", "running": "▶", "complete": "✓", "failed": "✗", "cancelled": "⊘", "skipped": "⊝"}
#: Steps that are shown as glyphs in a line.
_MOST = 40


@click.command(epilog="Example: swarm-tui runs; swarm-tui runs ship-1a2b3c4d shows one with its steps")
@click.argument("run_id", metavar="[ID]", required=False, shell_complete=run_ids)
@click.option(
    "--state",
    type=click.Choice(["running", "complete", "failed", "cancelled"]),
    help="Only those in this state.",
)
@click.option("--limit", type=Whole(min=1, max=10_000), default=50, show_default=True, help="The newest N.")
@swarm_option
@broker_option
@json_option
def command(
    run_id: str | None, state: str | None, limit: int, swarm: str | None, broker: str | None, as_json: bool
) -> int:
    """The runs of workflows, newest first; with ID, one run with its steps."""
    found = target(swarm, broker)
    if run_id is not None:
        check_run(run_id)
    rows = _rows(found, run_id, state, limit, remote=bool(broker))
    if run_id is not None and not rows:
        raise Failure(f"no run `{run_id}` in {found.swarm}; `swarm-tui runs` lists those known", NO_SUCH)
    if as_json:
        print_json(msgspec.to_builtins(rows[0] if run_id is not None else rows))
    elif run_id is not None:
        _print_one(rows[0])
    else:
        _print_list(rows)
    return 0


def _rows(found: Target, run_id: str | None, state: str | None, limit: int, *, remote: bool) -> list[RunRow]:
    if journal_is_current(found.state) and not remote:
        return journal_runs(found.state, run_id=run_id, run_state=state, limit=limit)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        args: dict[str, object] = {"limit": limit, **({"state": state} if state else {})}
        rows = follower.load_runs("run", {"run_id": run_id}) if run_id else follower.load_runs("runs", args)
    if rows is None:
        raise Failure("the dispatcher does not answer; `swarm-tui status` shows it")
    return rows


def _print_list(rows: list[RunRow]) -> None:
    if not rows:
        click.echo("no runs; `swarm-tui run NAME` begins one")
        return
    now = time.time()
    formatting.table(
        ["RUN", "WORKFLOW", "STATE", "STEPS", "AGE", "TOOK", "WHY"],
        [
            [
                clean(row.run_id),
                clean(row.workflow, 32),
                formatting.state(row.state),
                "".join(GLYPHS.get(step.state, "?") for step in row.steps[:_MOST])
                + ("…" if len(row.steps) > _MOST else ""),
                formatting.age(now - row.created_at),
                formatting.age((row.ended_at or now) - row.created_at),
                clean(row.reason, 200) or "-",
            ]
            for row in rows
        ],
    )


def _print_one(row: RunRow) -> None:
    took = "" if row.ended_at is None else f", took {row.ended_at - row.created_at:.1f}s"
    click.echo(f"{style(row.run_id, bold=True)}  {clean(row.workflow)}  {formatting.state(row.state)}{took}")
    for name, value in (("by", row.by), ("reason", row.reason)):
        if value:
            click.echo(f"{name:>9}  {clean(value)}")
    for name, given in row.inputs.items():
        click.echo(f"    input  {clean(name)} = {clean(msgspec.json.encode(given).decode(), 200)}")
    formatting.table(
        ["STEP", "TYPE", "STATE", "NEEDS", "DONE", "TOOK", "WHY"], [_step(step, time.time()) for step in row.steps]
    )


def _step(step: StepRow, now: float) -> list[str]:
    took = "-" if step.began_at is None else formatting.age((step.ended_at or now) - step.began_at)
    return [
        f"{GLYPHS.get(step.state, '?')} {clean(step.step)}",
        clean(step.type, 32),
        formatting.state(step.state),
        clean(", ".join(step.needs), 60) or "-",
        "-" if step.count is None else f"{step.done}/{step.count}",
        took,
        clean(step.reason, 300) or "-",
    ]
