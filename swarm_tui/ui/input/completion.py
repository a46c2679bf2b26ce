"""Completion of the `:` line: acts, and what each takes of what the swarm has now."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.input.command import OTHER_NAMES, PANELS, TOGGLES, act_name
from swarm_tui.ui.look import theme as themes
from swarm_tui.ui.model.draft import fields_of
from swarm_tui.ui.model.model import Model
from swarm_tui.ui.model.source import TaskType

TASKS = 50
"""Newest tasks that are offered."""


def complete(desk: Desk, text: str) -> tuple[str, list[str]]:
    """Return the line as far as it can mean only one thing, and all that its last word may become."""
    before, _, begun = text.rpartition(" ")
    words = before.split()
    found = [word for word in dict.fromkeys(_options(desk, words)) if word.startswith(begun) and word not in words]
    if not found:
        return text, []
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*found, strict=False))
    word = "".join(letters[0] for letters in alike)
    end = " " if len(found) == 1 and not word.endswith("=") else ""
    return f"{before} {word}{end}" if before else word + end, found


def _options(desk: Desk, words: list[str]) -> Iterator[str]:
    """Yield what may come after these words."""
    model, registry = desk.model, desk.registry
    if not words:
        yield from (name for name, act in registry.actions.items() if act.palette)
        yield from (*TOGGLES, *OTHER_NAMES, *PANELS)
        yield from model.fleet.agents
        return
    name = act_name(words[0])
    action = registry.actions.get(name)
    if name == "publish":
        yield from _of_publish(desk.source.facts.types, words[1:])
    elif name == "theme":
        yield from themes.NAMES
    elif name in ("filters", "keep_filter"):
        yield from sorted(desk.filters.read()[0])
    elif name == "swarms":
        yield from desk.source.neighbours.names() if desk.source.neighbours is not None else ()
    elif name == "open":
        yield from (*_agents(model, roles=False), *_tasks(model))
    elif action is not None:
        if action.group == "agents" or name in ("logs", "seen"):
            yield from _agents(model, roles=action.group == "agents")
        if action.group == "tasks" or name in ("logs", "seen", "restart", "restart_idle"):
            yield from _tasks(model)


def _agents(model: Model, *, roles: bool) -> list[str]:
    agents = model.fleet.agents
    return [*sorted(agents), *(sorted({agent.role for agent in agents.values()}) if roles else [])]


def _tasks(model: Model) -> list[str]:
    newest = sorted(model.fleet.tasks.values(), key=lambda task: -task.updated_at)
    return [task.task_id for task in newest[:TASKS]]


def _of_publish(types: Iterable[TaskType], words: list[str]) -> Iterator[str]:
    """Yield types, or the fields of the one that was named which have no value yet."""
    known = {each.name: each for each in types}
    if not words:
        yield from known
    elif (task_type := known.get(words[0])) is not None:
        given = {word.partition("=")[0] for word in words[1:]}
        yield from (f"{each.name}=" for each in fields_of(task_type.schema) if each.name not in given)
