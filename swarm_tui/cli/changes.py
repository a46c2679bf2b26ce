"""Knowledge of a swarm at a moment of its record, and the changes between two."""

import time
import zlib
from math import inf, nextafter

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import Failure, Target, note, print_json, style
from swarm_tui.cli.existence import check_record_exists
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import opened_read_only
from swarm_tui.client.past import Past
from swarm_tui.client.record import NoRecordError
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.differences import Difference, differences
from swarm_tui.domain.fleet.snapshot import SnapshotError, restored
from swarm_tui.journal.record_reader import prepare, read_keyframe, stream_history
from swarm_tui.journal.recorder_port import HistoryQuery, heard_then

#: Tasks that ended long before the moment, of which that is known.
KEPT = 500


def known_at(found: Target, at: float) -> Fleet:
    """Return what was known right before that moment, by this host's record. Raises Failure."""
    with opened_read_only(found.state.recorder) as db:
        prepare(db)
        keyframe = read_keyframe(db, at)
        fleet, since = Fleet(found.swarm, kept=KEPT), 0.0
        if keyframe is not None:
            try:
                fleet, since = restored(zlib.decompress(keyframe.state), kept=KEPT), nextafter(keyframe.at, inf)
            except (SnapshotError, zlib.error):
                since = 0.0
        for row in stream_history(db, HistoryQuery(since=since, until=nextafter(at, -inf))):
            event = heard_then(found.swarm, row, retained=row.retained)
            if event is not None:
                if not fleet.was_linked:
                    fleet.link(True, "", row.at)
                fleet.apply(event, row.at)
    fleet.tick(at)
    return fleet


def print_changes(found: Target, since: float, until: float | None, *, by_bus: bool, as_json: bool) -> None:
    """Print what is other at the end than it was at the beginning, a line each. Raises Failure."""
    end = time.time() if until is None else until
    before, after = _by_bus(found, since, end) if by_bus else (known_at(found, since), known_at(found, end))
    changes = differences(before, since, after)
    if as_json:
        rows = [msgspec.to_builtins(each) for each in changes]
        print_json({"swarm": found.swarm, "since": since, "until": end, "changes": rows})
        return
    if not changes:
        note(f"{found.swarm}: nothing changed between {_when(since)} and {_when(end)}")
    width = max((len(each.id) for each in changes), default=0)
    for each in changes:
        click.echo(_line(each, min(width, 40)))


def _line(each: Difference, width: int) -> str:
    words = style(each.words, fg="red") if each.bad else each.words
    return f"{style(f'{each.about:<8}', dim=True)} {each.id:<{width}}  {words}"


def _by_bus(found: Target, since: float, until: float) -> tuple[Fleet, Fleet]:
    with follow(found) as follower:
        check_record_exists(follower, found)
        past = Past(follower.operator.query, found.swarm, kept=KEPT)
        try:
            return past.moment(since).fleet, past.moment(until).fleet
        except NoRecordError as error:
            why = f"{found.swarm}: {error}; an agent of the role monitoring does, see `swarm-tui status`"
            raise Failure(why) from None


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d ", time.localtime(at)) + formatting.moment(at)
