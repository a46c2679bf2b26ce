"""`swarm-tui completion`: what a shell evaluates to complete our command line."""

import click
from click.shell_completion import get_completion_class

from swarm_tui.cli.common import note

_WHERE = {
    "bash": 'put into ~/.bashrc: eval "$(swarm-tui completion bash)"',
    "zsh": 'put into ~/.zshrc: eval "$(swarm-tui completion zsh)"',
    "fish": "write to ~/.config/fish/completions/swarm-tui.fish",
}


@click.command(epilog='Example: eval "$(swarm-tui completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of a shell."""
    from swarm_tui.cli.common import is_terminal
    from swarm_tui.cli.group import group

    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(group, {}, "swarm-tui", "_SWARM_TUI_COMPLETE").source())
    if is_terminal():
        note(_WHERE[shell])
    return 0
