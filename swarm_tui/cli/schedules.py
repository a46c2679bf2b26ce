"""`swarm-tui schedules`: when what begins by itself; pause, resume or fire a schedule."""

import time

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    FAILED,
    NO_SUCH,
    USAGE,
    Failure,
    broker_option,
    json_option,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.config.document import near
from swarm_tui.protocol.rows import ScheduleRow
from swarm_tui.protocol.run_bodies import ScheduleAct
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

_PATIENCE = 5.0


@click.command(epilog="Example: swarm-tui schedules; swarm-tui schedules fire nightly")
@click.argument("act", type=click.Choice(["list", "pause", "resume", "fire"]), default="list")
@click.argument("name", required=False)
@swarm_option
@broker_option
@json_option
def command(act: str, name: str | None, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """The layout's schedules with their next times; `pause`, `resume` or `fire` the one that is called NAME."""
    if act != "list" and name is None:
        raise Failure(f"which schedule? `swarm-tui schedules {act} NAME`", USAGE)
    found = target(swarm, broker)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = _rows(follower)
        if act != "list":
            rows = [_act(follower, act, name or "", rows)]
    if as_json:
        print_json(msgspec.to_builtins(rows))
    else:
        _print(rows)
    return 0


def _rows(follower: Follower) -> list[ScheduleRow]:
    rows = follower.schedules()
    if rows is None:
        raise Failure("no dispatcher answers; `swarm-tui status` shows whether one is there")
    return rows


def _act(follower: Follower, act: str, name: str, rows: list[ScheduleRow]) -> ScheduleRow:
    """Give the order, and return the schedule once the dispatcher has carried it out."""
    before = next((row for row in rows if row.name == name), None)
    if before is None:
        raise Failure(f"no schedule `{name}`{near(name, [row.name for row in rows])}", NO_SUCH)
    body = msgspec.convert({"name": name, "act": act}, ScheduleAct)
    follower.operator.act(Kind.SCHEDULE_ACT, body)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        after = next((row for row in _rows(follower) if row.name == name), None)
        done = after is not None and (after.fired > before.fired if act == "fire" else after.paused == (act == "pause"))
        if after is not None and done:
            return after
        time.sleep(0.1)
    raise Failure(
        f"{name}: the dispatcher did not {act} it within {_PATIENCE:g} s; `swarm-tui watch` shows why", FAILED
    )


def _print(rows: list[ScheduleRow]) -> None:
    if not rows:
        click.echo("no schedules; a layout has them under `schedules:` (docs/workflows.md)")
        return
    now = time.time()
    formatting.table(
        ["SCHEDULE", "CRON", "TIMEZONE", "BEGINS", "NEXT", "LAST", "FIRED", "SKIPPED", "WHY"],
        [
            [
                clean(row.name),
                clean(row.cron, 40),
                clean(row.timezone, 40),
                clean(row.what, 60),
                _next(row, now),
                clean(row.last) or "-",
                str(row.fired),
                str(row.skipped),
                clean(row.reason, 200) or "-",
            ]
            for row in rows
        ],
    )


def _next(row: ScheduleRow, now: float) -> str:
    if row.paused:
        return "paused"
    return "never" if row.next_at is None else f"in {formatting.age(row.next_at - now)}"
