"""`swarm-tui agent`: one agent in this terminal."""

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Run one agent in this terminal; the same as `sheri-ml --mqtt …`."""
    from swarm_tui.agent.main import main

    return main(ctx.args)
