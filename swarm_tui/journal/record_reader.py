"""Reading the record: by who keeps it, and by whoever has its file."""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

from swarm_tui.journal.recorder_port import MAX_MARKS, HistoryQuery, Keyframe, Mark, Recorded, Timeline, bounded_parts
from swarm_tui.protocol.topics import matches

_COLUMNS = "at, topic, payload, agent, task, retained"


def prepare(db: sqlite3.Connection) -> None:
    """Teach the connection to match topic filters."""
    db.create_function("topic_matches", 2, lambda pattern, topic: matches(pattern, topic), deterministic=True)


def read_history(db: sqlite3.Connection, query: HistoryQuery, limit: int) -> list[Recorded]:
    """Return the newest `limit` messages that match, oldest first. Raises sqlite3.Error."""
    where, values = _where(query)
    sql = f"SELECT {_columns(db)} FROM message WHERE {where} ORDER BY at DESC, id DESC LIMIT ?"
    return [_recorded(row) for row in reversed(db.execute(sql, (*values, limit)).fetchall())]


def stream_history(db: sqlite3.Connection, query: HistoryQuery) -> Iterator[Recorded]:
    """Yield all that matches, however much, oldest first. Raises sqlite3.Error."""
    where, values = _where(query)
    sql = f"SELECT {_columns(db)} FROM message WHERE {where} ORDER BY at, id"
    return (_recorded(row) for row in db.execute(sql, values))


def read_keyframe(db: sqlite3.Connection, at: float) -> Keyframe | None:
    """Return the newest keyframe of that moment or before. Raises sqlite3.Error."""
    found = db.execute("SELECT at, state FROM keyframe WHERE at <= ? ORDER BY at DESC LIMIT 1", (at,)).fetchone()
    return None if found is None else Keyframe(*found)


def read_timeline(db: sqlite3.Connection, since: float, until: float, parts: int) -> Timeline:
    """Return the span in so many parts. Raises sqlite3.Error.

    Messages are numbered as they come: the first number of each part tells how many are in it, without counting them.
    """
    parts = bounded_parts(parts)
    ends = [since + (until - since) * n / parts for n in range(parts + 1)]
    newest = int(db.execute("SELECT ifnull(max(id), 0) FROM message").fetchone()[0])
    first = "SELECT id FROM message WHERE at >= ? ORDER BY at, id LIMIT 1"
    numbers = [int((db.execute(first, (at,)).fetchone() or (newest + 1,))[0]) for at in ends]
    marks = db.execute(
        "SELECT at, mark, agent, task FROM message WHERE mark IS NOT NULL AND mark != 'event' AND at BETWEEN ? AND ? "
        "ORDER BY at DESC LIMIT ?",
        (since, until, MAX_MARKS),
    ).fetchall()
    return Timeline(
        since=since,
        until=until,
        oldest=db.execute("SELECT min(at) FROM message").fetchone()[0],
        density=[max(0, after - before) for before, after in pairwise(numbers)],
        marks=[Mark(at=at, what=what, agent_id=agent, task_id=task) for at, what, agent, task in reversed(marks)],
    )


def read_step(db: sqlite3.Connection, at: float, forward: bool) -> float | None:
    """Return when the next event after that moment was, or the last one before it. Raises sqlite3.Error."""
    way = "at > ? ORDER BY at" if forward else "at < ? ORDER BY at DESC"
    found = db.execute(f"SELECT at FROM message WHERE mark IS NOT NULL AND {way} LIMIT 1", (at,)).fetchone()
    return None if found is None else float(found[0])


def _columns(db: sqlite3.Connection) -> str:
    """Return what is read of a message; a file that an older version writes still knows of no proofs."""
    judged = db.execute("SELECT 1 FROM pragma_table_info('message') WHERE name = 'refused'").fetchone()
    return f"{_COLUMNS}, {'proved, refused' if judged else 'NULL, NULL'}"


def _recorded(row: tuple[float, str, bytes, str | None, str | None, int, str | None, str | None]) -> Recorded:
    at, topic, payload, agent_id, task_id, retained, proved, refused = row
    return Recorded(at, topic, payload, agent_id, task_id, bool(retained), proved=proved or "", refused=refused or "")


def _where(query: HistoryQuery) -> tuple[str, list[object]]:
    parts = ["1"]
    values: list[object] = []
    for condition, value in (
        ("at >= ?", query.since),
        ("at <= ?", query.until),
        ("agent = ?", query.agent_id),
        ("task = ?", query.task_id),
        ("topic_matches(?, topic)", query.topic),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    if query.topics:
        parts.append(f"({' OR '.join(['topic_matches(?, topic)'] * len(query.topics))})")
        values += query.topics
    return " AND ".join(parts), values
