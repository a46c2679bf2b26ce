"""The common part of `cancel`, `retry`, `approve` and `deny`: say it to the dispatcher, and hear what it made of it."""

from collections.abc import Iterable
from typing import Any

import click

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    FAILED,
    NO_SUCH,
    Failure,
    broker_option,
    json_option,
    note,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import task_ids as known_ids
from swarm_tui.cli.existence import check_swarm_exists, no_dispatcher, nobody_leads
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.journal_reader import journal_is_current, whole_id
from swarm_tui.cli.name_checks import check_tasks
from swarm_tui.cli.run_acts import act_on_run
from swarm_tui.domain.states import CANCEL_WITHIN, ENDED, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.bodies import Alert, TaskAct
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import is_run_id
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

_PATIENCE = 5.0
#: A running task may take so long to be cancelled, and that must be heard.
_CANCEL_PATIENCE = CANCEL_WITHIN + 5.0


class Act:
    """An act: in which states it makes sense, and in which the dispatcher has carried it out."""

    def __init__(self, kind: Kind, verb: str, possible: Iterable[TaskState], done: Iterable[TaskState]) -> None:
        self.kind = kind
        self.verb = verb
        self.possible = frozenset(possible)
        self.done = frozenset(done)


_OPEN = frozenset(set(TaskState) - ENDED)
CANCEL = Act(Kind.TASK_CANCEL, "cancel", _OPEN, ENDED)
RETRY = Act(
    Kind.TASK_REDRIVE,
    "retry",
    {TaskState.DEAD, TaskState.FAILED, TaskState.HELD, TaskState.CANCELLED, TaskState.EXPIRED, TaskState.SKIPPED},
    {
        TaskState.BLOCKED,
        TaskState.QUEUED,
        TaskState.ASSIGNED,
        TaskState.RUNNING,
        TaskState.AWAITING_APPROVAL,
        TaskState.COMPLETE,
    },
)
APPROVE = Act(
    Kind.TASK_APPROVE,
    "approve",
    {TaskState.AWAITING_APPROVAL},
    set(TaskState) - {TaskState.AWAITING_APPROVAL, TaskState.CANCELLED, TaskState.EXPIRED},
)
DENY = Act(Kind.TASK_DENY, "deny", {TaskState.AWAITING_APPROVAL}, ENDED)


def act_command(act: Act, help_text: str, example: str) -> click.Command:
    """The click command of an act."""

    @click.command(name=act.verb, help=help_text, epilog=f"Example: {example}")
    @click.argument("task_ids", metavar="ID...", nargs=-1, required=True, shell_complete=known_ids)
    @click.option("--reason", default="", metavar="TEXT", help="Kept in the record.")
    @swarm_option
    @broker_option
    @json_option
    def command(task_ids: tuple[str, ...], swarm: str | None, broker: str | None, as_json: bool, **how: Any) -> int:
        return _run(act, task_ids, how, swarm, broker, as_json)

    if act is RETRY:
        said = "Of a run: do all again from this step on, also what succeeded."
        click.option("--from", "start", metavar="STEP", help=said)(command)
    return command


def _run(
    act: Act, task_ids: tuple[str, ...], how: dict[str, Any], swarm: str | None, broker: str | None, as_json: bool
) -> int:
    check_tasks(task_ids)
    found = target(swarm, broker)
    if journal_is_current(found.state) and not broker:
        task_ids = tuple(whole_id(found.state, task_id) for task_id in task_ids)
    results: list[dict[str, object]] = []
    worst = 0
    with follow(found) as follower:
        check_swarm_exists(follower, found)
        if nobody_leads(follower):
            raise Failure(f"nobody can {act.verb}: {no_dispatcher(found)}")
        for task_id in dict.fromkeys(task_ids):
            code, state, text = _one(follower, act, task_id, **how)
            worst = max(worst, code)
            results.append({"task_id": task_id, "ok": code == 0, "state": state, "reason": text})
            if not as_json:
                (note if code else click.echo)(f"{task_id}: {text or formatting.state(state)}")
    if as_json:
        print_json(results)
    return worst


