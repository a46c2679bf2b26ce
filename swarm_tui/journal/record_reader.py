"""Reading the record: by who keeps it, and by whoever has its file."""

import sqlite3
from collections.abc import Iterator

from swarm_tui.journal.recorder_port import HistoryQuery, Recorded
from swarm_tui.protocol.topics import matches


def prepare(db: sqlite3.Connection) -> None:
    """Teach the connection to match topic filters."""
    db.create_function("topic_matches", 2, lambda pattern, topic: matches(pattern, topic), deterministic=True)


def read_history(db: sqlite3.Connection, query: HistoryQuery, limit: int) -> list[Recorded]:
    """Return the newest `limit` messages that match, oldest first. Raises sqlite3.Error."""
    where, values = _where(query)
    sql = f"SELECT at, topic, payload, agent, task FROM message WHERE {where} ORDER BY at DESC, id DESC LIMIT ?"
    return [Recorded(*row) for row in reversed(db.execute(sql, (*values, limit)).fetchall())]


def stream_history(db: sqlite3.Connection, query: HistoryQuery) -> Iterator[Recorded]:
    """Yield all that matches, however much, oldest first. Raises sqlite3.Error."""
    where, values = _where(query)
    sql = f"SELECT at, topic, payload, agent, task FROM message WHERE {where} ORDER BY at, id"
    return (Recorded(*row) for row in db.execute(sql, values))


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
    return " AND ".join(parts), values
