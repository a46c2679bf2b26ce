"""The command group: each command's module is imported when the command is called, and not before."""

import errno
import os
import sys
from contextlib import suppress
from copy import copy
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from swarm_tui import __version__
from swarm_tui.cli.common import ORDERS, Failure
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.home import ignored_folders
from swarm_tui.config.paths import state_home, why_not
from swarm_tui.processes.workers import works
from swarm_tui.protocol.text import clean

#: Each command with the line that `swarm-tui --help` shows, in the order of a day's work.
COMMANDS: dict[str, str] = {
    "up": "Start or adopt a swarm, then open the screen.",
    "down": "Drain and stop a swarm; its record stays.",
    "screen": "Open the screen of a running swarm.",
    "status": "The agents and how they are.",
    "publish": "Give the swarm a task.",
    "tasks": "The tasks, or one with every hop.",
    "run": "Run a workflow.",
    "runs": "The runs of workflows, or one with its steps.",
    "schedules": "The layout's schedules; pause, resume or fire one.",
    "cancel": "Cancel tasks or runs.",
    "retry": "Run dead or failed tasks again, or what failed of runs.",
    "approve": "Let tasks run that wait for approval.",
    "deny": "Refuse tasks that wait for approval.",
    "asks": "What AI agents ask, and wait for.",
    "answer": "Answer what an AI agent asks.",
    "send": "Write to an agent, a role, or all.",
    "messages": "Mail between agents and people, with receipts.",
    "compare": "What several agents made of one task.",
    "merge": "Merge a task's work after the checks, or see the queue.",
    "discard": "Throw a task's work away.",
    "diff": "What a task changed in its worktree.",
    "usage": "Tokens and money that tasks took.",
    "halt": "Stop all work of the swarm at once.",
    "resume": "Lift a halt.",
    "attach": "The terminal becomes an agent's pane.",
    "logs": "An agent's output, kept over restarts.",
    "start": "Start stopped agents.",
    "stop": "Stop agents.",
    "restart": "Restart agents.",
    "drain": "Let agents finish and take no more.",
    "undrain": "Let drained agents take tasks again.",
    "scale": "Set how many agents a role has.",
    "forget": "Forget an agent that is gone.",
    "broker": "Who may do what: identities and rules.",
    "watch": "Every message, a line each.",
    "history": "What was said, from the record.",
    "export": "A span of time in one file.",
    "replay": "The same screen over a recording.",
    "doctor": "Try all that a swarm needs; say what to do.",
    "validate": "A layout's or workflow's mistakes, each with its place.",
    "init": "Write a layout with comments.",
    "mcp": "The swarm as tools for an MCP client.",
    "agent": "Run one agent in this terminal.",
    "serve": "The screen in a browser.",
    "completion": "Shell completion for bash, zsh or fish.",
    "supervise": "What keeps a host's panes alive (runs in a pane).",
}
HIDDEN = frozenset({"supervise"})
#: Options that, with no command before them, are for the screen.
OF_THE_SCREEN = frozenset({"--swarm", "--broker", "--identity", "--read-only"})
#: What a disk says that takes no more.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoppedError(Exception):
    """Ctrl-C: a person wants it to end, and to read nothing about it."""


class ClosedPipeError(Exception):
    """Whoever read our output has left: no failure of the command, so click must not make an exit 1 of it."""


def _for_people(name: str, command: click.Command) -> click.Command:
    """Return the command as one that refuses whoever works: an AI agent must not say yes to itself."""
    carry_out, guarded = command.callback, copy(command)
    assert carry_out is not None

    def callback(*arguments: Any, **options: Any) -> Any:
        if works():
            raise Failure(
                f"this runs within a task of a swarm, and may not `{name}`: who works does not order; "
                "people do, from a terminal of theirs"
            )
        return carry_out(*arguments, **options)

    guarded.callback = callback
    return guarded


