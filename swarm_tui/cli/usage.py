"""`swarm-tui usage`: tokens and money that tasks took."""

import time
from collections.abc import Callable

import click

from swarm_tui.cli import formatting
from swarm_tui.cli.common import Failure, Target, broker_option, json_option, print_json, swarm_option, target
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import journal_is_current, journal_rows
from swarm_tui.cli.number_types import Real
from swarm_tui.domain.usage import Usage, read_usage
from swarm_tui.protocol.envelope import rfc3339
from swarm_tui.protocol.rows import TaskRow

_MOST = 100_000
#: Days back, at most.
_LONGEST = 36_500
_BY: dict[str, Callable[[TaskRow], str]] = {
    "task": lambda row: row.task_id,
    "agent": lambda row: row.agent_id or "-",
    "type": lambda row: row.type,
    "day": lambda row: rfc3339(row.created_at)[:10],
}


@click.command(epilog="Example: swarm-tui usage; swarm-tui usage --by agent --days 7")
@click.option("--by", type=click.Choice(list(_BY)), default="day", show_default=True, help="A line for each of these.")
@click.option(
    "--days", type=Real(min=0, min_open=True, max=_LONGEST), default=30.0, show_default=True, help="Of so many days."
)
@swarm_option
@broker_option
@json_option
def command(by: str, days: float, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """Tokens and US dollars that tasks took, and their sum. A cost that nobody knows is said, and is no 0."""
    found = target(swarm, broker)
    since = time.time() - days * 86_400
    rows = [row for row in _rows(found, bool(broker)) if row.usage and row.created_at >= since]
    groups: dict[str, list[TaskRow]] = {}
    for row in rows:
        groups.setdefault(_BY[by](row), []).append(row)
    lines = [(name, len(of), *_sum(of)) for name, of in sorted(groups.items(), reverse=by == "day")]
    whole, unpriced = _sum(rows)
    if as_json:
        print_json(
            {
                "by": by,
                "rows": [_json(by, name, count, used, unknown) for name, count, used, unknown in lines],
                "total": _json("", "", len(rows), whole, unpriced),
            }
        )
    elif not rows:
        click.echo(f"no task told of any usage in the last {days:g} days")
    else:
        head = (by.upper(), "TASKS", "IN", "CACHED", "OUT", "COST")
        shown = [(name, str(count), *_cells(used, unknown)) for name, count, used, unknown in lines]
        formatting.table(head, [*shown, ("all", str(len(rows)), *_cells(whole, unpriced))])
    return 0


def _rows(found: Target, remote: bool) -> list[TaskRow]:
    if journal_is_current(found.state) and not remote:
        return journal_rows(found.state, limit=_MOST)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = follower.load_tasks("tasks", {"limit": _MOST}, 10.0)
    if rows is None:
        raise Failure("no dispatcher answers; `swarm-tui status` shows it")
    return rows


def _sum(rows: list[TaskRow]) -> tuple[Usage, int]:
    """Return the sum, its cost that of the tasks whose cost is known, and how many others there are."""
    tokens, cost, unknown = Usage(), 0.0, 0
    for row in rows:
        used = read_usage(row.usage)
        unknown += used.cost is None
        cost += used.cost or 0.0
        tokens = tokens.plus(used)
    return (
        Usage(
            tokens_in=tokens.tokens_in,
            tokens_out=tokens.tokens_out,
            tokens_cached=tokens.tokens_cached,
            cost=cost,
            partial=tokens.partial,
        ),
        unknown,
    )


def _cells(used: Usage, unknown: int) -> tuple[str, str, str, str]:
    cost = f"${used.cost:.4f}" if used.cost or not unknown else ""
    more = f"{'and ' if cost else ''}{unknown} unknown" if unknown else ""
    # What was cut off told no tokens: it is more than this.
    plus = "+" if used.partial else ""
    return (
        f"{used.tokens_in:,}{plus}",
        f"{used.tokens_cached:,}",
        f"{used.tokens_out:,}{plus}",
        " ".join(filter(None, (cost, more))),
    )


def _json(by: str, name: str, count: int, used: Usage, unknown: int) -> dict[str, object]:
    plain: dict[str, object] = {by: name} if by else {}
    plain |= {"tasks": count, "tokens_in": used.tokens_in, "tokens_cached": used.tokens_cached}
    plain |= {"tokens_out": used.tokens_out, "cost": round(used.cost or 0.0, 6), "unpriced": unknown}
    plain |= {"partial": True} if used.partial else {}
    return plain
