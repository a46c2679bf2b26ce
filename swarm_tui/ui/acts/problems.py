"""Acts on what is wrong: go there, and put aside what has been seen."""

from swarm_tui.domain.problems import Problem
from swarm_tui.ui.acts.subjects import key, shown
from swarm_tui.ui.desk.actions import AGENTS, LISTS, TASKS, Action
from swarm_tui.ui.desk.capabilities import ListsProblems
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.model.seen_problems import SWARM_WIDE, counted


def _selected(context: Context) -> set[str]:
    if context.scope in TASKS:
        return {task.task_id for task in context.tasks}
    return {agent.agent_id for agent in context.agents} if context.scope in AGENTS else set()


def _unseen(context: Context) -> list[Problem]:
    """Return the troubles under the cursor or the marks; where there are none, what the trouble line says first."""
    fresh, old = context.model.current_by_age()
    fresh = [problem for problem in fresh if problem.subject not in SWARM_WIDE]
    selected = _selected(context)
    return [problem for problem in (*fresh, *old) if problem.id in selected] or fresh[:1] or old


def _can_see(context: Context) -> str | None:
    if reason := shown(context):
        return reason
    selected, seen = _selected(context), context.model.seen_problems
    mine = [problem for problem in context.model.problems() if problem.id in selected]
    if mine and all(seen.is_seen(problem) for problem in mine):
        return f"{mine[0].id} is already seen; it calls again when it happens anew"
    if _unseen(context):
        return None
    current = context.model.current_problems()
    if current:
        return f"{current[0].what.split(':')[0]}: that stays until it is mended"
    return "nothing new is wrong"


def see(context: Context) -> None:
    found, model = _unseen(context), context.model
    model.seen_problems.mark_seen(found)
    what = (
        found[0].what
        if len(found) == 1
        else counted(found)
        if found[0].severity == "info"
        else f"{len(found)} troubles"
    )
    context.desk.undo.push(f"seen: {what}", lambda: _bring_back(context, found))
    context.say(f"seen: {what}; it calls again when it happens anew, {key(context, 'undo')} brings it back")
    _renew(context)


def _only(context: Context) -> bool:
    return isinstance(context.screen, ListsProblems) and context.screen.only_problems


def _problems(context: Context) -> None:
    """Go to what is wrong: only that shows, with the cursor at the worst; again on the main screen: all shows."""
    main, model, on = context.desk.main, context.model, not _only(context)
    found = model.problems()
    if on and not found:
        context.say("nothing is wrong")
        return
    context.desk.pages.to_main()
    main.set_problems(on)
    worst = next((problem for problem in found if model.place(problem)), None)
    if on and worst is not None and (where := model.place(worst)):
        main.lead_to(where, worst.id)


def _bring_back(context: Context, found: list[Problem]) -> None:
    context.model.seen_problems.mark_unseen(found)
    _renew(context)


def _renew(context: Context) -> None:
    context.unmark()
    context.desk.state.seen = context.model.seen_problems.kept
    context.desk.main.tick(context.model.clock())


PROBLEM_ACTS = (
    Action(
        name="problems",
        keys=("p",),
        label="problems",
        now=lambda c: "show all" if _only(c) else None,
        asked_for=_only,
        group="view",
        rank=15,
        run=_problems,
        help="Only what is wrong, in all panels, and what to do about it; once more shows all again.",
    ),
    Action(
        name="seen",
        keys=("x",),
        label="seen",
        group="view",
        scopes=LISTS,
        rank=16,
        asked_for=_only,
        can=_can_see,
        run=see,
        help="Take a trouble off the trouble line: the one under the cursor, else the first. It calls again when it "
        "happens anew.",
    ),
)