class LazyGroup(click.Group):
    """Looks commands up by name; an unknown one is answered with those near it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].partition("=")[0] in OF_THE_SCREEN:
            args = ["screen", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = f"swarm_tui.cli.{cmd_name.replace('-', '_')}"
        command: click.Command = import_module(name).command
        return _for_people(cmd_name, command) if cmd_name in ORDERS else command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=3, cutoff=0.5)
            meant = f"; did you mean {' or '.join(near)}?" if near else "; `swarm-tui --help` lists them"
            raise click.UsageError(f"no command `{args[0]}`{meant}", ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError:
            raise ClosedPipeError from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ClosedPipeError from None
        except KeyboardInterrupt:
            # click would print an empty line first.
            raise StoppedError from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, line in COMMANDS.items() if name not in HIDDEN])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: swarm-tui up opencto-dev",
)
@click.version_option(__version__, message=f"swarm-tui {__version__}")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Run, watch and steer a swarm of agents over MQTT, in tmux, from one terminal screen.

    Without a command, the screen of the swarm that runs here.
    """
    for ignored in ignored_folders(os.environ):
        click.echo(ignored, err=True)
    if ctx.invoked_subcommand is None:
        from swarm_tui.cli.screen import open_screen

        ctx.exit(open_screen())


def run(arguments: list[str]) -> int:
    """Run the command line; the exit code. Errors are one line on stderr, never a traceback."""
    try:
        result = group.main(args=arguments, prog_name="swarm-tui", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Failure as failure:
        _say(failure.reason)
        return failure.exit_code
    except ConfigError as error:
        _print(str(error))
        return 2
    except click.UsageError as error:
        _say(" ".join(error.format_message().split()))
        if error.ctx is not None and error.ctx.info_name:
            _print(f"try: {error.ctx.command_path} --help")
        return 2
    except click.ClickException as error:
        _say(error.format_message())
        return 2
    except (click.Abort, KeyboardInterrupt, StoppedError):
        return 130
    except (BrokenPipeError, ClosedPipeError):
        _drop_stdout()
        return 0
    except FileNotFoundError as error:
        if not _folder_is_gone():
            return _unexpected(error, arguments)
        _say("the folder that this terminal stands in is gone: go to another one")
        return 2
    except Exception as error:  # noqa: BLE001  (the last line of defence: a person gets a sentence, the file the rest)
        return _unexpected(error, arguments)


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _say(reason: str) -> None:
    _print(f"swarm-tui: {reason}")


def _print(text: str) -> None:
    """Print an error, which is what the exit code says it is though nobody read of it."""
    with suppress(OSError):
        click.echo(text, err=True)


def _drop_stdout() -> None:
    """Keep the interpreter from writing to what takes no more once again at exit, which ends it with 120."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_no_text(argument: str) -> bool:
    """Return whether an argument has bytes that are no text, which Python hands on as half characters."""
    return any("\ud800" <= letter <= "\udfff" for letter in argument)


def _unexpected(error: Exception, arguments: list[str]) -> int:
    if isinstance(error, UnicodeEncodeError) and (strange := next(filter(_is_no_text, arguments), None)) is not None:
        _say(f"{clean(strange, 80)!r} is not in UTF-8, as names and texts are")
        return 2
    if isinstance(error, OSError) and error.errno in _FULL:
        _say(f"{error.filename or 'the output'} cannot be written: {error.strerror}; make room, then try again")
        if error.filename is None:
            _drop_stdout()
        return 1
    if isinstance(error, OSError) and "XDG_STATE_HOME" in (reason := why_not(error)):
        _say(reason)
        return 1
    import traceback

    path = state_home() / "errors.log"
    text = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")
        where: Path | str = path
    except OSError:
        where = "nowhere, the state folder cannot be written"
    reason = " ".join(str(error).split())[:200]
    _say(f"a mistake of ours: {type(error).__name__}: {reason} (the details are in {where})")
    return 1