def _one(follower: Follower, act: Act, task_id: str, reason: str, start: str | None = None) -> tuple[int, str, str]:
    """Exit code, state and a sentence for one task."""
    rows = follower.load_tasks("task", {"task_id": task_id})
    if rows is None:
        return FAILED, "", "the dispatcher does not answer; `swarm-tui status` shows it"
    if not rows and act in (CANCEL, RETRY) and is_run_id(task_id):
        return act_on_run(follower, "cancel" if act is CANCEL else "retry", task_id, reason, start)
    if not rows:
        return NO_SUCH, "", "no such task; `swarm-tui tasks` lists those known"
    if start is not None:
        return FAILED, rows[0].state, "is no run: `--from` names a step of one"
    before = rows[0]
    stopping = act is RETRY and before.cancel_requested_at is not None
    if before.state not in act.possible and not stopping:
        wanted = "open" if act.possible == _OPEN else ", ".join(sorted(act.possible))
        return FAILED, before.state, f"is {before.state}: `{act.verb}` is for tasks that are {wanted}"
    hash_shown = before.payload_hash if act is APPROVE else None
    refused = Refusal(follower)
    refused.of(follower.operator.act(act.kind, TaskAct(task_id=task_id, reason=reason, payload_hash=hash_shown)))
    if stopping:
        return _runs_again(follower, task_id)
    return _outcome(follower, act, before, refused)


def _outcome(follower: Follower, act: Act, before: TaskRow, refused: "Refusal") -> tuple[int, str, str]:
    """Wait for what becomes of an act that was said; exit code, state and a sentence."""
    task_id, patience = before.task_id, _CANCEL_PATIENCE if act is CANCEL else _PATIENCE

    def answered() -> bool:
        view = follower.fleet.tasks.get(task_id)
        return _done(view, act) or bool(refused.why) or _is_further(view, act, before)

    if follower.wait_for(answered, patience):
        if refused.why:
            return FAILED, before.state, refused.why
        view = follower.fleet.tasks[task_id]
        if act is RETRY and not _done(view, act):
            return 0, view.state.value, f"ran again, and is {view.state.value}: {view.error or view.reason}"
        return 0, view.state.value, "" if _done(view, act) else view.reason
    now = (follower.load_tasks("task", {"task_id": task_id}) or [before])[0]
    if now.state in act.done:
        return 0, now.state, ""
    if act is RETRY and now.attempt > before.attempt:
        return 0, now.state, f"ran again, and is {now.state}: {now.error or now.reason}"
    return FAILED, now.state, f"is still {now.state} after {patience:g} s; `swarm-tui tasks {task_id}` shows why"


def _runs_again(follower: Follower, task_id: str) -> tuple[int, str, str]:
    """Return what the dispatcher made of a cancel taken back before it has landed; it hears this after the act."""
    rows = follower.load_tasks("task", {"task_id": task_id})
    if not rows:
        return FAILED, "", "the dispatcher does not answer; `swarm-tui status` shows it"
    if rows[0].runs_again:
        return 0, rows[0].state, "is asked to stop already, and runs again once it has"
    if rows[0].state in RETRY.done and rows[0].cancel_requested_at is None:
        return 0, rows[0].state, ""
    return FAILED, rows[0].state, f"is {rows[0].state}; `swarm-tui tasks {task_id}` shows why"


class Refusal:
    """The dispatcher's word that it refused an act, by the alert that it raises for it."""

    def __init__(self, follower: Follower) -> None:
        self.why = ""
        self._follower = follower
        self._name = ""
        self._heard: dict[str, str] = {}
        follower.operator.on_event(self._hear)

    def of(self, message_id: str) -> None:
        """Listen for what becomes of the act of that id."""
        self._name = f"act:{message_id}"
        self.why = self._heard.get(self._name, "")

    def _hear(self, event: Event | Rejected) -> None:
        if isinstance(event, Event) and isinstance(event.body, Alert) and (event.body.name or "").startswith("act:"):
            self._heard[event.body.name or ""] = clean(event.body.message, 500)
            with self._follower.lock:
                self.why = self._heard.get(self._name, "")
                self._follower.lock.notify_all()


def _is_further(view: TaskView | None, act: Act, before: TaskRow) -> bool:
    """Return whether the act counted, though the task is as it was: one approval of several more, or it ran again."""
    if view is None:
        return False
    if act is RETRY:
        return view.attempt > before.attempt
    return act is APPROVE and view.reason != before.reason and "approved by" in view.reason


def _done(view: TaskView | None, act: Act) -> bool:
    return view is not None and view.state in act.done
