"""Acts on the whole swarm, and on the screen as a program."""

from swarm_tui.protocol.bodies import Halt
from swarm_tui.protocol.shards import whole_of
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.subjects import key, linked, one_agent
from swarm_tui.ui.desk.actions import AGENTS, LISTS, TASKS, Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.undo import FRESH


def halt(context: Context) -> None:
    if context.model.fleet.halted is not None:
        context.desk.source.clear(Kind.HALT)
        context.desk.undo.forget("halt")
        context.say("asked to resume: dispatch goes on")
    else:
        _halt(context)
        context.desk.undo.push("halt", lambda: context.desk.source.clear(Kind.HALT))
        context.say(f"halt sent: dispatch stops and all that runs is cancelled; {key(context, 'halt')} lifts it")


def _halt(context: Context) -> None:
    context.desk.source.act(
        Kind.HALT, Halt(reason=f"halted by {context.desk.source.facts.user or 'an operator'} from the screen")
    )


def _halt_question(context: Context) -> str | None:
    if context.model.fleet.halted is not None:
        return "Lift the halt? Dispatch goes on."
    running = context.model.running()
    if not running:
        return "Halt the swarm? Dispatch stops; nothing runs now."
    return f"Halt the swarm? Dispatch stops and {running} running task{'' if running == 1 else 's'} will be cancelled."


def _attach(context: Context) -> None:
    if context.agent is not None:
        context.desk.attaching.attach(context.agent)


def _why_no_shards(context: Context) -> str | None:
    source = context.desk.source
    if source.neighbours is None:
        return "this is a recording: there is no other shard"
    if whole_of(source.facts.swarm) is None:
        return f"{source.facts.swarm} is no shard: `policy.shards` of its layout divides a swarm"
    return None


SWARM_ACTS = (
    Action(
        name="publish",
        keys=("n",),
        label="new",
        group="swarm",
        writes=True,
        order=False,
        rank=7,
        run=lambda c: c.desk.pages.open_form(),
        help="Open the form that publishes a task.",
    ),
    Action(
        name="halt",
        keys=("H",),
        label="halt",
        group="swarm",
        writes=True,
        can=linked,
        run=halt,
        now=lambda c: None if c.model.fleet.halted is None else "lift the halt",
        asked_for=lambda c: c.model.fleet.halted is not None,
        confirm=_halt_question,
        about=lambda c: c.model.fleet.halted is not None,
        yes=lambda c: "halt" if c.model.fleet.halted is None else "lift it",
        help="Stop dispatch and cancel everything that runs; once more lifts it. It outlives a restart.",
    ),
    Action(
        name="undo",
        keys=("u",),
        label="undo",
        group="swarm",
        writes=True,
        rank=9,
        run=lambda c: c.desk.undo.pop(c.say),
        can=lambda c: c.desk.undo.why_not(),
        confirm=lambda c: c.desk.undo.question(),
        now=lambda c: c.desk.undo.label(),
        asked_for=lambda c: c.desk.undo.label() is not None,
        help=f"Take back the last act that can be. One of {FRESH / 60:g} minutes ago, or before others that cannot be, "
        "only after a yes.",
    ),
    Action(
        name="attach",
        keys=("a",),
        label="attach",
        group="agents",
        rank=20,
        writes=True,
        order=False,
        scopes=(*AGENTS, *TASKS),
        can=lambda c: one_agent(c) or c.desk.attaching.why_not(c.agent),
        run=_attach,
        help="Turn this terminal into the agent's pane; detaching (prefix d, as its last line says; the prefix twice "
        "inside another tmux) comes back here.",
    ),
    Action(
        name="swarms",
        keys=("S",),
        label="swarms",
        group="swarm",
        can=lambda c: None if c.desk.source.neighbours is not None else "this is a recording: there is no other swarm",
        run=lambda c: c.desk.pages.open_swarms(),
        help="All swarms that run here and on this broker, with their troubles; to open one turns the screen to it, as "
        "`:swarm NAME` does. Once more comes back.",
    ),
    Action(
        name="shards",
        keys=("V",),
        label="shards",
        group="swarm",
        can=_why_no_shards,
        run=lambda c: c.desk.pages.open_shards(),
        help="All shards of the swarm that this one is a shard of: who leads each, its agents, tasks and troubles, and "
        "the sums; to open one turns the screen to it. Once more comes back.",
    ),
    Action(
        name="leave",
        keys=("q", "ctrl+q"),
        label="leave",
        group="swarm",
        rank=90,
        run=lambda c: c.desk.leave(),
        help="Close the screen. The swarm runs on.",
    ),
    Action(
        name="bring_down",
        keys=("Q",),
        label="bring down",
        group="swarm",
        writes=True,
        order=False,
        run=lambda c: c.desk.leave(down=True),
        can=lambda c: c.desk.why_not_down(),
        confirm=lambda c: f"Leave, and bring all of {c.desk.source.facts.swarm} down?",
        help="Close the screen and bring the swarm down: agents drain first.",
    ),
    Action(
        name="palette",
        keys=("ctrl+p",),
        label="palette",
        group="screen",
        scopes=LISTS,
        rank=80,
        palette=False,
        run=lambda c: c.desk.pages.open_palette(),
        help="Find any act, agent or task by typing a part of it.",
    ),
    Action(
        name="help",
        keys=("question_mark", "f1"),
        label="help",
        group="screen",
        rank=95,
        scopes=(*LISTS, "form"),
        run=lambda c: c.desk.pages.open_help(c),
        help="What works here and now, and what the words mean; once more comes back.",
    ),
    Action(
        name="theme",
        keys=("ctrl+t",),
        label="next theme",
        group="screen",
        run=lambda c: c.desk.next_theme(),
        help="Change the colours: dark, light, high-contrast, colour-blind, ansi.",
    ),
    Action(
        name="notices",
        keys=("I",),
        label="notices",
        group="screen",
        run=lambda c: c.desk.pages.open_notices(),
        help="All that the screen has told, with its time; once more comes back.",
    ),
)
