"""The dispatcher's answers to an operator's queries: pages of task rows, each small enough for any broker."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from swarm_tui.domain.dispatch.rows import row
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Query, Reply
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import is_task_id

PAGE_BYTES = 96 * 1024
MAX_ROWS = 100_000
#: A result above this is left out of a list; `task` shows it whole.
LIST_RESULT = 8 * 1024


def answers(event: Event, query: Query, journal: Journal, me: str) -> Iterator[Reply]:
    """The replies to `tasks` and `task`; nothing for a query that is another's. Raises sqlite3.Error."""
    if query.query == "tasks":
        rows = _list(query.args, journal)
    elif query.query == "task":
        rows = _one(query.args, journal)
    else:
        return
    page: list[Any] = []
    size = 0
    for item in rows:
        length = len(msgspec.json.encode(item))
        if page and size + length > PAGE_BYTES:
            yield Reply(query=query.query, rows=page, more=True, request=event.id, source=me)
            page, size = [], 0
        page.append(item)
        size += length
    yield Reply(query=query.query, rows=page, request=event.id, source=me)


def _list(args: dict[str, Any], journal: Journal) -> Iterable[Any]:
    state, task_type = args.get("state"), args.get("type")
    if state is not None and state not in set(TaskState):
        return
    jobs = journal.search(
        state if isinstance(state, str) else None,
        task_type if isinstance(task_type, str) else None,
        _number(args.get("limit"), 1000, MAX_ROWS),
        _number(args.get("offset"), 0, 10**9),
    )
    for job in jobs:
        shown = row(job)
        if len(msgspec.json.encode(shown.result)) > LIST_RESULT:
            shown.result = None
        yield msgspec.to_builtins(shown)


def _one(args: dict[str, Any], journal: Journal) -> Iterable[Any]:
    task_id = args.get("task_id")
    job = journal.find(task_id) if isinstance(task_id, str) and is_task_id(task_id) else None
    if job is None:
        return
    shown = msgspec.to_builtins(row(job, whole=True))
    while len(msgspec.json.encode(shown)) > PAGE_BYTES and _shrink(shown):
        pass
    yield shown


def _shrink(shown: dict[str, Any]) -> bool:
    """Leave out what makes the row too large for a message, largest first; False when nothing more can go."""
    name = max(("result", "payload", "hops"), key=lambda field: len(msgspec.json.encode(shown[field])))
    if name == "hops":
        if len(shown["hops"]) < 4:
            return False
        middle = len(shown["hops"]) // 2
        shown["hops"] = list(islice(shown["hops"], middle // 2)) + shown["hops"][-middle:]
        return True
    size = len(msgspec.json.encode(shown[name]))
    if size < 1024:
        return False
    shown[name] = {"left_out": f"{size:,} bytes are too many for one reply"}
    return True


def _number(value: object, default: int, top: int) -> int:
    return min(top, max(0, value)) if isinstance(value, int) and not isinstance(value, bool) else default
