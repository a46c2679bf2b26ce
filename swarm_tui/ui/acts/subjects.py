"""The things that acts are about, in words, and why none can be done: for agents, tasks and the swarm."""

from collections.abc import Callable, Sequence

from swarm_tui.domain.views import AgentView, TaskView
from swarm_tui.ui.desk.actions import MAIN, TASKS, Can
from swarm_tui.ui.desk.context import Context


def linked(context: Context) -> str | None:
    """Return why nothing can be sent."""
    return "the broker is away: nothing can be sent" if context.model.stale else None


def key(context: Context, act: str) -> str:
    """Return the key of an act, for a sentence."""
    return context.desk.registry.told(act)


def shown(context: Context) -> str | None:
    """Return why the marked ones cannot be acted on: some of them do not show."""
    if not (hidden := context.hidden):
        return None
    marked, them = ("marked is", "it") if hidden == 1 else ("marked are", "them")
    return f"{hidden} {marked} hidden: {key(context, 'clear')} shows {them}"


def some(noun: str, found: Callable[[Context], Sequence[object]]) -> Can:
    """Return a test that there is an agent, or a task, to act on."""
    return lambda context: shown(context) or (linked(context) if found(context) else _none(context, noun))


def _none(context: Context, noun: str) -> str:
    if noun == "agent" and context.scope in TASKS and context.task is not None:
        gone = context.task.agent_id
        return f"{gone} is not known any more" if gone else "no agent has had this task yet"
    if context.scope in MAIN and context.scope != f"{noun}s":
        return f"no {noun} is selected: {key(context, 'next_panel')} goes to the {noun}s"
    return f"there is no {noun} here" if context.scope in MAIN else f"this line is about no {noun}"


def one_agent(context: Context) -> str | None:
    """Return a test that there is an agent to look at, whatever is marked."""
    return None if context.agent is not None else _none(context, "agent")


def rows(context: Context) -> str | None:
    """Return a test that there is a list, and something in it."""
    if context.lines is None:
        return "there is no list here"
    return None if context.lines.goes() else "there is nothing here"


def not_there(page: str) -> Can:
    """Return a test that the page is not the one that is open."""
    return lambda context: f"this is it: {key(context, 'back')} goes back" if page == context.screen.PAGE else None


def names(subjects: Sequence[AgentView] | Sequence[TaskView]) -> str:
    """Return whom it is about: one by name, more by number."""
    first = subjects[0]
    one, noun = (first.agent_id, "agents") if isinstance(first, AgentView) else (first.task_id, "tasks")
    return one if len(subjects) == 1 else f"{len(subjects)} {noun}"


def listed(names: list[str], noun: str) -> str:
    """Return whom a question is about: one by name, more with the first names."""
    if len(names) == 1:
        return names[0]
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} {noun} ({', '.join(names[:3])}{more})"
