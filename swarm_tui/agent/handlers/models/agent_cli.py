"""Gives a prompt to an agent CLI (Claude Code, Codex, Gemini, or one that the layout describes) in the workdir."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.conversation.permits import Mode
from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.models.talk import TalkOptions, TalkPayload, as_result, gone_on_with, talk


class Payload(TalkPayload, kw_only=True):
    """Payload of `agent-cli`."""

    mode: Annotated[
        Mode | None, Meta(description="what it may do unasked: read, or edit where the layout allows it")
    ] = None


class Options(TalkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options. `mode` is what tasks get that name none, and the most that they may ask for.

    `modes`, where it is given, are those that tasks may ask for.
    """

    cli: str = "claude"
    mode: Mode = "read"
    modes: tuple[Mode, ...] | None = None
    max_turns: int = 30


class AgentCli:
    """Gives the CLI's answer as `text`, with its `turns`, `usage`, `session`, and what was `refused`."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError; HandlerError: a failure's code, `cancelled`, `bad-payload`, `not-allowed`."""
        payload, options = read_payload(context, Payload), read_options(context, Options)
        folder = inside(context.workdir, payload.repo, what="repo")
        allowed = options.modes or (("read", "edit") if options.mode == "edit" else ("read",))
        mode = payload.mode or (options.mode if options.mode in allowed else allowed[0])
        if mode not in allowed:
            raise HandlerError(f"mode: the layout allows {', '.join(allowed)}, not {mode}", code="not-allowed")
        name = payload.cli or gone_on_with(context) or options.cli
        told = await talk(context, options, payload, name, mode, folder)
        context.progress(100, f"{name} has answered")
        return as_result(name, told)
