"""`swarm-tui export`: a span of the swarm's life in one file."""

import time
from collections.abc import Iterator
from math import inf, nextafter
from pathlib import Path
from typing import Any

import click

from swarm_tui.cli.changes import KEPT, known_at
from swarm_tui.cli.common import NO_SUCH, USAGE, Failure, Target, json_option, note, print_json, swarm_option, target
from swarm_tui.cli.history import moment_option
from swarm_tui.cli.journal_reader import has_journal, opened_read_only, tasks_between
from swarm_tui.cli.recording import Line
from swarm_tui.cli.span_file import Excerpt, write_span
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.fleet.snapshot import snapshot
from swarm_tui.domain.summary import task_json
from swarm_tui.journal.pane_times import pane_at, printed
from swarm_tui.journal.record_reader import prepare, stream_history
from swarm_tui.journal.recorder_port import HistoryQuery

#: Lines of each pane as it was when the span began.
_FIRST_LINES = 60


@click.command(epilog="Example: swarm-tui export --from 14:00 --to 14:30 night.swarm; swarm-tui replay night.swarm")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from", "since", callback=moment_option, metavar="MOMENT", default="1h", help="From then on  [1h].")
@click.option("--to", "until", callback=moment_option, metavar="MOMENT", default="now", help="Up to then  [now].")
@swarm_option
@json_option
def command(file: Path, since: float, until: float, swarm: str | None, as_json: bool) -> int:
    """Write what was said, decided and printed in a span of time into FILE, which `replay` shows whole.

    It is a zip: bus.jsonl, journal.jsonl, and panes/ID.cast, which asciinema plays. Panes are those of this host.
    """
    if since >= until:
        raise Failure("--from is not before --to: nothing can be in between", USAGE)
    found = target(swarm)
    if not found.state.recorder.is_file():
        raise Failure(
            f"no record of {found.swarm} is here: export on the host whose agent of role monitoring keeps it",
            NO_SUCH,
        )
    span = Excerpt(
        swarm=found.swarm, since=since, until=until, snapshot=snapshot(known_at(found, since), ended_tasks=KEPT)
    )
    said, tasks, panes = write_span(
        file, span, lines=_lines(found, since, until), tasks=_tasks(found.state, since, until),
        panes=_panes(found.state, since, until),
    )  # fmt: skip
    if as_json:
        print_json({"file": str(file), "messages": said, "tasks": tasks, "panes": panes})
    else:
        note(f"{file}: {said} messages, {tasks} tasks, {panes} panes; it holds payloads and results as they were")
    return 0


def _lines(found: Target, since: float, until: float) -> Iterator[Line]:
    with opened_read_only(found.state.recorder) as db:
        prepare(db)
        for row in stream_history(db, HistoryQuery(since=since, until=until)):
            yield Line(at=row.at, topic=row.topic, payload=row.payload, retained=row.retained)


def _tasks(state: StateDir, since: float, until: float) -> Iterator[dict[str, Any]]:
    if has_journal(state):
        for row in tasks_between(state, since, until):
            yield task_json(row, hops=True)


def _panes(state: StateDir, since: float, until: float) -> Iterator[tuple[str, Iterator[tuple[float, bytes]]]]:
    for log in sorted(state.logs.glob("*.log")):
        yield log.stem, _pane(log, since, min(until, time.time()))


def _pane(log: Path, since: float, until: float) -> Iterator[tuple[float, bytes]]:
    if first := pane_at(log, since, _FIRST_LINES):
        yield since, b"\n".join(first) + b"\n"
    yield from printed(log, nextafter(since, inf), until)
