"""From what the layout says of an interactive agent to its CLI's screen, and why that cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.agent.conversation.programs import find, with_node
from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.models.cli_spec import Cli, known_clis
from swarm_tui.agent.handlers.models.talk import TalkOptions
from swarm_tui.agent.handlers.process import allowed_environment
from swarm_tui.agent.interactive.events import call_of
from swarm_tui.agent.interactive.pane import Pane
from swarm_tui.agent.interactive.screen import MARK, CliScreen
from swarm_tui.agent.interactive.screen_state import Plan
from swarm_tui.config.model import HandlerSpec, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.asks.rules import judge
from swarm_tui.processes import marks

TYPE = "agent-cli"


class NoScreenError(Exception):
    """The layout's entry names a CLI whose own screen cannot be an agent's; the text says which can."""


def cli_of(handler: HandlerSpec) -> tuple[str, Cli, TalkOptions]:
    """Return the CLI of an interactive agent's handler. Raises NoScreenError."""
    if handler.use is not None or handler.command is not None:
        raise NoScreenError(f"`interactive: true` needs our own handler of `{TYPE}`: leave out `use` and `command`")
    try:
        kind: Any = registry.load(TYPE, handler)
        options: TalkOptions = msgspec.convert(handler.options, kind.Options)
    except msgspec.ValidationError as error:
        raise NoScreenError(f"`options` of `{TYPE}`: {error}") from None
    known = {**known_clis(), **options.clis}
    able = [name for name, cli in known.items() if cli.interactive is not None and cli.acp is not None]
    if options.cli not in able:
        raise NoScreenError(
            f"`interactive: true` needs a CLI whose hooks tell what it does: {', '.join(able)}; `{options.cli}` is none"
        )
    if options.protocol is not None:
        raise NoScreenError("`protocol` is how a CLI is talked to without its screen: leave it out")
    return options.cli, known[options.cli], options


def screen_of(
    spec: RunSpec,
    note: Callable[[str, str], None],
    changed: Callable[[], None],
    answered: Callable[[str, str], None],
    divert: Callable[[bool], None],
    pane: Pane | None = None,
) -> CliScreen:
    """Return the screen of an interactive agent, not yet begun. Raises NoScreenError; see CliScreen."""
    name, cli, options = cli_of(spec.handlers.get(TYPE, HandlerSpec()))
    way = cli.interactive
    assert way is not None
    path = find(way.argv[0]) or way.argv[0]
    mark = marks.mark(spec.state_dir, spec.agent_id, MARK)
    own = {marks.VARIABLE: mark, "SWARM_AGENT_ID": spec.agent_id, "SWARM_NAME": spec.swarm}
    given = {"TERM": "xterm-256color", **way.env, **allowed_environment([*cli.passed, *spec.env]), **own}
    login = f"; it looks as if nobody had logged in: {cli.login}" if cli.login and not cli.is_logged_in() else ""
    plan = Plan(
        name=name,
        spec=way,
        environment=with_node(given, path),
        workdir=Path(spec.workdir),
        folder=StateDir(Path(spec.state_dir)).screen(spec.agent_id),
        state_dir=spec.state_dir,
        agent_id=spec.agent_id,
        model=options.model,
        install=cli.install,
        dialogs=f"attach to its pane, it asks there (a first start, the trust in its folder, a login), "
        f"or its hooks are turned off{login}",
        log=cli.acp.log if cli.acp is not None else None,
    )

    def denied(said: dict[str, object]) -> str:
        use = call_of(said, way).use(plan.workdir)
        verdict = judge(use, allow=(), deny=options.deny, ask=())
        return f"the layout denies {verdict.rule}" if verdict.decision == "deny" else ""

    return CliScreen(plan, pane or Pane(), note, changed, denied, answered, divert)
