"""Acts on tasks: an operator's word to the dispatcher."""

from collections.abc import Iterable, Sequence

import msgspec

from swarm_tui.domain.outcome import verdict_failed
from swarm_tui.domain.states import CANCEL_WAIT, OPEN, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.bodies import TaskAct
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts import asks
from swarm_tui.ui.acts.subjects import key, listed, names, some
from swarm_tui.ui.desk.actions import TASKS, Action, Can
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.text import fit, flat

LINES = 6
WIDTH = 54
"""Columns that a question's box has room for, on a screen of 80."""
_AT = frozenset({TaskState.RUNNING, TaskState.ASSIGNED})
_AGAIN = frozenset(
    {TaskState.FAILED, TaskState.DEAD, TaskState.HELD, TaskState.CANCELLED, TaskState.EXPIRED, TaskState.SKIPPED}
)


_some = some("task", lambda context: context.tasks)


def _tell(context: Context, kind: Kind, tasks: list[TaskView], reason: str = "") -> None:
    for task in tasks:
        hashed = _hash(task) if kind is Kind.TASK_APPROVE else None
        context.desk.source.act(kind, TaskAct(task_id=task.task_id, reason=reason, payload_hash=hashed))


def _edit(context: Context) -> None:
    task = context.tasks[0]
    entry = {"type": task.type, "payload": task.payload, "target": task.assigned_to, "priority": task.priority}
    context.desk.pages.open_form(entry)


def cancel(context: Context) -> None:
    tasks = [task for task in context.tasks if task.state in OPEN]
    _tell(context, Kind.TASK_CANCEL, tasks)
    context.desk.undo.push(f"cancel {names(tasks)}", lambda: _uncancel(context, tasks))
    context.say(
        f"asked to cancel {names(tasks)}; {key(context, 'undo')} runs {'it' if len(tasks) == 1 else 'them'} again"
    )
    context.unmark()


def _uncancel(context: Context, tasks: list[TaskView]) -> str | None:
    """Ask for them to run again. Returns what will come of it where one has not stopped yet: that cannot be undone."""
    known = (context.model.task(task.task_id) for task in tasks)
    stopping = [task.task_id for task in known if task and task.state in _AT]
    _tell(context, Kind.TASK_REDRIVE, tasks)
    if not stopping:
        return None
    again = "runs again once it has stopped" if len(stopping) == 1 else "run again once they have"
    return f"{listed(stopping, 'tasks')} cannot be kept from stopping, and {again}"


def retry(context: Context) -> None:
    tasks = [task for task in context.tasks if task.state in _AGAIN]
    _tell(context, Kind.TASK_REDRIVE, tasks)
    context.desk.undo.push(
        f"retry {names(tasks)}", lambda: _tell(context, Kind.TASK_CANCEL, tasks), asks=lambda: _runs(context, tasks)
    )
    context.say(f"asked to run {names(tasks)} again; {key(context, 'undo')} cancels")
    context.unmark()


def _runs(context: Context, tasks: list[TaskView]) -> str | None:
    """Return what to ask before these are cancelled again: some have begun."""
    known = (context.model.task(task.task_id) for task in tasks)
    running = [task.task_id for task in known if task and task.state in _AT]
    return f"Cancel {listed(running, 'tasks')}? What runs is ended." if running else None


def _hash(task: TaskView) -> str:
    # The first frame does not wait for the dispatcher's code.
    from swarm_tui.domain.dispatch.digests import payload_hash

    return payload_hash(task.type, task.payload)


def unseen(task: TaskView) -> bool:
    """Tell whether the screen does not show the payload that an approval would let run."""
    if task.payload_hash is not None:
        return _hash(task) != task.payload_hash
    return not task.payload and all(hop.what != "published" for hop in task.hops)


def _approvable(context: Context) -> str | None:
    if asks.at_hand(context):
        return asks.why_not(context)
    if reason := _any(_ASKING, "only one that waits for approval can be approved")(context):
        return reason
    blind = [task.task_id for task in context.tasks if task.state is TaskState.AWAITING_APPROVAL and unseen(task)]
    return (
        f"the payload of {blind[0]} is not known here: {key(context, 'open')} opens its page, which asks for it"
        if blind
        else None
    )


def approve(context: Context) -> None:
    if asks.at_hand(context):
        asks.answer(context, "allow")
        return
    tasks = [task for task in context.tasks if task.state is TaskState.AWAITING_APPROVAL]
    _tell(context, Kind.TASK_APPROVE, tasks)
    context.say(f"asked to approve {names(tasks)}")
    context.unmark()


def deny(context: Context) -> None:
    if asks.at_hand(context):
        asks.answer(context, "deny")
        return
    tasks = [task for task in context.tasks if task.state is TaskState.AWAITING_APPROVAL]
    _tell(context, Kind.TASK_DENY, tasks)
    context.say(f"asked to deny {names(tasks)}")
    context.unmark()


def _any(states: frozenset[TaskState], why: str) -> Can:
    def can(context: Context) -> str | None:
        if reason := _some(context):
            return reason
        if any(task.state in states for task in context.tasks):
            return None
        if states is _AGAIN and all(verdict_failed(task.result) for task in context.tasks):
            return f"its work is done and came out badly: {key(context, 'publish')} and a template publish it anew"
        return (
            f"{names(context.tasks)} {'is' if len(context.tasks) == 1 else 'are'} {context.tasks[0].state.value}: {why}"
        )

    return can


