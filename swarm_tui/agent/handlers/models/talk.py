"""The one way in which handlers talk to an agent CLI: their options and payload, and which protocol it is."""

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from swarm_tui.agent.conversation import mail
from swarm_tui.agent.conversation.permits import Mode, Rules
from swarm_tui.agent.conversation.programs import find, swarm_server
from swarm_tui.agent.conversation.run import Told, converse
from swarm_tui.agent.conversation.settings import Settings, list_prices
from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.models.cli_run import RunLimits, run_cli
from swarm_tui.agent.handlers.models.cli_spec import Cli, known_clis
from swarm_tui.domain.asks.rules import check_rule
from swarm_tui.domain.usage import Price

Protocol = Literal["acp", "headless"]
_CLI = "claude, codex, gemini, opencode, or one of the layout's `clis`"


class TalkPayload(Struct, kw_only=True):
    """The part of a payload that every talk to a CLI has."""

    prompt: Annotated[str, Meta(min_length=1, description="what it shall do")]
    cli: Annotated[str | None, Meta(description=_CLI)] = None
    repo: Annotated[str, Meta(description="where it works, a path within the workdir")] = "."
    model: Annotated[str | None, Meta(description="the model, by the CLI's own name for it")] = None
    max_turns: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="turns; at most the layout's limit")] = (
        None
    )
    max_cost: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="US dollars; at most the layout's limit")
    ] = None
    resume: Annotated[str | None, Meta(description="go on with the conversation of this task")] = None


class TalkOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options that every talk to a CLI has.

    `clis` adds programs, or replaces known ones. `allow`, `deny`, `ask` are lists of `Tool(pattern)`; what none of them
    names is asked. `mcp` hands it the swarm's own tools, as a server named `swarm`. `silent_after` is seconds without a
    word after which a turn is given up. `same_calls` and `idle_turns` are how often the same call, and how many turns
    without a change, are a loop: that is told, and half as many more end the turn; 0 is never.
    """

    cli: str | None = None
    clis: dict[str, Cli] = {}
    protocol: Protocol | None = None
    model: str | None = None
    allow: list[str] = []
    deny: list[str] = []
    ask: list[str] = []
    max_turns: int = 50
    max_cost: float | None = None
    silent_after: float = 180.0
    same_calls: Annotated[int, Meta(ge=0)] = 6
    idle_turns: Annotated[int, Meta(ge=0)] = 40
    prices: dict[str, Price] = {}
    mcp: bool = True
    resume: bool = True


def gone_on_with(context: Context) -> str | None:
    """Return the CLI of the other task's conversation that is gone on with; None where there is none."""
    return (context.resume.cli or None) if context.resume is not None else None


def choose(name: str, extra: dict[str, Cli]) -> Cli:
    """Return the CLI of that name. Raises HandlerError (`bad-payload`) that names those known."""
    known = {**known_clis(), **extra}
    if name not in known:
        raise HandlerError(f"cli: no {name!r} is known; there are: {', '.join(known)}", code="bad-payload")
    return known[name]


async def talk(
    context: Context, options: TalkOptions, payload: TalkPayload, name: str, mode: Mode, folder: Path, prompt: str = ""
) -> Told:
    """Say the payload's prompt (or `prompt`) to the CLI `name`, in `folder`. Raises HandlerError as `converse` does."""
    cli = choose(name, options.clis)
    limits = _tighten(options, payload, context.budget)
    if context.screen is not None:
        _in_its_pane(context, payload, name, folder)
    for rule in (*options.allow, *options.deny, *options.ask):
        if (why := check_rule(rule)) is not None:
            raise HandlerError(why, code="bad-options")
    words = prompt or payload.prompt
    if context.screen is None and _protocol(context, options.protocol, cli, name) == "headless":
        waiting = context.messages()
        said = await run_cli(context, cli, mail.with_mail(words, waiting, tools=False), mode, limits, folder)
        mail.answer(context, waiting, said.text)
        return said.told()
    assert cli.acp is not None
    if not options.resume:
        context.resume = None
    settings = Settings(
        mode=mode,
        max_turns=limits.max_turns,
        max_cost=limits.max_cost,
        model=limits.model,
        silent_after=options.silent_after,
        same_calls=options.same_calls,
        idle_turns=options.idle_turns if mode == "edit" else 0,
        prices={**list_prices(), **options.prices},
        mcp=swarm_server(context) if options.mcp and context.screen is None else (),
    )
    rules = Rules(mode=mode, allow=options.allow, deny=options.deny, ask=options.ask)
    if context.screen is not None:
        from swarm_tui.agent.interactive.turn import converse_in

        return await converse_in(context, context.screen, cli.acp, words, settings, rules)
    return await converse(
        context,
        name,
        cli.acp,
        words,
        settings=settings,
        rules=rules,
        folder=folder,
        passed=cli.passed,
        install=cli.install,
    )


def _in_its_pane(context: Context, payload: TalkPayload, name: str, folder: Path) -> None:
    """Refuse what the CLI in the agent's pane cannot do: it is there already. Raises HandlerError (`not-allowed`)."""
    plan = context.screen.plan
    why = ""
    if name != plan.name:
        why = f"cli: {name} is asked for, and this agent's pane has {plan.name}"
    elif folder.resolve() != plan.workdir.resolve():
        why = f"repo: {plan.name} works in {plan.workdir} here, and nowhere else"
    elif payload.model not in (None, plan.model):
        why = f"model: {plan.name} runs already, with {plan.model or 'its own choice'}"
    if why:
        raise HandlerError(why, code="not-allowed")


def _protocol(context: Context, wanted: Protocol | None, cli: Cli, name: str) -> Protocol:
    """Return how to talk: by ACP where the CLI has it and its program is here, else headless where that is."""
    if wanted == "acp" and cli.acp is None:
        raise HandlerError(f"{name} does not speak ACP: say `protocol: headless`", code="bad-options")
    if wanted == "headless" or cli.acp is None:
        if not cli.argv:
            raise HandlerError(f"{name} has no headless mode: say `protocol: acp`", code="bad-options")
        return "headless"
    if wanted is None and cli.argv and find(cli.acp.argv[0]) is None and find(cli.argv[0]) is not None:
        context.log(f"{cli.acp.argv[0]} is not here: {name} is run headless, where nobody can be asked ({cli.install})")
        return "headless"
    return "acp"


def _tighten(options: TalkOptions, payload: TalkPayload, budget: float | None) -> RunLimits:
    """Return the layout's limits, or tighter ones that a task or the swarm's budget asks for; never wider."""
    turns = min(options.max_turns, payload.max_turns or options.max_turns)
    costs = [cost for cost in (options.max_cost, payload.max_cost, budget) if cost is not None]
    return RunLimits(max_turns=turns, max_cost=min(costs, default=None), model=payload.model or options.model)


def as_result(name: str, told: Told) -> dict[str, Any]:
    """Return what came of a talk as a task's result."""
    return {"cli": name, **told.result()}
