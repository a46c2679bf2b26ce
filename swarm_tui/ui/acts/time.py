"""Acts that move through time: back to how all was, and to now again."""

from swarm_tui.ui.desk.actions import LISTS, Action, Can
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.text import clock


def _travels(context: Context) -> str | None:
    told = context.desk.registry.told("time")
    return None if context.desk.time.on else f"this is now: {told} goes back in time first"


def _turn(context: Context) -> None:
    time = context.desk.time
    time.leave() if time.on else time.enter()


def _marks(context: Context) -> str | None:
    return _travels(context) or ("that moment is on its way" if context.model.moment is None else None)


def _mark(context: Context) -> None:
    time, told = context.desk.time, context.desk.registry.told
    time.mark()
    if time.marked is None:
        context.say("no moment is marked")
    else:
        context.say(f"{clock(time.marked)} is marked: {told('changes')} shows what changed between it and what shows")


def _compares(context: Context) -> str | None:
    told = context.desk.registry.told
    if context.desk.time.between() is not None:
        return None
    return f"nothing to compare with now: {told('time')} goes back in time, {told('mark_moment')} marks a moment there"


_ON: Can = lambda context: "now" if context.desk.time.on else None  # noqa: E731

TIME_ACTS = (
    Action(
        name="time",
        keys=("T",),
        label="time",
        group="time",
        scopes=LISTS,
        rank=27,
        now=_ON,
        can=lambda c: c.desk.time.why_not(),
        run=_turn,
        help="Turn the screen back to any moment of the record; once more shows what is now.",
    ),
    Action(
        name="now",
        keys=("L",),
        label="live",
        group="time",
        scopes=LISTS,
        can=_travels,
        asked_for=lambda c: c.desk.time.on,
        run=lambda c: c.desk.time.leave(),
        help="Back in time: show what is now again.",
    ),
    Action(
        name="event_before",
        keys=("left_curly_bracket",),
        label="event before",
        group="time",
        scopes=LISTS,
        can=_travels,
        run=lambda c: c.desk.time.step(forward=False),
        help="Back in time: to the event before.",
    ),
    Action(
        name="next_event",
        keys=("right_curly_bracket",),
        label="next event",
        group="time",
        scopes=LISTS,
        can=_travels,
        run=lambda c: c.desk.time.step(forward=True),
        help="Back in time: to the next event.",
    ),
    Action(
        name="minute_before",
        keys=("left_parenthesis",),
        label="minute before",
        group="time",
        scopes=LISTS,
        can=_travels,
        run=lambda c: c.desk.time.minutes(-1),
        help="Back in time: a minute earlier.",
    ),
    Action(
        name="next_minute",
        keys=("right_parenthesis",),
        label="next minute",
        group="time",
        scopes=LISTS,
        can=_travels,
        run=lambda c: c.desk.time.minutes(1),
        help="Back in time: a minute later.",
    ),
    Action(
        name="mark_moment",
        keys=("m",),
        label="mark",
        group="time",
        scopes=LISTS,
        can=_marks,
        run=_mark,
        help="Back in time: mark the moment, to compare another with it, or now; once more takes the mark away.",
    ),
    Action(
        name="changes",
        keys=("C",),
        label="changes",
        group="time",
        scopes=LISTS,
        can=_compares,
        run=lambda c: c.desk.pages.open_changes(),
        help="What changed between the marked moment and the one that shows, or now: agents, tasks, runs, asks, "
        "versions, layout. Without a mark, since the moment that shows; once more comes back.",
    ),
    Action(
        name="whole_record",
        keys=("0",),
        label="whole record",
        group="time",
        scopes=LISTS,
        can=_travels,
        run=lambda c: c.desk.time.widen(),
        help="Back in time: let the line of time be all that is recorded, or an hour again. 1 to 9 jump to its tenths.",
    ),
)
