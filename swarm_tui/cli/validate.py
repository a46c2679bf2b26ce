"""`swarm-tui validate`: a layout's mistakes, each with its place."""

import os
from pathlib import Path

import click

from swarm_tui.cli.common import USAGE, Failure, json_option, note, print_json
from swarm_tui.cli.completers import layouts
from swarm_tui.cli.validate_handlers import handler_problems, missing_handlers
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.ids import name_agents
from swarm_tui.config.load import find_layout, layout_schema, load_layout
from swarm_tui.config.urls import shown_url


@click.command(epilog="Example: swarm-tui validate layouts/opencto-dev.yml")
@click.argument("file", required=False, shell_complete=layouts)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a layout, for editors.")
@json_option
def command(file: str | None, schema: bool, as_json: bool) -> int:
    """Check a layout: FILE is a path, or the name of a layout.

    Each mistake is a line `file:line:column: reason`; all are shown at once.
    """
    if schema:
        print_json(layout_schema())
        return 0
    if file is None:
        raise Failure("which layout? `swarm-tui validate FILE`, or --schema", USAGE)
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
    for line in [*loaded.notes, *missing_handlers(path, loaded.layout, dict(os.environ), show)]:
        note(line)
    if as_json:
        print_json({"ok": True, "swarm": loaded.layout.swarm, "agents": [agent.agent_id for agent in agents]})
    else:
        layout = loaded.layout
        click.echo(f"{path}: ok, swarm {layout.swarm}, {len(agents)} agents, broker {shown_url(layout.broker.url)}")
    return 0
