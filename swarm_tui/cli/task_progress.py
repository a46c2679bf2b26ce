"""The progress of one task, out of the record: the journal keeps how far it is, monitoring also how it got there."""

from collections.abc import Iterable

from msgspec.structs import replace

from swarm_tui.cli.common import Failure
from swarm_tui.cli.journal_reader import opened_read_only
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Progress
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import Hop, TaskRow
from swarm_tui.protocol.topics import Kind, topic

#: How many of a task's newest words of progress are looked at, how close two that are shown may be, and how many are.
LOOKED_AT, EVERY, SHOWN = 5000, 1.0, 200
_BEFORE = frozenset({"published", "queued", "assigned", "started", "running"})

#: When it was heard, and what was said.
Heard = tuple[float, bytes]


def recorded(state: StateDir, swarm: str, task_id: str) -> list[Heard]:
    """Return the task's progress from the record on this machine, the oldest first; nothing where there is none."""
    if not state.recorder.is_file():
        return []
    try:
        with opened_read_only(state.recorder) as db:
            found = db.execute(
                "SELECT at, payload FROM message WHERE task = ? AND topic = ? ORDER BY at DESC LIMIT ?",
                (task_id, topic(swarm, Kind.TASK_PROGRESS), LOOKED_AT),
            ).fetchall()
    except Failure:
        # The journal knows the task; a record that cannot be read costs its details only.
        return []
    return [(float(at), bytes(payload)) for at, payload in reversed(found)]


def with_progress(row: TaskRow, swarm: str, heard: Iterable[Heard]) -> TaskRow:
    """The row with the progress among its hops: what was heard, or else how far it is while it runs."""
    hops = _thinned([hop for at, payload in heard if (hop := _hop(swarm, row.task_id, at, payload)) is not None])
    if not hops and row.state == TaskState.RUNNING and row.progress is not None:
        hops = [_progress(row.updated_at, row.agent_id, row.attempt, row.progress, row.message)]
    ends = {hop.attempt: hop.at for hop in reversed(row.hops) if hop.what not in _BEFORE}
    for hop in hops:
        # Whoever keeps the record may hear it a little later than the dispatcher hears the end.
        hop.at = min(hop.at, ends.get(hop.attempt, hop.at))
    both = [*(hop for hop in row.hops if hop.what != "progress"), *hops]
    return replace(row, hops=sorted(both, key=lambda hop: (hop.at, _rank(hop)))) if hops else row


def _rank(hop: Hop) -> int:
    return 1 if hop.what == "progress" else 0 if hop.what in _BEFORE else 2


def _hop(swarm: str, task_id: str, at: float, payload: bytes) -> Hop | None:
    event = codec.decode(swarm, topic(swarm, Kind.TASK_PROGRESS), payload, False, at)
    body = event.body if isinstance(event, Event) else None
    if not isinstance(body, Progress) or body.task_id != task_id:
        return None
    return _progress(at, body.agent_id or None, body.attempt, body.progress, body.message)


def _progress(at: float, agent_id: str | None, attempt: int | None, percent: float | None, message: str) -> Hop:
    said = f"{'' if percent is None else f'{percent:.0f}%'} {message}".strip()
    return Hop(at=at, what="progress", agent_id=agent_id, attempt=attempt or None, detail=said[:500])


def _thinned(hops: list[Hop]) -> list[Hop]:
    """The hops without those that follow another too soon; the last of each attempt stays."""
    if not hops:
        return []
    every = max(EVERY, (hops[-1].at - hops[0].at) / SHOWN)
    kept: list[Hop] = []
    for hop, after in zip(hops, [*hops[1:], None], strict=True):
        last = after is None or after.attempt != hop.attempt
        if last or not kept or kept[-1].attempt != hop.attempt or hop.at - kept[-1].at >= every:
            kept.append(hop)
    return kept
