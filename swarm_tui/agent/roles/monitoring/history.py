"""Answers to `history`: what the arguments mean, and the rows that an answer has."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from swarm_tui.journal.recorder_port import HistoryQuery, Recorded
from swarm_tui.protocol.bodies import JsonObject, Reply
from swarm_tui.protocol.pages import pages

TOTAL = 8 * 1024 * 1024
"""Bytes of one whole answer: the newest rows are kept."""
ROW = 64 * 1024
MAX_TOPICS = 20
_encode = msgspec.json.Encoder().encode


def args_of(args: JsonObject) -> HistoryQuery:
    """Return the query that the arguments mean. Raises ValueError with a sentence for one that means nothing."""
    return HistoryQuery(
        since=number_of(args, "since"),
        until=number_of(args, "until"),
        topic=_text(args, "topic"),
        topics=_texts(args, "topics"),
        agent_id=_text(args, "agent_id"),
        task_id=_text(args, "task_id"),
        limit=int(number_of(args, "limit") or 200),
    )


def number_of(args: JsonObject, name: str) -> float | None:
    """Return the argument as a number; None without it. Raises ValueError with a sentence."""
    value = args.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 1e15:
        raise ValueError(f"{name}: a number belongs there")
    return float(value)


def _text(args: JsonObject, name: str) -> str | None:
    value = args.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name}: text belongs there")


def _texts(args: JsonObject, name: str) -> tuple[str, ...]:
    value = args.get(name)
    if value is None:
        return ()
    if isinstance(value, list) and len(value) <= MAX_TOPICS and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise ValueError(f"{name}: a list of at most {MAX_TOPICS} texts belongs there")


def answer(rows: list[Recorded], error: str | None, *, request: str, source: str) -> Iterator[Reply]:
    """Yield the replies, in order, `more` on all but the last.

    Rows, the oldest first: `{at, topic, payload}`, with `retained` and `cut` where they are true, and `proved` or
    `refused` where there is something to say.
    """
    for page, more in pages(_newest(rows)):
        yield Reply(query="history", rows=page, error=error, more=more, request=request, source=source)


def _newest(rows: list[Recorded]) -> list[JsonObject]:
    """Return the newest rows that one whole answer may have, the oldest of them first."""
    shown: list[JsonObject] = []
    total = 0
    for recorded in reversed(rows):
        row, size = _row(recorded)
        total += size
        if total > TOTAL:
            break
        shown.append(row)
    return shown[::-1]


def _row(recorded: Recorded) -> tuple[JsonObject, int]:
    text = recorded.payload.decode("utf-8", "replace")
    row: dict[str, Any] = {"at": recorded.at, "topic": recorded.topic, "payload": text}
    if recorded.retained:
        row["retained"] = True
    row |= {name: said for name, said in (("proved", recorded.proved), ("refused", recorded.refused)) if said}
    size = len(_encode(row))
    if size > ROW:
        # Escapes make up to six bytes of one character.
        row = {**row, "payload": text[: ROW // 6], "cut": True}
        size = len(_encode(row))
    return row, size + 1
