"""`swarm-tui send`: write to an agent, a role or all, and wait for the answer if asked."""

import os
import sys
import time

import click

from swarm_tui.cli.caller import caller
from swarm_tui.cli.common import (
    FAILED,
    USAGE,
    Failure,
    broker_option,
    json_option,
    note,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import receivers
from swarm_tui.cli.existence import check_swarm_exists, tell_who_is_missing
from swarm_tui.cli.follow import follow
from swarm_tui.cli.mail_acts import answer_of, send, wait_read
from swarm_tui.cli.number_types import SPAN
from swarm_tui.client.ids import new_message_id
from swarm_tui.domain.fleet.mails import MailView
from swarm_tui.domain.mail.model import MAX_TEXT
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.names import is_task_id
from swarm_tui.protocol.text import clean_block


@click.command(
    epilog="Example: swarm-tui send builder 'The schema is in docs/schema.md'; swarm-tui send qa 'Ready?' --ask"
)
@click.argument("to", metavar="AGENT|ROLE|all", shell_complete=receivers)
@click.argument("text", metavar="TEXT|-")
@click.option("--ask", is_flag=True, help="Say that you want an answer; with --wait, wait for it and print it.")
@click.option("--wait", is_flag=True, help="Wait until it is read by each receiver, or answered.")
@click.option("--within", type=SPAN, default=300.0, show_default=True, help="How long to wait.")
@click.option("--reply-to", metavar="ID", help="The message that this answers.")
@click.option("--task", "task_id", metavar="ID", help="The task that it is about.")
@click.option("--expires", type=SPAN, help="How long it is good (default: a day; to a role or all an hour).")
@click.option("--message-id", metavar="ID", help="Its id (default: a new one); the same again is the same message.")
@click.option("--accept-timeout", type=SPAN, default=30.0, show_default=True)
@swarm_option
@broker_option
@json_option
def command(
    to: str,
    text: str,
    ask: bool,
    wait: bool,
    within: float,
    reply_to: str | None,
    task_id: str | None,
    expires: float | None,
    message_id: str | None,
    accept_timeout: float,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Write to an agent, each agent of a role, or all; print the message's id once the swarm has written it down.

    `-` as the text reads it from stdin. From within a task it is the task's agent that writes.
    """
    words = sys.stdin.read() if text == "-" else text
    size = len(words.encode("utf-8", "replace"))
    if not words.strip() or size > MAX_TEXT:
        raise Failure(f"a message has 1 to {MAX_TEXT:,} bytes of text, not {size:,}", USAGE)
    for name in (reply_to, task_id, message_id):
        if name is not None and not is_task_id(name):
            raise Failure(f"{name[:80]!r} is not an id: use 1 to 128 of A-Z a-z 0-9 _ . : -", USAGE)
    found = target(swarm or os.environ.get("SWARM_NAME"), broker)
    who = caller(found)
    message = MessageNew(
        message_id=message_id or new_message_id(),
        to=to,
        text=words,
        reply_to=reply_to,
        expects_answer=ask,
        task_id=task_id or who.task_id,
        expires_at=None if expires is None else time.time() + expires,
    )
    with follow(found, patience=accept_timeout) as follower:
        who.speak_as_agent(follower.operator)
        check_swarm_exists(follower, found)
        tell_who_is_missing(follower, found, accept_timeout)
        view = send(follower, message, accept_timeout)
        if not as_json and not (wait and ask):
            click.echo(message.message_id)
        answer = ""
        if wait and ask and who.agent_id is not None:
            came = answer_of(follower, who, message.message_id, within)
            answer = came.text if isinstance(came, MessageNew) else ""
        elif wait:
            say = (lambda line: None) if as_json else note
            view = wait_read(follower, message.message_id, within, say, answer=ask)
            answer = view.answer
    return _end(view, answer, ask=ask, wait=wait, within=within, as_json=as_json)


def _end(view: MailView, answer: str, *, ask: bool, wait: bool, within: float, as_json: bool) -> int:
    """Print what came of it; exit 0 only where what was waited for has come."""
    if as_json:
        receipts = {agent_id: receipt.state.value for agent_id, receipt in view.receipts.items()}
        shown = {"message_id": view.message_id, "state": view.state, "receipts": receipts}
        print_json({**shown, "answer": answer or None, "answered_by": view.answered_by or None})
    elif answer:
        click.echo(clean_block(answer))
    if not wait:
        return 0
    if ask and not answer:
        raise Failure(
            f"no answer within {within:g} s; `swarm-tui messages {view.message_id}` shows how far it is", FAILED
        )
    if not ask and view.state not in ("read", "answered") and view.receipts:
        unread = [name for name, one in view.receipts.items() if one.state.value not in ("read", "answered")]
        raise Failure(f"not read by {', '.join(unread[:5])} ({view.state})", FAILED)
    return 0
