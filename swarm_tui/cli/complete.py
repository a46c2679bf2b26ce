"""Values that a shell offers for our arguments. Nothing here may fail: a key press would show it."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

Offer = list[CompletionItem]


def layouts(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The names of layouts; paths when a path was begun."""
    from swarm_tui.config.load import known_layouts

    if begun.startswith((".", "/", "~")):
        return [CompletionItem(begun, type="file")]
    found = known_layouts(Path.cwd())
    return [CompletionItem(name, help=where) for name, (where, _) in sorted(found.items()) if name.startswith(begun)]


def task_types(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The task types that come with swarm-tui."""
    from swarm_tui.agent.handlers.registry import about
    from swarm_tui.protocol.names import ROLE_TYPES

    known = sorted({name for types in ROLE_TYPES.values() for name in types if name.startswith(begun)})
    return [CompletionItem(name, help=about(name)) for name in known]


def swarms(context: click.Context, parameter: click.Parameter, begun: str) -> Offer:
    """The swarms that run here."""
    from swarm_tui.config.running import list_running

    return [CompletionItem(running.swarm) for running in list_running() if running.swarm.startswith(begun)]
