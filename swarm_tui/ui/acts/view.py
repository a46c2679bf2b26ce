"""Acts that change only what is seen: filters, marks, panels."""

from swarm_tui.ui.acts.subjects import key, rows
from swarm_tui.ui.desk.actions import LISTS, MAIN, Action, ask, use
from swarm_tui.ui.desk.capabilities import (
    TURNED,
    Follows,
    Groupable,
    Markable,
    Opens,
    Paged,
    Panelled,
    Searchable,
    Sortable,
    Tabbed,
    Zoomable,
)
from swarm_tui.ui.desk.context import Context

_PANELS = ("agents", "tasks")
_FILTERED = ("agents", "tasks", "stream")


def _follow(context: Context) -> None:
    lines = context.lines
    before = (lines.tail, lines.top, lines.cursor) if lines is not None else None
    if isinstance(context.screen, Follows):
        context.screen.follow()
    if lines is None or before == (lines.tail, lines.top, lines.cursor):
        context.say("it keeps to the newest line already")


def _pause(context: Context) -> None:
    stream = context.model.stream
    context.desk.main.narrow_stream(lambda: stream.pause(not stream.paused))
    goes_on = f"the stream is held: {key(context, 'pause')} lets it go on, with all that came meanwhile"
    context.say(goes_on if stream.paused else "the stream goes on")


def _can_zoom(context: Context) -> str | None:
    return ask(Opens, lambda screen: screen.why_not_open())(context) if context.scope == "wall" else None


def _zoomed(context: Context) -> bool:
    return isinstance(context.screen, Zoomable) and bool(context.screen.zoomed)


