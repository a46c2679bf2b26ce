"""A layout's words to handlers, held against those that are installed here; its schedules, against its agents."""

import re
from pathlib import Path

from swarm_tui.config.document import Where, read_document
from swarm_tui.config.errors import Problem
from swarm_tui.config.ids import name_agents
from swarm_tui.config.model import AgentEntry, HandlerSpec, Layout
from swarm_tui.config.payload_fields import unknown_field
from swarm_tui.config.resolve import type_rules
from swarm_tui.domain.workflows.model import Workflow

_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]|\[\.\.\.\]")


def handler_problems(path: Path, layout: Layout, environ: dict[str, str], show: str | None) -> list[Problem]:
    """Each of the layout's `options` and `templates` that its handler would refuse, with its place in the file."""
    from swarm_tui.agent.handlers import registry

    document = read_document(path, environ, show=show)
    for index, entry in enumerate(layout.agents):
        if entry.interactive and (reason := _no_screen(entry)):
            document.problem(("agents", index, "interactive"), reason)
        for task_type, spec in entry.handlers.items():
            where: Where = ("agents", index, "handlers", task_type)
            if why := registry.check_options(task_type, spec):
                document.problem((*where, "options", *_steps(why)), f"`options` of `{task_type}`: {why}")
            for name, payload in spec.templates.items():
                if why := _template(registry.check(task_type, spec, payload), task_type, spec, payload):
                    document.problem((*where, "templates", name), f"the template `{name}` of `{task_type}`: {why}")
    return document.problems


def _no_screen(entry: AgentEntry) -> str:
    """Return why the CLI of an interactive agent cannot run in its pane; empty where it can."""
    from swarm_tui.agent.interactive.setup import TYPE, NoScreenError, cli_of

    try:
        cli_of(entry.handlers.get(TYPE, HandlerSpec()))
    except NoScreenError as error:
        return str(error)
    return ""


def remarks(path: Path, layout: Layout, environ: dict[str, str], show: str | None = None) -> list[str]:
    """A sentence for each type that the layout names and that may come to nothing here."""
    return [*_missing_handlers(path, layout, environ, show), *_undone_schedules(path, layout, environ, show)]


def _missing_handlers(path: Path, layout: Layout, environ: dict[str, str], show: str | None) -> list[str]:
    """A sentence for each type whose handler is not installed here; on another host of the swarm it may be."""
    from swarm_tui.agent.handlers import registry

    missing: list[tuple[Where, str]] = [
        (("agents", index, "handlers", task_type), task_type)
        for index, entry in enumerate(layout.agents)
        for task_type, spec in entry.handlers.items()
        if entry.dialect == "swarm" and not registry.can_do(task_type, spec)
    ]
    # Most layouts have none, and need not be read once more.
    places = read_document(path, environ, show=show).places if missing else {}
    said = []
    for where, task_type in missing:
        line, column = places.get(where, (1, 1))
        why = (
            f"no handler of `{task_type}` is installed here, so its tasks fail: `use` one that is, or give a `command`"
        )
        said.append(f"{show or path}:{line}:{column}: {why}")
    return said


def _undone_schedules(path: Path, layout: Layout, environ: dict[str, str], show: str | None) -> list[str]:
    """A sentence for each type that a schedule begins and no agent of the layout does; one that joins may."""
    done = type_rules(layout, name_agents(layout))
    undone: list[tuple[Where, str]] = []
    for index, entry in enumerate(layout.schedules):
        if entry.type is not None and entry.type not in done:
            undone.append((("schedules", index, "type"), f"no agent of this layout does `{entry.type}`"))
        steps = entry.workflow.steps if isinstance(entry.workflow, Workflow) else {}
        for name, step in steps.items():
            if step.type not in done:
                where: Where = ("schedules", index, "workflow", "steps", name, "type")
                undone.append((where, f"no agent of this layout does `{step.type}`, the type of the step `{name}`"))
    places = read_document(path, environ, show=show).places if undone else {}
    said = []
    for where, why in undone:
        line, column = places.get(where) or places.get(where[:3]) or places.get(where[:2]) or (1, 1)
        name = layout.schedules[int(where[1])].name
        more = f"so the schedule `{name}` begins nothing until one that does joins: give an entry a handler of it"
        said.append(f"{show or path}:{line}:{column}: {why}, {more}")
    return said


def _template(why: str | None, task_type: str, spec: HandlerSpec, payload: dict[str, object]) -> str | None:
    """A template may leave fields to whoever fills it in: what it says must be fields, and fit."""
    from swarm_tui.agent.handlers import registry

    if unknown := unknown_field(payload, registry.schema(task_type, spec)):
        return unknown
    return None if why is None or "missing required field" in why else why


def _steps(why: str) -> Where:
    """The path at the end of one of msgspec's reasons, as far as it names keys."""
    found: list[str | int] = []
    for step in _STEP.finditer(why.rpartition("`$")[2] if "`$" in why else ""):
        if step[1] is None and step[2] is None:
            break
        found.append(step[1] if step[1] is not None else int(step[2]))
    return tuple(found)
