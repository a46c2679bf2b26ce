"""`swarm-tui watch`: every message of the swarm, a line each."""

import queue
import time
from pathlib import Path
from typing import IO

import click
import msgspec

from swarm_tui.bus.port import Link
from swarm_tui.cli.common import (
    USAGE,
    Failure,
    broker_option,
    connect,
    json_option,
    keys_of,
    note,
    reader_is_gone,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.number_types import Whole
from swarm_tui.cli.recording import Line, opened, write_line
from swarm_tui.client.operator import Operator
from swarm_tui.protocol import codec
from swarm_tui.protocol.envelope import Event, Rejected, rfc3339
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import matches


@click.command(epilog="Example: swarm-tui watch --filter 'tasks/#'")
@click.argument("name", metavar="[SWARM]", required=False)
@swarm_option
@broker_option
@json_option
@click.option("--filter", "patterns", multiple=True, metavar="TOPIC", help="Only these topics; + and # as in MQTT.")
@click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also keep them in FILE."
)
@click.option("-n", "count", type=Whole(min=1), metavar="N", help="End after N messages.")
def command(
    name: str | None,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
    patterns: tuple[str, ...],
    record: Path | None,
    count: int | None,
) -> int:
    """Every message as it comes: `topic payload`, as `mosquitto_sub -v` prints it.

    What the reader refused is shown on stderr with its reason. A filter may leave out the swarm's name.
    """
    found = target(swarm if name is None else name, broker)
    wanted = [full_filter(found.swarm, pattern) for pattern in patterns]
    messages: queue.SimpleQueue[tuple[float, str, bytes, bool] | Link] = queue.SimpleQueue()
    operator = connect(found, before=lambda new: _tap(new, messages))
    try:
        with opened(record) as file:
            judge = keys_of(found).judge  # Of our own: the operator's is its connection's.
            _show(found.swarm, judge, messages, wanted, as_json, file, count)
    finally:
        operator.close(0.5)
    return 0


def full_filter(swarm: str, pattern: str) -> str:
    """Return the topic filter with the swarm's name in front. Raises Failure for what is no filter."""
    levels = pattern.split("/")
    if "#" in levels[:-1] or any(len(level) > 1 and set(level) & set("+#") for level in levels):
        raise Failure(f"`{pattern}` is no topic filter: + stands for one level, # for the rest, at the end", USAGE)
    return pattern if pattern == "#" or matches(f"{swarm}/#", pattern) else f"{swarm}/{pattern}"


def _tap(operator: Operator, messages: "queue.SimpleQueue[tuple[float, str, bytes, bool] | Link]") -> None:
    operator.on_message(lambda *message: messages.put((time.time(), *message)))
    operator.on_link(lambda link: messages.put(link))


def _show(
    swarm: str,
    judge: codec.Judge,
    messages: "queue.SimpleQueue[tuple[float, str, bytes, bool] | Link]",
    wanted: list[str],
    as_json: bool,
    file: IO[bytes] | None,
    count: int | None,
) -> None:
    shown, was_up = 0, False
    while count is None or shown < count:
        try:
            item = messages.get(timeout=1.0)
        except queue.Empty:
            if reader_is_gone():
                raise BrokenPipeError from None
            continue
        if isinstance(item, Link):
            if was_up or item.up:
                note(style("-- connected" if item.up else f"-- {item.reason or 'the link is down'}", dim=True))
            was_up = item.up
            continue
        at, topic, payload, retained = item
        if wanted and not any(matches(pattern, topic) for pattern in wanted):
            continue
        event = codec.decode(swarm, topic, payload, retained, at, judge)
        if file is not None:
            write_line(file, _line(at, topic, payload, retained, event))
        click.echo(as_json_line(at, topic, payload, retained, event) if as_json else as_text_line(topic, payload))
        if isinstance(event, Rejected) and not as_json:
            note(style(f"-- refused: {event.reason}", fg="yellow"))
        shown += 1


def _line(at: float, topic: str, payload: bytes, retained: bool, event: Event | Rejected | None) -> Line:
    proved = event.proved_by if isinstance(event, Event) else ""
    refused = event.reason if isinstance(event, Rejected) and event.unproved else ""
    return Line(at=at, topic=topic, payload=payload, retained=retained, proved=proved, refused=refused)


def as_text_line(topic: str, payload: bytes) -> str:
    """The message as `mosquitto_sub -v` prints it, made safe to show."""
    return f"{style(clean(topic), fg='cyan')} {clean(payload.decode('utf-8', 'replace'))}"


def _plain(payload: bytes) -> object:
    """Return the payload as JSON without a line's end in it, for one object is one line; as text where it is none."""
    try:
        return msgspec.Raw(msgspec.json.format(payload, indent=-1))
    except (msgspec.DecodeError, RecursionError):
        return payload.decode("utf-8", "replace")


def as_json_line(at: float, topic: str, payload: bytes, retained: bool, event: Event | Rejected | None) -> str:
    """The message as one JSON object; a refused one keeps its text, and says why."""
    refused = event.reason if isinstance(event, Rejected) else None
    body: object = payload.decode("utf-8", "replace") if refused is not None else _plain(payload)
    try:
        return msgspec.json.encode(
            {"at": rfc3339(at), "topic": topic, "retained": retained, "refused": refused, "message": body}
        ).decode()
    except UnicodeDecodeError:
        return msgspec.json.encode({"at": rfc3339(at), "topic": topic, "refused": refused, "message": None}).decode()
