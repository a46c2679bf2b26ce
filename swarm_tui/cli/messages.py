"""`swarm-tui messages`: mail with its receipts; within a task, what its agent has not read."""

import os
import time

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.caller import caller
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
from swarm_tui.cli.completers import agents, task_ids
from swarm_tui.cli.existence import check_swarm_exists
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import journal_is_current, journal_mail
from swarm_tui.cli.mail_acts import read_own
from swarm_tui.cli.number_types import Whole
from swarm_tui.protocol.rows import MailReceipt, MailRow
from swarm_tui.protocol.text import clean, clean_block

#: A letter for each state of a receipt.
GLYPHS = {"waiting": "·", "delivered": "→", "read": "✓", "answered": "↩", "dead": "✗"}


@click.command(epilog="Example: swarm-tui messages --agent builder; swarm-tui messages ID shows one with its receipts")
@click.argument("message_id", metavar="[ID]", required=False)
@click.option("--agent", metavar="NAME", shell_complete=agents, help="Only what it sent or gets; a person's name too.")
@click.option("--task", metavar="ID", shell_complete=task_ids, help="Only what is about the task.")
@click.option("--read", is_flag=True, help="Within a task: what its agent has not read, each message once.")
@click.option("--limit", type=Whole(min=1, max=10_000), default=50, show_default=True, help="The newest N.")
@swarm_option
@broker_option
@json_option
def command(
    message_id: str | None,
    agent: str | None,
    task: str | None,
    read: bool,
    limit: int,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """The mail of the swarm, newest first, with what became of it; with ID, one message whole."""
    found = target(swarm or os.environ.get("SWARM_NAME"), broker)
    if read:
        return _read(found, as_json=as_json)
    rows = _rows(found, message_id, agent, task, limit, remote=bool(broker))
    if message_id is not None and not rows:
        raise Failure(f"no message `{message_id}` in {found.swarm}; `swarm-tui messages` lists those known", NO_SUCH)
    if as_json:
        print_json(msgspec.to_builtins(rows[0] if message_id is not None else rows))
    elif message_id is not None:
        _print_one(rows[0])
    else:
        _print_list(rows)
    return 0


def _rows(
    found: Target, message_id: str | None, agent: str | None, task: str | None, limit: int, *, remote: bool
) -> list[MailRow]:
    if journal_is_current(found.state) and not remote:
        return journal_mail(found.state, message_id=message_id, agent=agent, task=task, limit=limit)
    args: dict[str, object] = {"limit": limit}
    given = {"message_id": message_id, "agent_id": agent, "task_id": task}
    args |= {name: value for name, value in given.items() if value is not None}
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        rows = follower.load_mails(args)
    if rows is None:
        raise Failure("the dispatcher does not answer; `swarm-tui status` shows it")
    return rows


def _read(found: Target, *, as_json: bool) -> int:
    """Print what the agent whose task's program this is has not read; from then on it is read."""
    who = caller(found)
    with follow(found) as follower:
        who.speak_as_agent(follower.operator)
        messages = read_own(follower, who)
    if as_json:
        print_json(msgspec.to_builtins(messages))
        return 0
    for message in messages:
        wants = ", wants an answer" if message.expects_answer else ""
        click.echo(f"{style(clean(message.sender or ''), bold=True)} ({message.message_id}{wants})")
        click.echo(clean_block(message.text))
    return 0


def _print_list(rows: list[MailRow]) -> None:
    if not rows:
        click.echo("no messages; `swarm-tui send AGENT TEXT` writes one")
        return
    now = time.time()
    formatting.table(
        ["MESSAGE", "FROM", "TO", "RECEIPTS", "AGE", "TEXT"],
        [
            [
                clean(row.message_id, 40),
                clean(row.sender, 40),
                clean(row.to, 40),
                _receipts(row.receipts),
                formatting.age(now - row.accepted_at),
                ("↩ " if row.reply_to else "") + ("? " if row.expects_answer else "") + clean(row.text, 120),
            ]
            for row in rows
        ],
    )


def _receipts(receipts: list[MailReceipt]) -> str:
    """Return one receipt in words, several as how many have come how far."""
    if len(receipts) == 1:
        return f"{GLYPHS.get(receipts[0].state, '?')} {receipts[0].state}"
    counts: dict[str, int] = {}
    for receipt in receipts:
        counts[receipt.state] = counts.get(receipt.state, 0) + 1
    return " ".join(f"{GLYPHS.get(state, '?')}{count} {state}" for state, count in counts.items()) or "kept"


def _print_one(row: MailRow) -> None:
    now = time.time()
    click.echo(f"{style(row.message_id, bold=True)}  {clean(row.sender)} to {clean(row.to)}")
    told = {"sent": f"{formatting.age(now - row.accepted_at)} ago", "answers": row.reply_to, "task": row.task_id}
    for name, value in told.items():
        if value:
            click.echo(f"{name:>9}  {clean(str(value))}")
    if row.expires_at is not None and row.expires_at > now:
        click.echo(f"  expires  in {formatting.age(row.expires_at - now)}")
    for receipt in row.receipts:
        why = f": {clean(receipt.reason)}" if receipt.reason else f" {receipt.answer_id}" if receipt.answer_id else ""
        ago = formatting.age(now - receipt.at)
        click.echo(f"{GLYPHS.get(receipt.state, '?'):>9}  {clean(receipt.agent_id)} {receipt.state} {ago} ago{why}")
    click.echo("")
    click.echo(clean_block(row.text))
