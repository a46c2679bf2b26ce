"""`swarm-tui replay`: a recording, as if it happened now."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from swarm_tui.cli.common import USAGE, Failure, json_option, note, print_json, style
from swarm_tui.cli.name_checks import check_swarm
from swarm_tui.cli.number_types import SPEED
from swarm_tui.cli.recording import Line, read_lines
from swarm_tui.cli.span_file import is_span_file, read_span
from swarm_tui.cli.watch import as_json_line, as_text_line
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.snapshot import SnapshotError, restored
from swarm_tui.domain.summary import status_json
from swarm_tui.protocol.envelope import Rejected
from swarm_tui.protocol.topics import Kind

_LONGEST_PAUSE = 5.0
#: Tasks kept that ended over an hour ago, as on the screen.
ENDED_KEPT = 500
_KINDS = sorted((kind.value for kind in Kind if kind.value), key=len, reverse=True)


@click.command(epilog="Example: swarm-tui replay incident.jsonl --speed 10")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--speed", type=SPEED, default=1.0, show_default=True, help="0: as fast as it goes.")
@click.option("--swarm", metavar="NAME", help="The swarm in it (default: found from its topics).")
@click.option("--plain", is_flag=True, help="Print the messages; open no screen.")
@click.option("--summary", is_flag=True, help="Print what was true at its end, as `status --json`.")
@json_option
def command(file: Path, speed: float, swarm: str | None, plain: bool, summary: bool, as_json: bool) -> int:
    """Play a recording of `watch --record`, or an export, on the same screen; without a terminal, line by line."""
    if swarm is not None:
        check_swarm(swarm)
    span = read_span(file) if is_span_file(file) else None
    lines = span.lines if span is not None else list(read_lines(file))
    if not lines:
        raise Failure(f"{file} holds no message; `swarm-tui watch --record FILE` makes a recording", USAGE)
    name = span.swarm if span is not None else swarm or _swarm_of(lines)
    known = _known(span.snapshot, name) if span is not None else Fleet(name)
    if summary:
        print_json(_end(known, lines))
        return 0
    if not (plain or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        from swarm_tui.cli.replay_source import replay_on_screen

        return replay_on_screen(known, lines, speed, str(file), panes=span.panes if span is not None else {})
    for line in lines if speed == 0 else _paced(lines, speed):
        event = line.heard(name)
        text = as_json_line(line.at, line.topic, line.payload, line.retained, event) if as_json else None
        click.echo(text or as_text_line(line.topic, line.payload))
        if isinstance(event, Rejected) and not as_json:
            note(style(f"-- refused: {event.reason}", fg="yellow"))
    return 0


def _swarm_of(lines: list[Line]) -> str:
    """The prefix before the first topic that the contract names."""
    for line in lines:
        for kind in _KINDS:
            head, plus, tail = kind.partition("+")
            if not plus and line.topic.endswith(f"/{kind}"):
                return line.topic[: -len(kind) - 1]
            before, found, after = line.topic.rpartition(f"/{head}")
            if plus and found and "/" not in after.removesuffix(tail) and after.endswith(tail):
                return before
    raise Failure("no topic in it is one of a swarm's; name the swarm with --swarm NAME", USAGE)


def _paced(lines: list[Line], speed: float) -> Iterator[Line]:
    began, start = time.monotonic(), lines[0].at
    skipped = 0.0
    for line in lines:
        wait = (line.at - start) / speed - skipped - (time.monotonic() - began)
        if wait > _LONGEST_PAUSE:
            skipped += wait - _LONGEST_PAUSE
            wait = _LONGEST_PAUSE
        if wait > 0:
            sys.stdout.flush()
            time.sleep(wait)
        yield line


def _known(raw: bytes, swarm: str) -> Fleet:
    """Return what was known when the span began; of an export by another version, nothing, which is said."""
    try:
        return restored(raw, kept=ENDED_KEPT)
    except SnapshotError as error:
        note(f"what was known when it begins is left out: {error}")
        return Fleet(swarm, kept=ENDED_KEPT)


def _end(fleet: Fleet, lines: list[Line]) -> dict[str, object]:
    swarm = fleet.swarm
    fleet.link(True, "", lines[0].at)
    for line in lines:
        event = line.heard(swarm)
        if event is not None:
            fleet.apply(event, line.at)
    fleet.tick(lines[-1].at)
    return status_json(fleet, now=lines[-1].at)
