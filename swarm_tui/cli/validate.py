"""`swarm-tui validate`: a layout's or a workflow's mistakes, each with its place."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from swarm_tui.cli.common import USAGE, Failure, json_option, note, print_json
from swarm_tui.cli.completers import layouts
from swarm_tui.cli.validate_handlers import handler_problems, remarks
from swarm_tui.config.errors import ConfigError, Problem
from swarm_tui.config.ids import name_agents
from swarm_tui.config.load import find_layout, known_layouts, layout_schema, load_layout
from swarm_tui.config.urls import shown_url
from swarm_tui.config.workflows import LoadedWorkflow, load_workflow, workflow_file, workflow_schema
from swarm_tui.domain.workflows.references import texts
from swarm_tui.protocol.text import clean


@click.command(epilog="Example: swarm-tui validate layouts/opencto-dev.yml")
@click.argument("file", required=False, shell_complete=layouts)
@click.option(
    "--schema",
    is_flag=False,
    flag_value="layout",
    type=click.Choice(["layout", "workflow"]),
    help="Print the JSON Schema of a layout (or: workflow), for editors.",
)
@json_option
def command(file: str | None, schema: str | None, as_json: bool) -> int:
    """Check a layout or a workflow: FILE is a path, or the name of one.

    Each mistake is a line `file:line:column: reason`; all are shown at once.
    """
    if schema is not None:
        print_json(layout_schema() if schema == "layout" else workflow_schema())
        return 0
    if file is None:
        raise Failure("which layout? `swarm-tui validate FILE`, or --schema", USAGE)
    if file not in known_layouts(Path.cwd()) and (workflow := workflow_file(file)) is not None:
        return _check_workflow(workflow, file, as_json)
    try:
        path = find_layout(file, Path.cwd())
        show = file if Path(file).is_file() else None
        loaded = load_layout(path, os.environ, show=show)
        if problems := handler_problems(path, loaded.layout, dict(os.environ), show):
            raise ConfigError(problems)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": error.problems})
        return USAGE
    agents = name_agents(loaded.layout)
    for line in [*loaded.notes, *remarks(path, loaded.layout, dict(os.environ), show)]:
        note(line)
    if as_json:
        print_json({"ok": True, "swarm": loaded.layout.swarm, "agents": [agent.agent_id for agent in agents]})
    else:
        layout = loaded.layout
        click.echo(f"{path}: ok, swarm {layout.swarm}, {len(agents)} agents, broker {shown_url(layout.broker.url)}")
    return 0


def _check_workflow(path: Path, file: str, as_json: bool) -> int:
    try:
        loaded = load_workflow(path, file if Path(file).is_file() else None)
        if problems := _payload_problems(loaded):
            raise ConfigError(problems)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": error.problems})
        return USAGE
    workflow = loaded.workflow
    for line in _strange_types(loaded):
        note(line)
    if as_json:
        print_json({"ok": True, "workflow": workflow.workflow, "steps": list(workflow.steps)})
    else:
        click.echo(f"{path}: ok, workflow {workflow.workflow}, {len(workflow.steps)} steps")
    return 0


def _payload_problems(loaded: LoadedWorkflow) -> list[Problem]:
    """Return a mistake for each payload that its type's handler would refuse; one with references is known later."""
    from swarm_tui.agent.handlers import registry

    found = []
    for name, step in loaded.workflow.steps.items():
        if not registry.can_do(step.type) or any("{" in text for _, text in texts(step.payload)):
            continue
        if why := registry.check(step.type, None, step.payload):
            found.append(loaded.problem(f"steps.{name}.payload: does not fit {step.type}: {clean(why, 200)}"))
            if not found[-1].line:
                found[-1] = loaded.problem(f"steps.{name}: the payload does not fit {step.type}: {clean(why, 200)}")
    return found


def _strange_types(loaded: LoadedWorkflow) -> Iterator[str]:
    """Yield a sentence for each type for which no handler comes with swarm-tui: a layout must have it."""
    from swarm_tui.agent.handlers import registry

    for name, step in loaded.workflow.steps.items():
        if not registry.can_do(step.type):
            yield str(
                loaded.problem(f"steps.{name}.type: no handler of {step.type} is known here; a layout must have it")
            )
