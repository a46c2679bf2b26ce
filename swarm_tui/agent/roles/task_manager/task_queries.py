"""The dispatcher's answers to an operator's queries: pages of rows of tasks and runs, which every reader takes."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from swarm_tui.domain.dispatch.asks import rows as open_asks
from swarm_tui.domain.dispatch.metering import today
from swarm_tui.domain.dispatch.model import Moment, State
from swarm_tui.domain.dispatch.task_rows import mail_row, row, run_row
from swarm_tui.domain.dispatch.waiting_reasons import WaitingReasons
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Query, Reply
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import is_task_id
from swarm_tui.protocol.pages import PAGE_BYTES, PAGE_VALUES, ROW_DEPTH, over, pages

MAX_ROWS, MAX_RUNS, MAX_MESSAGES = 100_000, 10_000, 10_000
#: A result above this is left out of a list; `task` shows it whole.
LIST_RESULT = 8 * 1024
#: Parts of a row that hold what others made, and those that grow with the task's history.
_FREE = ("result", "payload")
_LISTS = ("hops", "errors", "late")
#: What is left of one of them when it is not worth cutting, as a part of a page.
_SMALL = 0.02


def answers(
    event: Event, query: Query, journal: Journal, me: str, state: State | None = None, moment: Moment | None = None
) -> Iterator[Reply]:
    """Yield the replies to `tasks`, `task`, `counts`, `runs`, `run`, `messages` and, with the dispatcher's `state`,
    `asks` and `usage`; with the `moment` too, why tasks wait.

    Nothing for another's query. Raises sqlite3.Error.
    """
    asks_why = query.query in ("tasks", "task") and state is not None and moment is not None
    reasons = WaitingReasons(state, moment) if asks_why else None  # type: ignore[arg-type]
    if query.query == "tasks":
        rows = _list(query.args, journal, reasons)
    elif query.query == "task":
        rows = _one(query.args, journal, reasons)
    elif query.query == "counts":
        rows = [journal.counts()]
    elif query.query == "runs":
        rows = _runs(query.args, journal)
    elif query.query == "run":
        rows = _run(query.args, journal)
    elif query.query == "messages":
        rows = _messages(query.args, journal)
    elif query.query == "usage" and state is not None:
        rows = [msgspec.to_builtins(today(state, time.time()))]
    elif query.query == "asks" and state is not None:
        rows = map(msgspec.to_builtins, open_asks(state))
    else:
        return
    for page, more in pages(map(_FIT.get(query.query, _fitted_run), rows)):
        yield Reply(query=query.query, rows=page, more=more, request=event.id, source=me)


def _as_it_is(shown: dict[str, Any]) -> dict[str, Any]:
    return shown


def _fitted_ask(shown: dict[str, Any]) -> dict[str, Any]:
    """The row, without what it is about where a reply cannot hold that."""
    return shown if over(shown) is None else {**shown, "input": {"left_out": "too much for one reply"}, "diff": None}


def _fitted_mail(shown: dict[str, Any]) -> dict[str, Any]:
    """The row, with as many of its receipts as a reply can hold."""
    while over(shown) is not None and len(shown["receipts"]) > 1:
        shown["receipts"] = shown["receipts"][: len(shown["receipts"]) // 2]
    return shown


def _list(args: dict[str, Any], journal: Journal, reasons: WaitingReasons | None) -> Iterable[Any]:
    state, task_type = args.get("state"), args.get("type")
    if state is not None and (not isinstance(state, str) or state not in set(TaskState)):
        return
    jobs = journal.search(
        state,
        task_type if isinstance(task_type, str) else None,
        _number(args.get("limit"), 1000, MAX_ROWS),
        _number(args.get("offset"), 0, 10**9),
    )
    for job in jobs:
        shown = row(job)
        shown.waits = reasons.of(job) if reasons is not None else ""
        if len(msgspec.json.encode(shown.result)) > LIST_RESULT:
            shown.result = None
        yield msgspec.to_builtins(shown)


def _one(args: dict[str, Any], journal: Journal, reasons: WaitingReasons | None) -> Iterable[Any]:
    task_id = args.get("task_id")
    job = journal.find(task_id) if isinstance(task_id, str) and is_task_id(task_id) else None
    if job is None:
        return
    shown = row(job, whole=True)
    shown.waits = reasons.of(job) if reasons is not None else ""
    yield msgspec.to_builtins(shown)


def _runs(args: dict[str, Any], journal: Journal) -> Iterable[Any]:
    state = args.get("state")
    runs = journal.runs.search(
        state if isinstance(state, str) else None,
        _number(args.get("limit"), 100, MAX_RUNS),
        _number(args.get("offset"), 0, 10**9),
    )
    return (msgspec.to_builtins(run_row(run)) for run in runs)


def _run(args: dict[str, Any], journal: Journal) -> Iterable[Any]:
    run_id = args.get("run_id")
    run = journal.runs.find(run_id) if isinstance(run_id, str) else None
    return [] if run is None else [msgspec.to_builtins(run_row(run, journal.jobs_of(run.run_id), whole=True))]


def _messages(args: dict[str, Any], journal: Journal) -> Iterable[Any]:
    if isinstance(message_id := args.get("message_id"), str):
        found = journal.mails.find(message_id)
        return [] if found is None else [msgspec.to_builtins(mail_row(found))]
    party, task_id = args.get("agent_id"), args.get("task_id")
    mails = journal.mails.search(
        party if isinstance(party, str) else None,
        task_id if isinstance(task_id, str) else None,
        _number(args.get("limit"), 100, MAX_MESSAGES),
        _number(args.get("offset"), 0, 10**9),
    )
    return (msgspec.to_builtins(mail_row(mail)) for mail in mails)


def _fitted_run(shown: dict[str, Any]) -> dict[str, Any]:
    """The row, such that a reply can hold it: without results, inputs and tasks' ids, and then all but some steps."""
    if (why := over(shown)) is not None:
        for step in shown["steps"]:
            step["result"] = _left_out(why) if step["result"] else step["result"]
    if over(shown) is not None:
        shown["inputs"] = _left_out("the inputs")
        for step in shown["steps"]:
            step["tasks"] = []
    known, said = len(shown["steps"]), shown["reason"]
    while over(shown) is not None and shown["steps"]:
        kept = shown["steps"][: len(shown["steps"]) // 2]
        told = f"{len(kept):,} of {known:,} steps are shown: a reply holds no more"
        shown["steps"], shown["reason"] = kept, said or told
    return shown


def _fitted(shown: dict[str, Any]) -> dict[str, Any]:
    """The row, such that a reply can hold it; what is left out of it says so in its place."""
    whole = {name: shown[name] for name in _LISTS}
    kept = {name: len(shown[name]) for name in _LISTS}
    while (why := over(shown)) is not None:
        for name in _FREE:
            if (alone := over(shown[name], ROW_DEPTH - 1)) is not None:
                shown[name] = _left_out(alone)
                break
        else:
            name = max((*_FREE, *_LISTS), key=lambda field: _weight(shown[field]))
            if _weight(shown[name]) < _SMALL:
                break
            if name in _FREE:
                shown[name] = _left_out(f"with the rest of the task {why}")
            else:
                kept[name] //= 2
                shown[name] = _ends(name, whole[name], kept[name])
    return shown


_FIT = {
    "tasks": _fitted,
    "task": _fitted,
    "counts": _as_it_is,
    "asks": _fitted_ask,
    "messages": _fitted_mail,
    "usage": _as_it_is,
}


def _left_out(why: str) -> dict[str, str]:
    return {"left_out": f"too much for one reply: {why}"}


def _weight(value: Any) -> float:
    """Return how much of a page the value takes, by whichever limit it is nearer to."""
    raw = msgspec.json.encode(value)
    return max(len(raw) / PAGE_BYTES, (raw.count(b"{") + raw.count(b"[") + raw.count(b",")) / PAGE_VALUES)


def _ends(name: str, whole: list[Any], keep: int) -> list[Any]:
    """The first and the last of `whole`, `keep` of them, with a mark of its kind between them."""
    first = keep // 2
    last = len(whole) - (keep - first)
    told = f"{last - first} of {len(whole)} are left out: too many for one reply"
    mark = {"at": whole[first]["at"], "what": "left out", "detail": told} if name == "hops" else f"({told})"
    return [*whole[:first], mark, *whole[last:]]


def _number(value: object, default: int, top: int) -> int:
    return min(top, max(0, value)) if isinstance(value, int) and not isinstance(value, bool) else default
