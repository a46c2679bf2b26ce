"""Acts that move: in a list, from panel to panel, to an agent by its number."""

from functools import partial

from swarm_tui.ui.acts.subjects import rows
from swarm_tui.ui.desk.actions import MAIN, Action, Run, ask, use
from swarm_tui.ui.desk.capabilities import Groupable, HasAgents, Numbered, Panelled
from swarm_tui.ui.desk.context import Context


def _move(context: Context, by: int) -> None:
    if context.lines is not None:
        context.lines.move(by)


def _page(context: Context, by: int) -> None:
    if context.lines is not None:
        context.lines.page(by)


def _end(context: Context, last: bool) -> None:
    if context.lines is not None:
        context.lines.last() if last else context.lines.first()


def _agent(context: Context, number: int) -> None:
    screen = context.screen
    if context.desk.time.on:
        context.desk.time.jump(number)
        return
    if not isinstance(screen, Numbered):
        return
    before = screen.scope, _selected_agent(context)
    screen.go_agent(number)
    if before == (screen.scope, _selected_agent(context)):
        context.say(f"{before[1]} is selected already")


def _selected_agent(context: Context) -> str | None:
    return context.screen.selected_agent() if isinstance(context.screen, HasAgents) else None


def _no_agent(context: Context, number: int) -> str | None:
    if context.desk.time.on:
        return None
    count = context.screen.numbered() if isinstance(context.screen, Numbered) else 0
    if number <= count:
        return None
    return f"there is no agent {number} here, only {count}" if count else "there is no agent here"


def _act(name: str, keys: tuple[str, ...], help: str, run: Run) -> Action:
    label = help.rstrip(".").lower()
    return Action(name=name, keys=keys, help=help, run=run, group="move", label=label, can=rows, palette=False)


NAVIGATION_ACTS = (
    _act("down", ("j", "down"), "Down.", lambda c: _move(c, 1)),
    _act("up", ("k", "up"), "Up.", lambda c: _move(c, -1)),
    _act("top", ("g", "home"), "To the first.", lambda c: _end(c, False)),
    _act("bottom", ("G", "end"), "To the last.", lambda c: _end(c, True)),
    _act("page_down", ("pagedown", "ctrl+d"), "A page down.", lambda c: _page(c, 1)),
    _act("page_up", ("pageup", "ctrl+u"), "A page up.", lambda c: _page(c, -1)),
    *(
        Action(
            name=name,
            keys=(name,),
            label=name,
            group="move",
            scopes=("agents",),
            palette=False,
            needs=Groupable,
            can=ask(Groupable, lambda screen: screen.why_no_cells()),
            run=use(Groupable, partial(lambda by, screen: screen.step(by), by)),
            help=f"To the cell at the {name}, on the map of agents.",
        )
        for name, by in (("left", -1), ("right", 1))
    ),
    Action(
        name="next_panel",
        keys=("tab",),
        label="panel",
        group="move",
        scopes=MAIN,
        rank=10,
        palette=False,
        needs=Panelled,
        run=use(Panelled, lambda screen: screen.turn_panel(1)),
        help="Go to the next panel.",
    ),
    Action(
        name="previous_panel",
        keys=("shift+tab",),
        label="panel back",
        group="move",
        scopes=MAIN,
        palette=False,
        needs=Panelled,
        run=use(Panelled, lambda screen: screen.turn_panel(-1)),
        help="Go to the panel before.",
    ),
    *(
        Action(
            name=f"agent_{n}",
            keys=(str(n),),
            label=f"agent {n}",
            group="move",
            scopes=(*MAIN, "wall", "agent"),
            palette=False,
            needs=Numbered,
            can=partial(_no_agent, number=n),
            run=partial(_agent, number=n),
            help=f"Select agent number {n}.",
        )
        for n in range(1, 10)
    ),
)
