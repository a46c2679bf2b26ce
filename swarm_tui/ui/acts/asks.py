"""Answers to what AI agents ask: yes, always yes, or no."""

from swarm_tui.protocol.ask_bodies import AskAnswer, Outcome
from swarm_tui.protocol.rows import AskRow
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.subjects import key, linked
from swarm_tui.ui.desk.actions import AGENTS, TASKS, Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.text import fit, flat

PLACES = (*TASKS, *AGENTS)
"""Where an ask can be answered."""
LINES, WIDTH = 12, 54
"""Most lines of a change that a question shows, and their columns: the box has room for no more on 80."""


def at_hand(context: Context) -> list[AskRow]:
    """Return what the tasks or agents at hand ask, oldest first."""
    asks = context.model.fleet.asks
    if not asks.open:
        return []
    tasks = {task.task_id for task in context.tasks} if context.scope in (*TASKS, "agent") else set()
    agents = {agent.agent_id for agent in context.agents} if context.scope in AGENTS else set()
    found = [row for row in asks.open.values() if row.task_id in tasks or row.agent_id in agents]
    return sorted(found, key=lambda row: row.since)


def why_not(context: Context) -> str | None:
    """Return why nothing at hand can be answered."""
    return linked(context) if at_hand(context) else "nothing here asks anything"


def first(context: Context) -> str | None:
    """Return the id of the ask that an answer would be to."""
    return next((row.ask_id for row in at_hand(context)), None)


def question(context: Context, *, always: bool = False) -> str:
    """Return the question before a yes: who wants what, and the change."""
    row = at_hand(context)[0]
    all_like_it = (
        f" for the rest of {row.task_id}: {flat(row.rule, 200)}" if row.rule else ", this alone: no rule says more"
    )
    until = all_like_it if always else ""
    head = f"Allow {flat(row.agent_id)} {flat(row.tool)} {flat(row.title, 4000)}{until}?"
    lines = [line for line in (row.diff or "").split("\n") if line and not line.startswith(("---", "+++"))]
    shown = [f"  {fit(flat(line, 200), WIDTH).rstrip()}" for line in lines[:LINES]]
    more = f"  and {len(lines) - LINES} more lines: {key(context, 'open')} on the task shows all"
    return "\n".join([head, *shown, *([more] if len(lines) > LINES else [])])


def answer(context: Context, outcome: Outcome) -> None:
    """Answer the oldest of what is asked here."""
    row, *more = at_hand(context)
    context.desk.source.act(Kind.ASK_ANSWER, AskAnswer(outcome=outcome), row.ask_id)
    word = {"allow": "yes", "always": "always yes", "deny": "no"}[outcome]
    rest = f"; {len(more)} more {'asks' if len(more) == 1 else 'ask'}" if more else ""
    context.say(f"said {word} to {flat(row.agent_id)}: {flat(row.tool)} {flat(row.title, 80)}{rest}")
    context.unmark()


ASK_ACTS = (
    Action(
        name="always",
        keys=("A",),
        label="always allow",
        group="tasks",
        scopes=PLACES,
        writes=True,
        run=lambda c: answer(c, "always"),
        can=why_not,
        help="Say yes to what an AI agent asks, and to all that is like it for the rest of its task.",
        confirm=lambda c: question(c, always=True) if at_hand(c) else None,
        about=first,
    ),
)
