"""`swarm-tui asks`: what AI agents need a yes for."""

import time

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    NO_SUCH,
    USAGE,
    Failure,
    broker_option,
    json_option,
    print_json,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.protocol.rows import AskRow, ask_rows
from swarm_tui.protocol.text import clean, clean_block

#: The fields of a row of `asks --json`.
_FIELDS = ("ask_id", "task_id", "agent_id", "tool", "title", "since", "expires_at")


@click.command(epilog="Example: swarm-tui asks; swarm-tui asks 3f2a shows one with its diff; swarm-tui answer 3f2a yes")
@click.argument("ask_id", metavar="[ID]", required=False)
@swarm_option
@broker_option
@json_option
def command(ask_id: str | None, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """List what AI agents ask and wait for, oldest first; with ID, show one with all that it is about."""
    found = target(swarm, broker)
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = open_asks(follower)
    if ask_id is not None:
        row = one_of(rows, ask_id)
        if as_json:
            print_json(msgspec.to_builtins(row))
        else:
            _print_one(row)
    elif as_json:
        print_json([{name: getattr(row, name) for name in _FIELDS} for row in rows])
    else:
        _print_list(rows)
    return 0


def open_asks(follower: Follower) -> list[AskRow]:
    """Ask the dispatcher what waits. Raises Failure when it does not answer."""
    reply = follower.operator.query("asks")
    if reply is None:
        raise Failure("no dispatcher answers; `swarm-tui status` shows it")
    return ask_rows(reply.rows)


def one_of(rows: list[AskRow], begun: str) -> AskRow:
    """Return the ask whose id begins so. Raises Failure for none, and for several."""
    if not begun:
        # A script's variable that is not set: the only one that waits is not what it meant.
        raise Failure("the ask's id is empty; `swarm-tui asks` lists those that wait", USAGE)
    matching = [row for row in rows if row.ask_id.startswith(begun)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(row.ask_id for row in matching)
        raise Failure(f"`{begun}` is the beginning of several: {ids}")
    raise Failure(f"nothing waits as `{begun}`: it was answered, or nobody asks; `swarm-tui asks` lists", NO_SUCH)


def _print_list(rows: list[AskRow]) -> None:
    if not rows:
        click.echo("nobody asks anything")
        return
    now = time.time()
    formatting.table(
        ("ASK", "AGENT", "TASK", "SINCE", "LEFT", "WANTS"),
        [
            (
                row.ask_id[:8],
                row.agent_id,
                row.task_id,
                formatting.age(now - row.since),
                formatting.age(row.expires_at - now),
                f"{clean(row.tool, 40)} {clean(row.title, 200)}",
            )
            for row in rows
        ],
    )


def _print_one(row: AskRow) -> None:
    now = time.time()
    click.echo(f"{row.agent_id} asks, for {row.task_id}, since {formatting.age(now - row.since)}:")
    click.echo(style(f"  {clean(row.tool, 100)} {clean(row.title)}", bold=True))
    for name, value in row.input.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")
        click.echo(f"  {clean(name, 40)}: {clean(text, 2000)}")
    for line in clean_block(row.diff or "").split("\n"):
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.echo(style(f"  {line}", fg=colour) if line else "")
    click.echo(f"  {formatting.age(row.expires_at - now)} are left, then it is a no")
    more = f"    for all like it: --always ({clean(row.rule)})" if row.rule else ""
    click.echo(f"  yes: swarm-tui answer {row.ask_id[:8]} yes{more}")