VIEW_ACTS = (
    Action(
        name="filter",
        keys=("slash",),
        label="filter",
        group="view",
        scopes=(*_FILTERED, "help"),
        rank=30,
        needs=Searchable,
        run=use(Searchable, lambda screen: screen.ask_filter()),
        help="Show only what has these words (the stream: topic patterns too), or these facts: state:failed "
        "type:testing.* agent: task: role: since:5m until:14:30; ! turns it round.",
    ),
    Action(
        name="find",
        keys=("slash",),
        label="find",
        group="view",
        scopes=("pane", "agent", "task", "message", "problems"),
        rank=6,
        needs=Searchable,
        run=use(Searchable, lambda screen: screen.ask_filter()),
        help="Go to the next line that has these words; a log and a pane are searched upwards. Going back forgets them "
        "first.",
    ),
    Action(
        name="command",
        keys=("colon",),
        label="command",
        group="view",
        run=lambda c: c.screen.ask_command(),
        palette=False,
        help="Type an act, and whom it is to take (drain docs-01); a panel, an id, filter WORDS, theme NAME.",
    ),
    Action(
        name="sort",
        keys=("o",),
        label="sort",
        group="view",
        scopes=_PANELS,
        needs=Sortable,
        can=rows,
        run=use(Sortable, lambda screen: screen.sort()),
        help="Sort by the next column, after the last one by none; `:sort mem` names one. A click on a column's name "
        "sorts by it, another goes the other way.",
    ),
    Action(
        name="sort_back",
        keys=("O",),
        label="sort back",
        group="view",
        scopes=_PANELS,
        needs=Sortable,
        can=rows,
        run=use(Sortable, lambda screen: screen.sort(TURNED)),
        help="Sort the other way.",
    ),
    Action(
        name="group",
        keys=("b",),
        label="group",
        group="view",
        scopes=_PANELS,
        needs=Groupable,
        can=rows,
        run=use(Groupable, lambda screen: screen.group()),
        help="Group agents by role, host or state, tasks by state, type or agent, or not; `:group host` names one. "
        "Enter on the head of a group folds it, and marks are for all of it.",
    ),
    Action(
        name="fold_all",
        keys=("J",),
        label="fold all",
        group="view",
        scopes=_PANELS,
        needs=Groupable,
        can=ask(Groupable, lambda screen: screen.why_not_fold()),
        run=use(Groupable, lambda screen: screen.fold_all()),
        help="Fold all groups, or open all again.",
    ),
    Action(
        name="heat_map",
        keys=("h",),
        label="heat map",
        now=lambda c: "table" if isinstance(c.screen, Groupable) and c.screen.why_no_cells() is None else None,
        group="view",
        scopes=("agents",),
        needs=Groupable,
        run=use(Groupable, lambda screen: screen.turn_map()),
        help="Show every agent as a cell, its state by glyph and colour; once more, the table. Sorted, grouped and "
        "filtered as that is; the arrows move, enter opens the agent.",
    ),
    Action(
        name="mark",
        keys=("space",),
        label="mark",
        group="view",
        scopes=_PANELS,
        needs=Markable,
        run=use(Markable, lambda screen: screen.mark()),
        rank=70,
        can=rows,
        help="Mark it, so that an act takes all that are marked.",
    ),
    Action(
        name="mark_all",
        keys=("asterisk",),
        label="mark all",
        group="view",
        scopes=_PANELS,
        can=rows,
        needs=Markable,
        run=use(Markable, lambda screen: screen.mark_all()),
        help="Mark all that show, or none.",
    ),
    Action(
        name="next_state",
        keys=("right_square_bracket",),
        label="next tab",
        group="view",
        scopes=("tasks",),
        rank=65,
        needs=Tabbed,
        run=use(Tabbed, lambda screen: screen.turn_tab(1)),
        help="Show the tasks of the next state.",
    ),
    Action(
        name="previous_state",
        keys=("left_square_bracket",),
        label="tab before",
        group="view",
        scopes=("tasks",),
        needs=Tabbed,
        run=use(Tabbed, lambda screen: screen.turn_tab(-1)),
        help="Show the tasks of the state before.",
    ),
    Action(
        name="next_page",
        keys=("right_square_bracket",),
        label="next page",
        group="view",
        scopes=("wall",),
        rank=24,
        needs=Paged,
        run=use(Paged, lambda screen: screen.turn_page(1)),
        can=ask(Paged, lambda screen: screen.one_page()),
        help="Show the next agents' panes.",
    ),
    Action(
        name="previous_page",
        keys=("left_square_bracket",),
        label="page before",
        group="view",
        scopes=("wall",),
        needs=Paged,
        run=use(Paged, lambda screen: screen.turn_page(-1)),
        can=ask(Paged, lambda screen: screen.one_page()),
        help="Show the panes of the agents before.",
    ),
    Action(
        name="follow",
        keys=("f",),
        label="follow",
        group="view",
        scopes=("stream", "pane", "agent", "wall"),
        rank=25,
        needs=Follows,
        can=rows,
        run=_follow,
        help="Keep to the newest line.",
    ),
    Action(
        name="pause",
        keys=("P",),
        label="pause",
        group="view",
        scopes=(*MAIN, "wall"),
        run=_pause,
        help="Hold the stream still; it counts on, and loses nothing.",
        rank=26,
    ),
    Action(
        name="zoom",
        keys=("z",),
        label="zoom",
        now=lambda c: "zoom out" if _zoomed(c) else None,
        group="view",
        scopes=(*MAIN, "wall"),
        rank=55,
        can=_can_zoom,
        needs=Zoomable,
        run=use(Zoomable, lambda screen: screen.zoom()),
        help="Give the panel the whole screen; once more gives it back.",
    ),
    Action(
        name="grow",
        keys=("greater_than_sign",),
        label="larger",
        group="view",
        scopes=MAIN,
        needs=Panelled,
        run=use(Panelled, lambda screen: screen.resize_panel(1)),
        help="Make the panel larger.",
    ),
    Action(
        name="shrink",
        keys=("less_than_sign",),
        label="smaller",
        group="view",
        scopes=MAIN,
        needs=Panelled,
        run=use(Panelled, lambda screen: screen.resize_panel(-1)),
        help="Make the panel smaller.",
    ),
    Action(
        name="clear",
        keys=("escape",),
        label="clear",
        group="move",
        scopes=MAIN,
        run=lambda c: c.screen.back(),
        palette=False,
        help="Clear what narrows the view, one thing at a time: marks, zoom, filter, problems, state tab; then "
        "what narrows the other panels.",
    ),
    Action(
        name="back",
        keys=("escape",),
        label="back",
        group="move",
        scopes=tuple(scope for scope in LISTS if scope not in MAIN),
        rank=4,
        run=lambda c: c.screen.back(),
        palette=False,
        help="Go back to where you came from.",
    ),
)
