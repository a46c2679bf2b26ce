"""Values that a shell offers for our arguments. Nothing here may fail: a key press would show it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from swarm_tui.supervisor.plan import Plan

Offer = list[CompletionItem]
#: Tasks that are offered.
_MOST = 50


def layouts(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The names of layouts; paths when a path was begun."""
    from swarm_tui.config.load import known_layouts

    if begun.startswith((".", "/", "~")):
        return [CompletionItem(begun, type="file")]
    found = known_layouts(Path.cwd())
    return [CompletionItem(name, help=where) for name, (where, _) in sorted(found.items()) if name.startswith(begun)]


def task_types(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The task types that come with swarm-tui, and those of the swarm that runs."""
    from swarm_tui.agent.handlers.registry import about
    from swarm_tui.protocol.names import ROLE_TYPES

    plan = _plan(context)
    known = {name: about(name) for types in ROLE_TYPES.values() for name in types}
    for entry in plan.layout.agents if plan is not None else []:
        known |= {name: about(name, spec) for name, spec in entry.handlers.items()}
    return [CompletionItem(name, help=text) for name, text in sorted(known.items()) if name.startswith(begun)]


def agents(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The agents of the swarm that runs here."""
    return [CompletionItem(name, help=role) for name, role in _agents(context) if name.startswith(begun)]


def roles(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The roles of the swarm that runs here."""
    return [CompletionItem(role) for role in sorted({role for _, role in _agents(context)}) if role.startswith(begun)]


def agents_and_roles(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The agents of the swarm that runs here, then its roles."""
    return agents(context, parameter, begun) + roles(context, parameter, begun)


def receivers(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The agents and roles that may get mail, and all."""
    everybody = [CompletionItem("all", help="every agent")] if "all".startswith(begun) else []
    return agents_and_roles(context, parameter, begun) + everybody


def task_ids(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The newest tasks that the dispatcher of this machine knows, with their type and state."""
    from swarm_tui.cli.common import Failure
    from swarm_tui.cli.journal_reader import newest_ids
    from swarm_tui.config.paths import state_dir

    state = state_dir(_swarm(context))
    try:
        found = newest_ids(state, begun, _MOST) if state.dispatch.is_file() else []
    except Failure:
        return []
    return [CompletionItem(task_id, help=f"{task_type}, {now}") for task_id, task_type, now in found]


def workflows(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The names of workflows; paths when a path was begun."""
    from swarm_tui.config.workflows import known_workflows

    if begun.startswith((".", "/", "~")):
        return [CompletionItem(begun, type="file")]
    found = known_workflows(Path.cwd())
    return [CompletionItem(name, help=where) for name, (where, _) in sorted(found.items()) if name.startswith(begun)]


def run_ids(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The newest runs that the dispatcher of this machine knows, with their workflow and state."""
    from swarm_tui.cli.common import Failure
    from swarm_tui.cli.journal_reader import journal_runs
    from swarm_tui.config.paths import state_dir

    state = state_dir(_swarm(context))
    try:
        rows = journal_runs(state, limit=_MOST) if state.dispatch.is_file() else []
    except Failure:
        return []
    return [
        CompletionItem(row.run_id, help=f"{row.workflow}, {row.state}") for row in rows if row.run_id.startswith(begun)
    ]


def fields(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The fields of the payload of the type that was typed, as `field=`."""
    from swarm_tui.agent.handlers.registry import schema
    from swarm_tui.config.resolve import doers

    # Where an option still waits for its value, click leaves the words before it unsorted.
    typed = [word for word in context.args if not word.startswith("-")]
    task_type = context.params.get("task_type") or next(iter(typed), None)
    if not isinstance(task_type, str):
        return []
    plan = _plan(context)
    specs = doers(plan.layout).get(task_type, []) if plan is not None else []
    found = schema(task_type, specs[0] if specs else None).get("properties", {})
    return [
        CompletionItem(f"{name}=", help=str(field.get("description", "")) if isinstance(field, dict) else "")
        for name, field in found.items()
        if name.startswith(begun)
    ]


def _agents(context: click.Context) -> list[tuple[str, str]]:
    from swarm_tui.config.paths import state_dir

    plan = _plan(context)
    specs = plan.specs(state_dir(plan.swarm)) if plan is not None else []
    return sorted((spec.agent_id, spec.role) for spec in specs)


def _swarm(context: click.Context) -> str:
    """The swarm that the line so far means; else the default one."""
    import os

    from swarm_tui.config.running import running_names
    from swarm_tui.protocol.names import DEFAULT_SWARM, InvalidNameError, check_swarm

    named = context.params.get("swarm") or os.environ.get("OPENCTO_SWARM")
    names = running_names()
    try:
        return check_swarm(str(named)) if named else names[0] if len(names) == 1 else DEFAULT_SWARM
    except InvalidNameError:
        return DEFAULT_SWARM


def _plan(context: click.Context) -> "Plan | None":
    from swarm_tui.config.paths import state_dir
    from swarm_tui.supervisor.plan import load_plan

    return load_plan(state_dir(_swarm(context)))


def swarms(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The swarms that run here."""
    from swarm_tui.config.running import list_running

    return [CompletionItem(running.swarm) for running in list_running() if running.swarm.startswith(begun)]
