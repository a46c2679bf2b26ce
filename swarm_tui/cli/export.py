"""`swarm-tui export`: a span of the swarm's life in one file."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click

from swarm_tui.cli.changes import KEPT, known_at
from swarm_tui.cli.common import (
    NO_SUCH,
    USAGE,
    Failure,
    Target,
    connect,
    json_option,
    note,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.history import moment_option
from swarm_tui.cli.journal_reader import has_journal, opened_read_only, tasks_between
from swarm_tui.cli.recording import Line
from swarm_tui.cli.span_file import Excerpt, write_span
from swarm_tui.client.operator import Operator
from swarm_tui.client.record import ANSWER_WITHIN
from swarm_tui.config.home import host_name
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.snapshot import snapshot
from swarm_tui.domain.summary import task_json
from swarm_tui.journal.pane_excerpt import Piece, excerpt, unpacked
from swarm_tui.journal.record_reader import prepare, stream_history
from swarm_tui.journal.recorder_port import HistoryQuery


@click.command(epilog="Example: swarm-tui export --from 14:00 --to 14:30 night.swarm; swarm-tui replay night.swarm")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from", "since", callback=moment_option, metavar="MOMENT", default="1h", help="From then on  [1h].")
@click.option("--to", "until", callback=moment_option, metavar="MOMENT", default="now", help="Up to then  [now].")
@swarm_option
@json_option
def command(file: Path, since: float, until: float, swarm: str | None, as_json: bool) -> int:
    """Write what was said, decided and printed in a span of time into FILE, which `replay` shows whole.

    It is a zip: bus.jsonl, journal.jsonl, and panes/ID.cast, which asciinema plays. Panes of other hosts are asked for.
    """
    if since >= until:
        raise Failure("--from is not before --to: nothing can be in between", USAGE)
    found = target(swarm)
    if not found.state.recorder.is_file():
        raise Failure(
            f"no record of {found.swarm} is here: export on the host whose agent of role monitoring keeps it",
            NO_SUCH,
        )
    before = known_at(found, since)
    span = Excerpt(swarm=found.swarm, since=since, until=until, snapshot=snapshot(before, ended_tasks=KEPT))
    far = _far(found, before, known_at(found, until))
    said, tasks, panes = write_span(
        file, span, lines=_lines(found, since, until), tasks=_tasks(found.state, since, until),
        panes=chain(_panes(found.state, since, until), _far_panes(found, far, since, until)),
    )  # fmt: skip
    if as_json:
        print_json(
            {"file": str(file).encode("utf-8", "replace").decode(), "messages": said, "tasks": tasks, "panes": panes}
        )
    else:
        note(f"{file}: {said} messages, {tasks} tasks, {panes} panes; it holds payloads and results as they were")
    return 0


def _lines(found: Target, since: float, until: float) -> Iterator[Line]:
    with opened_read_only(found.state.recorder) as db:
        prepare(db)
        for row in stream_history(db, HistoryQuery(since=since, until=until)):
            yield Line(
                at=row.at,
                topic=row.topic,
                payload=row.payload,
                retained=row.retained,
                proved=row.proved,
                refused=row.refused,
            )


def _tasks(state: StateDir, since: float, until: float) -> Iterator[dict[str, Any]]:
    if has_journal(state):
        for row in tasks_between(state, since, until):
            yield task_json(row, hops=True)


def _panes(state: StateDir, since: float, until: float) -> Iterator[tuple[str, Iterable[Piece]]]:
    for log in sorted(state.logs.glob("*.log")):
        yield log.stem, excerpt(log, since, min(until, time.time()))


def _far(found: Target, *fleets: Fleet) -> dict[str, str]:
    """Return the agents that other hosts have, or had, each with its host."""
    agents = [agent for fleet in fleets for agent in fleet.agents.values()]
    far = {agent.agent_id: agent.host for agent in agents if agent.host and agent.host != host_name()}
    return {name: host for name, host in sorted(far.items()) if not found.state.log(name).is_file()}


def _far_panes(found: Target, far: dict[str, str], since: float, until: float) -> Iterator[tuple[str, Iterable[Piece]]]:
    """Yield the panes that other hosts have; where one does not answer, they are left out, which is said."""
    if not far:
        return
    try:
        operator = connect(found)
    except Failure as failure:
        note(f"without the panes of {', '.join(far)}, which are on other hosts: {failure.reason}")
        return
    silent: set[str] = set()
    try:
        for agent_id, host in far.items():
            pieces, reason = (
                ([], "it does not answer") if host in silent else _far_pane(operator, agent_id, host, since, until)
            )
            if reason:
                silent.add(host)
                note(f"without {'the rest of ' if pieces else ''}the pane of {agent_id} on {host}: {reason}")
            if pieces:
                yield agent_id, pieces
    finally:
        operator.close(0.5)


def _far_pane(operator: Operator, agent_id: str, host: str, since: float, until: float) -> tuple[list[Piece], str]:
    """Return what a far host says that the pane printed, and why that is not all; empty where it is."""
    pieces: list[Piece] = []
    skip: int | None = 0
    while skip is not None:
        asked = {"agent_id": agent_id, "since": since, "until": until, "skip": skip}
        replies = operator.query_all("printed", asked, ANSWER_WITHIN, enough=1)
        reply = next((reply for reply in replies if reply.source == f"host:{host}" and not reply.more), None)
        if reply is None:
            return pieces, "it does not answer"
        try:
            more, skip = unpacked(reply.rows)
        except ValueError as error:
            return pieces, str(error)
        pieces += more
    return pieces, ""
