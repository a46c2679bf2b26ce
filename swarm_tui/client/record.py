"""Asking for the record: as much of the past as is wanted, answer by answer."""

from collections.abc import Callable

from swarm_tui.journal.recorder_port import MAX_ROWS, HistoryQuery, Recorded
from swarm_tui.protocol.bodies import JsonObject, Reply

#: Seconds in which whoever keeps the record answers.
ANSWER_WITHIN = 10.0


class NoRecordError(Exception):
    """The past is not to be had; the text says why."""


def ask_record(ask: Callable[[str, JsonObject, float], Reply | None], query: HistoryQuery) -> list[Recorded]:
    """Return the newest messages that match, oldest first, by as many questions as it takes.

    `ask(query, args, timeout)` is an operator's `query`. Raises NoRecordError when nobody answers, or only in part.
    """
    newest_first: list[Recorded] = []
    seen: set[tuple[float, str, bytes]] = set()
    until = query.until
    while True:
        args = {
            "since": query.since, "until": until, "topic": query.topic, "agent_id": query.agent_id,
            "task_id": query.task_id, "limit": min(query.limit - len(newest_first) + len(seen), MAX_ROWS),
        }  # fmt: skip
        reply = ask("history", {key: value for key, value in args.items() if value is not None}, ANSWER_WITHIN)
        if reply is None:
            raise NoRecordError("nobody who keeps the record answers")
        if reply.error is not None or reply.more:
            raise NoRecordError(reply.error or "the answer came only in part")
        rows = recorded_rows(reply)
        fresh = [row for row in rows if (row.at, row.topic, row.payload) not in seen]
        newest_first += reversed(fresh)
        if not fresh or len(newest_first) >= query.limit:
            return newest_first[: query.limit][::-1]
        until = rows[0].at
        seen = {(row.at, row.topic, row.payload) for row in newest_first if row.at == until}


def recorded_rows(reply: Reply | None) -> list[Recorded]:
    """Return the messages among the rows of an answer, in its order; a row that is none is left out."""
    return [row for row in map(_row, reply.rows if reply is not None else ()) if row is not None]


def _row(row: object) -> Recorded | None:
    if not isinstance(row, dict):
        return None
    at, topic, payload = row.get("at"), row.get("topic"), row.get("payload")
    if not isinstance(at, (int, float)) or not isinstance(topic, str) or not isinstance(payload, str):
        return None
    retained, is_cut = row.get("retained") is True, row.get("cut") is True
    proved, refused = (said if isinstance(said := row.get(name), str) else "" for name in ("proved", "refused"))
    raw = payload.encode("utf-8", "replace")
    return Recorded(float(at), topic, raw, retained=retained, is_cut=is_cut, proved=proved, refused=refused)
