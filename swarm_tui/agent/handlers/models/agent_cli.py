"""Gives a prompt to an agent CLI (Claude Code, Codex, Gemini, or one that the layout describes) in the workdir."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.models.cli_run import RunLimits, run_cli
from swarm_tui.agent.handlers.models.cli_spec import Cli
from swarm_tui.agent.handlers.models.cli_table import CLIS


class Payload(Struct, kw_only=True):
    """Payload of `agent-cli`."""

    prompt: Annotated[str, Meta(min_length=1, description="what it shall do")]
    cli: Annotated[str | None, Meta(description="claude, codex, gemini, or one of the layout's `clis`")] = None
    mode: Annotated[str, Meta(description="what it may do unasked: read, or edit where the layout allows it")] = "read"
    repo: Annotated[str, Meta(description="where it works, a path within the workdir")] = "."
    model: Annotated[str | None, Meta(description="the model, by the CLI's own name for it")] = None
    max_turns: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="turns; at most the layout's limit")] = (
        None
    )
    max_cost: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="US dollars; at most the layout's limit")
    ] = None


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options. `clis` adds programs, or replaces known ones; `modes` are those that tasks may ask for."""

    cli: str = "claude"
    clis: dict[str, Cli] = {}
    modes: tuple[str, ...] = ("read",)
    model: str | None = None
    max_turns: int = 30
    max_cost: float | None = None


class AgentCli:
    """Gives the CLI's answer as `text`, with its `turns`, `usage` and `session`."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError; HandlerError: `agent-cli`, `limit`, `cancelled`, `bad-payload`, `not-allowed`."""
        payload, options = read_payload(context, Payload), read_options(context, Options)
        folder = inside(context.workdir, payload.repo, what="repo")
        if payload.mode not in options.modes:
            allowed = ", ".join(options.modes)
            raise HandlerError(f"mode: the layout allows {allowed}, not {payload.mode}", code="not-allowed")
        name = payload.cli or options.cli
        cli = choose(name, options.clis)
        limits = tighten(
            options.max_turns, options.max_cost, payload.max_turns, payload.max_cost, payload.model or options.model
        )
        said = await run_cli(context, cli, payload.prompt, payload.mode, limits, folder)
        context.progress(100, f"{name} has answered")
        usage = {"tokens": said.tokens, "cost": said.cost}
        return {"cli": name, "text": said.text, "turns": said.turns, "session": said.session, "usage": usage}


def choose(name: str, extra: dict[str, Cli]) -> Cli:
    """Return the CLI of that name. Raises HandlerError (`bad-payload`) that names those known."""
    known = {**CLIS, **extra}
    if name not in known:
        raise HandlerError(f"cli: no {name!r} is known; there are: {', '.join(known)}", code="bad-payload")
    return known[name]


def tighten(
    max_turns: int, max_cost: float | None, wished_turns: int | None, wished_cost: float | None, model: str | None
) -> RunLimits:
    """Return the layout's limits, or tighter ones that a task asks for; never wider."""
    turns = min(max_turns, wished_turns or max_turns)
    costs = [cost for cost in (max_cost, wished_cost) if cost is not None]
    return RunLimits(max_turns=turns, max_cost=min(costs, default=None), model=model)