def _deniable(context: Context) -> str | None:
    if asks.at_hand(context):
        return asks.why_not(context)
    return _any(_ASKING, "only one that waits for approval can be denied")(context)


def _wants_a_yes(context: Context) -> bool:
    return bool(asks.at_hand(context)) or any(task.state in _ASKING for task in context.tasks)


def _which(context: Context, states: frozenset[TaskState]) -> str:
    """Return the tasks at hand that the act would take."""
    return listed([task.task_id for task in context.tasks if task.state in states], "tasks")


def _types(context: Context, states: frozenset[TaskState]) -> str:
    return ", ".join(sorted({task.type for task in context.tasks if task.state in states}))


def _cancel_question(context: Context) -> str:
    """Ask which, of what type, how far, and whose: an id alone is nobody's to know."""
    tasks = [task for task in context.tasks if task.state in OPEN]
    lines = [f"  {_told(task)}" for task in tasks] if len(tasks) > 1 else []
    rest = [f"  and {len(tasks) - LINES} more"] if len(tasks) > LINES else []
    which = _told(tasks[0]) if len(tasks) == 1 else f"{len(tasks)} tasks"
    return "\n".join([f"Cancel {which}?", *lines[:LINES], *rest])


def _told(task: TaskView) -> str:
    """Return a task for a question: its id, type, state, and who has it."""
    who = f" {'on' if task.state in _AT else 'last on'} {task.agent_id}" if task.agent_id else ""
    return f"{task.task_id}, {task.type}, {task.state.value}{who}"


def _retry_question(context: Context) -> str | None:
    tasks = [task for task in context.tasks if task.state in _AGAIN]
    held = [task for task in tasks if task.state is TaskState.HELD]
    if held:
        which = listed([task.task_id for task in held], "tasks")
        return f"{which} may have run already: nobody knows how it ended. Run it again?"
    shifts = context.scope == "agent"  # The lines of an agent's page may move under the cursor as its tasks change.
    return f"Run {_which(context, _AGAIN)} again?" if shifts or len(tasks) > 1 else None


_PLACES = (*TASKS, "agent")
_ASKING = frozenset({TaskState.AWAITING_APPROVAL})


def _approve_question(context: Context) -> str:
    """Ask whom it lets run, and with what: a payload that is cut says how much of it does not show."""
    if asks.at_hand(context):
        return asks.question(context)
    tasks = [task for task in context.tasks if task.state in _ASKING]
    question = f"Approve {_which(context, _ASKING)}, {_types(context, _ASKING)}?"
    return "\n".join([question, *payload_lines(tasks, key(context, "open"))])


def payload_lines(tasks: Sequence[TaskView], opens: str) -> list[str]:
    """Lay one task's payload out a name to a line, several tasks a line each; what is cut is counted or marked …."""
    if len(tasks) == 1:
        lines = [f"{name}: {_short(value)}" for name, value in tasks[0].payload.items()]
        return _cut(lines or ["an empty payload"], f"{opens} on the task shows all")
    return _cut((f"{task.task_id}: {_short(task.payload)}" for task in tasks), "their payloads do not show here")


def _short(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _cut(lines: Iterable[str], rest: str) -> list[str]:
    shown = [f"  {fit(flat(line, 200), WIDTH).rstrip()}" for line in lines]
    more = len(shown) - LINES
    return shown if more <= 0 else [*shown[:LINES], f"  and {more} more: {rest}"]


TASK_ACTS = (
    Action(
        name="approve",
        keys=("y",),
        label="approve",
        now=lambda c: "allow" if asks.at_hand(c) else None,
        yes=lambda c: "allow" if asks.at_hand(c) else None,
        asked_for=_wants_a_yes,
        group="tasks",
        scopes=asks.PLACES,
        writes=True,
        run=approve,
        can=_approvable,
        help="Let the task run, with exactly the payload shown; or say yes to what its AI agent asks.",
        rank=31,
        confirm=_approve_question,
        about=asks.first,
    ),
    Action(
        name="deny",
        keys=("N",),
        label="deny",
        asked_for=_wants_a_yes,
        group="tasks",
        scopes=asks.PLACES,
        writes=True,
        run=deny,
        can=_deniable,
        help="Refuse the task; it ends cancelled. Or say no to what its AI agent asks.",
        # A no to an ask breaks nothing.
        confirm=lambda c: None if asks.at_hand(c) else f"Deny {_which(c, _ASKING)}?",
        about=asks.first,
    ),
    Action(
        name="cancel",
        keys=("c",),
        label="cancel",
        group="tasks",
        scopes=_PLACES,
        writes=True,
        run=cancel,
        rank=41,
        can=_any(frozenset(OPEN), "it has ended, nothing is left to cancel"),
        help=f"Stop the task: a queued one at once, a running one gets {CANCEL_WAIT:g} seconds to end by itself.",
        confirm=_cancel_question,
    ),
    Action(
        name="retry",
        keys=("t",),
        label="retry",
        group="tasks",
        scopes=_PLACES,
        writes=True,
        run=retry,
        rank=40,
        can=_any(_AGAIN, "only one that failed, is held, or was cancelled can run again"),
        help="Run the task again with its attempts counted anew.",
        confirm=_retry_question,
    ),
    Action(
        name="edit",
        keys=("e",),
        label="edit and send",
        group="tasks",
        scopes=TASKS,
        writes=True,
        order=False,
        rank=75,
        run=_edit,
        can=lambda c: _some(c) or ("mark no more than one" if len(c.tasks) > 1 else None),
        help="Write a new task that begins as this one: its type, payload, agent and priority.",
    ),
)
