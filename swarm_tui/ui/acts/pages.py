"""Acts that open something: a page, a log, the wall."""

from typing import Any

from swarm_tui.ui.acts.subjects import not_there, one_agent, rows, shown
from swarm_tui.ui.desk.actions import AGENTS, LISTS, TASKS, Action, ask, use
from swarm_tui.ui.desk.capabilities import Copies, Opens, Sends, capability
from swarm_tui.ui.desk.context import Context


def _can_log(context: Context) -> str | None:
    return not_there("logs")(context) or one_agent(context)


def _can_copy(context: Context) -> str | None:
    return shown(context) or rows(context)


def _begin(context: Context, entry: dict[str, Any] | None) -> None:
    if (screen := capability(context.screen, Sends)) is not None:
        screen.begin(entry)


PAGE_ACTS = (
    Action(
        name="open",
        keys=("enter",),
        label="open",
        now=ask(Opens, lambda screen: screen.entering()),
        group="pages",
        scopes=tuple(scope for scope in LISTS if scope != "pane"),
        rank=5,
        can=ask(Opens, lambda screen: screen.why_not_open()),
        needs=Opens,
        run=use(Opens, lambda screen: screen.enter()),
        help="Open its page: an agent's, a task's, a message's; in the wall, zoom. On a page that was searched, go on "
        "to the next line found.",
    ),
    Action(
        name="logs",
        keys=("l",),
        label="logs",
        group="pages",
        scopes=(*AGENTS, *TASKS),
        rank=8,
        can=_can_log,
        run=lambda c: c.desk.pages.open_log(c.agent.agent_id) if c.agent is not None else None,
        help="The agent's log, kept over its restarts.",
    ),
    Action(
        name="wall",
        keys=("w",),
        label="wall",
        group="pages",
        rank=35,
        run=lambda c: c.desk.pages.open_wall(),
        help="All panes at once, live; once more comes back.",
    ),
    Action(
        name="refused",
        keys=("E",),
        label="refused",
        group="pages",
        can=lambda c: None if c.model.fleet.counts.refused else "no message was refused since this screen opened",
        run=lambda c: c.desk.pages.open_refusals(),
        help="The messages that were refused since the screen opened, each with its topic and the reason; once more "
        "comes back.",
    ),
    Action(
        name="copy",
        keys=("Y",),
        label="copy",
        group="view",
        scopes=LISTS,
        can=_can_copy,
        asked_for=lambda c: isinstance(c.screen, Copies) and c.screen.copies(),
        needs=Copies,
        run=use(Copies, lambda screen: screen.copy()),
        help="Copy the id, or what the line says, to the clipboard of your terminal; on a message's first line and "
        "its heading, the whole message. The mouse copies what it is dragged over, its right button what is under it.",
    ),
    Action(
        name="send",
        keys=("ctrl+s",),
        label="send",
        group="form",
        scopes=("form",),
        rank=1,
        palette=False,
        needs=Sends,
        run=use(Sends, lambda screen: screen.send()),
        help="Publish the task.",
    ),
    Action(
        name="open_sent",
        keys=("ctrl+g",),
        label="open the task",
        group="form",
        scopes=("form",),
        rank=1,
        palette=False,
        can=ask(Opens, lambda screen: screen.why_not_open()),
        needs=Opens,
        run=use(Opens, lambda screen: screen.open()),
        help="Open the page of the task that was sent from here; back from there is here.",
    ),
    Action(
        name="raw",
        keys=("ctrl+r",),
        label="raw/fields",
        group="form",
        scopes=("form",),
        rank=2,
        palette=False,
        needs=Sends,
        run=use(Sends, lambda screen: screen.raw()),
        help="Write the payload as JSON or YAML, or come back to the fields.",
    ),
    Action(
        name="template",
        keys=("ctrl+o",),
        label="templates",
        group="form",
        scopes=("form",),
        rank=3,
        palette=False,
        needs=Sends,
        run=use(Sends, lambda screen: screen.templates()),
        help="Take a template of the layout, or one of the last tasks sent.",
    ),
    Action(
        name="draft",
        keys=("ctrl+b",),
        label="draft",
        group="form",
        scopes=("form",),
        rank=5,
        palette=False,
        needs=Sends,
        can=lambda c: None if c.desk.state.drafts else "there is no draft: what was begun and not sent is one",
        run=lambda c: _begin(c, c.desk.state.drafts[0]),
        help="Take up what was begun last and not sent; older ones are among the templates.",
    ),
    Action(
        name="empty",
        keys=("ctrl+n",),
        label="empty",
        group="form",
        scopes=("form",),
        rank=6,
        palette=False,
        needs=Sends,
        run=lambda c: _begin(c, None),
        help="Empty the form; what was in it is a draft then.",
    ),
    Action(
        name="close",
        keys=("escape",),
        label="close",
        group="form",
        scopes=("form",),
        rank=4,
        palette=False,
        run=lambda c: c.screen.back(),
        help="Close the form; what is in it and was not sent is a draft for the next time.",
    ),
)
