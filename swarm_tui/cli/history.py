"""`swarm-tui history`: messages of the record."""

import queue
import shutil
import sys
import time
from collections.abc import Iterable

import click

from swarm_tui.cli import formatting
from swarm_tui.cli.changes import print_changes
from swarm_tui.cli.common import (
    USAGE,
    Failure,
    Target,
    broker_option,
    json_option,
    note,
    reader_is_gone,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import agents, task_ids
from swarm_tui.cli.existence import check_record_exists
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import opened_read_only
from swarm_tui.cli.number_types import Whole
from swarm_tui.cli.watch import as_json_line, as_text_line, full_filter
from swarm_tui.client.record import NoRecordError, ask_record
from swarm_tui.journal.record_reader import prepare, read_history, stream_history
from swarm_tui.journal.recorder_port import HistoryQuery, Recorded, heard_then, recorded_of, takes
from swarm_tui.protocol import codec
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.moments import read_moment
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.look.message_line import is_heartbeat, style_of, summary
from swarm_tui.ui.look.text import fit, flat

_COLOURS = {"bad": "red", "warn": "yellow", "ok": "green"}
#: Messages that may be both in the answer and heard live.
_BOTH = 2000


def moment_option(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return the moment that an option names, as seconds since the epoch."""
    try:
        return None if text is None else read_moment(text, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from None


@click.command(epilog="Example: swarm-tui history --task t-17; swarm-tui history --since 5m --changes")
@click.option("--task", "task_id", metavar="ID", shell_complete=task_ids, help="Only what names this task.")
@click.option("--agent", "agent_id", metavar="ID", shell_complete=agents, help="Only what this agent said or was told.")
@click.option("--topic", metavar="FILTER", help="Only these topics; + and # as in MQTT.")
@click.option(
    "--since", callback=moment_option, metavar="MOMENT", help="From then on: 5m, 2h, 14:30, 2026-11-29T14:30Z."
)
@click.option("--until", callback=moment_option, metavar="MOMENT", help="Up to then.")
@click.option("-n", "count", type=Whole(min=1, max=1_000_000), help="The newest N; 200, or all since --since.")
@click.option("-f", "--follow", "keep", is_flag=True, help="Go on as messages come.")
@click.option("--changes", is_flag=True, help="What is other at --until (now) than it was at --since.")
@swarm_option
@broker_option
@json_option
def command(
    task_id: str | None,
    agent_id: str | None,
    topic: str | None,
    since: float | None,
    until: float | None,
    count: int | None,
    keep: bool,
    changes: bool,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Print what was said, the oldest first: a line each, with its time, topic and payload.

    On a terminal a line is cut to its width, and heartbeats are left out unless --topic names them; in a pipe, and with
    --json, it is all there. With --changes: what changed of agents, tasks, runs, asks, versions and layout between two
    moments.
    """
    if since is not None and until is not None and since > until:
        raise Failure("--since is later than --until: nothing can be in between", USAGE)
    if keep and until is not None:
        raise Failure("-f goes on without an end, --until sets one: leave one of them out", USAGE)
    found = target(swarm, broker)
    by_bus = keep or bool(broker) or not found.state.recorder.is_file()
    if changes:
        if since is None or keep or count or task_id or agent_id or topic:
            raise Failure("--changes is about the whole swarm: it takes --since MOMENT, --until and no filter", USAGE)
        print_changes(found, since, until, by_bus=by_bus, as_json=as_json)
        return 0
    query = HistoryQuery(
        since=since,
        until=until,
        topic=None if topic is None else full_filter(found.swarm, topic),
        agent_id=agent_id,
        task_id=task_id,
        limit=_limit(count, since),
    )
    if by_bus:
        _by_bus(found, query, as_json, keep)
    else:
        with opened_read_only(found.state.recorder) as db:
            prepare(db)
            rows = read_history(db, query, query.limit) if count or since is None else stream_history(db, query)
            _print_all(found, rows, as_json, topic is not None)
    return 0


def _limit(count: int | None, since: float | None) -> int:
    return count or (200 if since is None else 1_000_000)


def _by_bus(found: Target, query: HistoryQuery, as_json: bool, keep: bool) -> None:
    """Ask whoever keeps the record; where it goes on, what comes meanwhile is gathered before."""
    live: queue.SimpleQueue[Recorded] = queue.SimpleQueue()
    with follow(found) as follower:
        judge = follower.operator.judge
        follower.operator.on_message(lambda *message: _gather(found, live, judge, *message))
        check_record_exists(follower, found)
        try:
            rows = ask_record(follower.operator.query, query)
        except NoRecordError as error:
            raise Failure(
                f"{found.swarm}: {error}; an agent of the role monitoring does, see `swarm-tui status`"
            ) from None
        _print_all(found, rows, as_json, query.topic is not None)
        if keep:
            _follow(found, query, rows, live, as_json)


def _gather(
    found: Target, live: "queue.SimpleQueue[Recorded]", judge: codec.Judge, topic: str, payload: bytes, retained: bool
) -> None:
    now = time.time()
    event = codec.decode(found.swarm, topic, payload, retained, now, judge)
    if event is not None and not retained and getattr(event, "kind", None) is not Kind.REPLY:
        live.put(recorded_of(event, topic, payload, now))


def _follow(
    found: Target, query: HistoryQuery, rows: list[Recorded], live: "queue.SimpleQueue[Recorded]", as_json: bool
) -> None:
    shown = {(row.topic, row.payload) for row in rows[-_BOTH:]}
    while True:
        try:
            message = live.get(timeout=1.0)
        except queue.Empty:
            if reader_is_gone():
                raise BrokenPipeError from None
            continue
        if takes(query, message) and (message.topic, message.payload) not in shown:
            _print(found, message, as_json, query.topic is not None)


def _print_all(found: Target, rows: Iterable[Recorded], as_json: bool, named: bool) -> None:
    some, folded = False, 0
    for row in rows:
        some = True
        folded += not _print(found, row, as_json, named)
    if not some:
        note(f"the record of {found.swarm} has nothing like that")
    elif folded:
        note(f"{folded:,} heartbeats are left out: --topic '#' prints them too")


def _print(found: Target, row: Recorded, as_json: bool, named: bool) -> bool:
    """Print a message as whoever reads it can; False for a heartbeat, which a terminal has only where it is `named`."""
    if not (as_json or sys.stdout.isatty()):
        click.echo(f"{style(_when(row.at), dim=True)} {as_text_line(row.topic, row.payload)}")
        if row.refused:
            note(style(f"-- refused: {clean(row.refused)}", fg="yellow"))
        return True
    event = heard_then(found.swarm, row)
    if as_json:
        click.echo(as_json_line(row.at, row.topic, row.payload, False, event))
        return True
    if event is None or (not named and is_heartbeat(event)):
        return event is None
    click.echo(short_line(found.swarm, event, shutil.get_terminal_size().columns))
    return True


def short_line(swarm: str, event: Event | Rejected, width: int) -> str:
    """Return the message in one line of at most `width` columns: its time, topic, who said it, and what."""
    who = event.who if isinstance(event, Rejected) else event.sender
    topic, room = clean(event.topic.removeprefix(swarm + "/")), max(14, min(30, width // 4))
    when = _when(event.received)
    said = f"{fit(who.removeprefix('operator:') or '?', 16)} {flat(summary(event))}"
    colour = _COLOURS.get(style_of(event), "cyan")
    rest = fit(said, max(0, width - len(when) - room - 2)).rstrip()
    return f"{style(when, dim=True)} {style(fit(topic, room), fg=colour)} {rest}"


def _when(at: float) -> str:
    """Return the local time, with its date where that is not today's."""
    local = time.localtime(at)
    date = "" if local[:3] == time.localtime()[:3] else time.strftime("%Y-%m-%d ", local)
    return date + formatting.moment(at)
