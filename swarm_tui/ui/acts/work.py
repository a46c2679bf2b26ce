"""Acts on what a task wrote: look at it, merge it, throw it away; and a task that mends what another found."""

from typing import Any

from swarm_tui.domain.dispatch.merge_record import SETTLED
from swarm_tui.domain.outcome import outcome, particulars, verdict_failed
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.merge_bodies import MergeAct
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.subjects import some
from swarm_tui.ui.desk.actions import TASKS, Action, ask, use
from swarm_tui.ui.desk.capabilities import InParts
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.text import flat

_some = some("task", lambda context: context.tasks)
#: Lines of what a task found wrong that the one which mends it is told.
_FOUND = 20


def _branch(task: TaskView) -> str:
    branch = task.result.get("branch") if isinstance(task.result, dict) else None
    return branch if isinstance(branch, str) else ""


def _diff(context: Context) -> None:
    if isinstance(context.screen, InParts):
        context.screen.show_part("diff")
    elif context.task is not None:
        context.desk.pages.open_task(context.task.task_id, "diff")


def _can_diff(context: Context) -> str | None:
    if isinstance(context.screen, InParts):
        return context.screen.why_no_part()
    return None if context.task is not None else _some(context)


def _one(context: Context) -> str | None:
    return _some(context) or ("mark no more than one" if len(context.tasks) > 1 else None)


def _mergeable(context: Context) -> str | None:
    if reason := _one(context):
        return reason
    task = context.tasks[0]
    if task.merge is not None and (task.merge.state in ("merged", "discarded") or task.merge.state not in SETTLED):
        return f"its work is {task.merge.state} already"
    if task.state not in ENDED:
        return f"it is {task.state.value}: its work is not done"
    return None if _branch(task) else "it tells of no branch that holds work"


def _act(context: Context, act: Any) -> None:
    task = context.tasks[0]
    context.desk.source.act(Kind.MERGE_ACT, MergeAct(task_id=task.task_id, act=act))
    word = {"merge": "merge", "discard": "throw away", "withdraw": "no more merge"}[act]
    context.say(f"asked to {word} what {task.task_id} wrote")
    context.unmark()


def _on_its_way(context: Context) -> bool:
    merge = context.tasks[0].merge if len(context.tasks) == 1 else None
    return merge is not None and merge.state in ("waiting", "running", "mending")


def _can_merge(context: Context) -> str | None:
    return _one(context) if _on_its_way(context) else _mergeable(context)


def _merge_question(context: Context) -> str | None:
    task = context.tasks[0]
    if _on_its_way(context):
        return f"Take back the merge of {flat(_branch(task), 100)}? It is on its way."
    found = task.result.get("overlaps") if isinstance(task.result, dict) else None
    others = [f"  {flat(line, 200)}" for line in found[:4]] if isinstance(found, list) else []
    return "\n".join([f"Merge {flat(_branch(task), 100)}, once the checks of it pass?", *others])


def _found_wrong(task: TaskView) -> str:
    """Return what the task says is wrong, as a prompt."""
    said = task.error or outcome(task.result) or task.reason
    lines = "\n".join(f"- {line}" for line in particulars(task.result, _FOUND))
    return f"{task.type} ({task.task_id}) says: {said}\n{lines}\n\nFind out why, and fix it."


def _can_fix(context: Context) -> str | None:
    if reason := _one(context):
        return reason
    task = context.tasks[0]
    bad = task.state in (TaskState.FAILED, TaskState.DEAD) or verdict_failed(task.result)
    return None if bad else f"{task.task_id} found nothing wrong: only what failed is to be fixed"


def _fix(context: Context) -> None:
    task = context.tasks[0]
    payload: dict[str, Any] = {"prompt": _found_wrong(task)}
    head = task.payload.get("head")
    if isinstance(head, str):
        payload["base"] = head
    if isinstance(task.payload.get("prompt"), str):
        payload["resume"] = task.task_id
    context.desk.pages.open_form({"type": "code.generate", "payload": payload})


WORK_ACTS = (
    Action(
        name="diff",
        keys=("D",),
        label="diff",
        group="tasks",
        scopes=TASKS,
        rank=32,
        can=_can_diff,
        run=_diff,
        help="What the task changed in its worktree, by file, with what the checks of it said; once more comes back.",
    ),
    Action(
        name="next_part",
        keys=("right_square_bracket",),
        label="next part",
        group="view",
        scopes=("task",),
        rank=66,
        needs=InParts,
        can=ask(InParts, lambda screen: screen.why_no_part()),
        run=use(InParts, lambda screen: screen.turn_part(1)),
        help="Show the next part of an AI agent's task: its conversation, its change, what it took, its hops.",
    ),
    Action(
        name="previous_part",
        keys=("left_square_bracket",),
        label="part before",
        group="view",
        scopes=("task",),
        needs=InParts,
        can=ask(InParts, lambda screen: screen.why_no_part()),
        run=use(InParts, lambda screen: screen.turn_part(-1)),
        help="Show the part before.",
    ),
    Action(
        name="merge",
        keys=("i",),
        label="merge",
        now=lambda c: "no merge" if _on_its_way(c) else None,
        yes=lambda c: "take it back" if _on_its_way(c) else None,
        group="tasks",
        scopes=TASKS,
        writes=True,
        rank=33,
        can=_can_merge,
        run=lambda c: _act(c, "withdraw" if _on_its_way(c) else "merge"),
        help="Merge what the task wrote into the branch it began from, once the checks of the result pass; while that "
        "is on its way, take it back.",
        confirm=_merge_question,
        about=_on_its_way,
    ),
    Action(
        name="discard",
        keys=("Z",),
        label="discard",
        group="tasks",
        scopes=TASKS,
        writes=True,
        can=_mergeable,
        run=lambda c: _act(c, "discard"),
        help="Throw away what the task wrote: its worktree and its branch. Its page says how to have it back.",
        confirm=lambda c: f"Throw away what {c.tasks[0].task_id} wrote on {flat(_branch(c.tasks[0]), 100)}?",
    ),
    Action(
        name="fix",
        keys=("v",),
        label="fix this",
        group="tasks",
        scopes=TASKS,
        writes=True,
        order=False,
        rank=42,
        can=_can_fix,
        run=_fix,
        help="Write a task for an AI agent to fix what this one found wrong: the form opens with that as its prompt.",
    ),
)
