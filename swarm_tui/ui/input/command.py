"""The `:` line: an act by its name, with the agents or tasks it is to take, a panel, a filter, a theme, or an id."""

import shlex
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.ui.acts.agents import drains, would_start
from swarm_tui.ui.acts.filters import apply_filter, keep_filter
from swarm_tui.ui.acts.subjects import names
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.capabilities import Groupable, Searchable, Sortable, capability
from swarm_tui.ui.desk.context import Context, Named
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.look import theme as themes
from swarm_tui.ui.look.words import WORDS
from swarm_tui.ui.model.draft import fields_of

OTHER_NAMES = {"q": "leave", "quit": "leave", "new": "publish", "down": "bring_down", "swarm": "swarms"}
_EXITS = frozenset({"leave", "bring_down"})
PANELS = ("agents", "tasks", "stream", "pane")


class Toggle(Struct, frozen=True):
    """The act that goes this way as long as `holds`; `else_` says what is so otherwise."""

    act: str
    holds: Callable[[Context], bool]
    else_: Callable[[Context], str]

    def why_not(self, context: Context) -> str | None:
        """Return why the act would go the other way."""
        return None if self.holds(context) else self.else_(context)


def _halted(context: Context) -> bool:
    return context.model.fleet.halted is not None


def _who(context: Context) -> str:
    return f"{names(context.agents)} {'is' if len(context.agents) == 1 else 'are'}"


TOGGLES = {
    "start": Toggle("start_stop", would_start, lambda c: f"{_who(c)} not down"),
    "stop": Toggle("start_stop", lambda c: not would_start(c), lambda c: f"{_who(c)} down already"),
    "drain": Toggle("drain", lambda c: not drains(c), lambda c: f"{_who(c)} draining already"),
    "undrain": Toggle("drain", drains, lambda c: f"{_who(c)} not draining"),
    "halt": Toggle("halt", lambda c: not _halted(c), lambda _: "the swarm is halted already"),
    "resume": Toggle("halt", _halted, lambda _: "the swarm is not halted"),
}


def act_name(word: str) -> str:
    """Return the name of the act that a word of the line means."""
    name = word.lower().replace("-", "_")
    way = TOGGLES.get(name)
    return way.act if way else OTHER_NAMES.get(name, name)


def run_command(desk: Desk, text: str) -> None:
    """Do what was typed, or say what could have been."""
    word, _, rest = text.strip().partition(" ")
    if not word or desk.front is None:
        return
    name, rest = word.lower().replace("-", "_"), rest.strip()
    action = desk.registry.actions.get(act_name(name))
    if rest and (takes := TAKES.get(act_name(name))) is not None:
        takes(desk, rest)
    elif action is not None and action.palette:
        _act(desk, word, action, rest)
    elif rest:
        _unknown(desk, word, name)
    elif name in PANELS:
        desk.pages.to_main()
        desk.main.focus_panel(name)
    elif not _open(desk, word, quiet=True):
        _unknown(desk, word, name)


def _act(desk: Desk, word: str, action: Action, rest: str) -> None:
    context = _context(desk, action, rest)
    if context is None:
        return
    way = TOGGLES.get(word.lower())
    if way is not None and action.why_not(context) is None and (reason := way.why_not(context)):
        desk.say(reason, bad=True)
    else:
        desk.perform(action, context)


def _context(desk: Desk, action: Action, rest: str) -> Context | None:
    """Return what the act is about: exactly those named, else what is at hand; None when that was said to be wrong."""
    assert desk.front is not None
    fleet = desk.model.fleet
    names = _of_roles(desk, rest.split()) if action.group == "agents" else rest.split()
    if not names:
        return desk.front.context()
    if not (action.group in ("agents", "tasks") or action.name in ("logs", "seen")):
        desk.say(f"{action.label} is about no agent and no task: leave {rest!r} out", bad=True)
        return None
    for scope, known in (("agents", fleet.agents.keys()), ("tasks", fleet.tasks.keys())):
        if known >= set(names):
            return Named(desk, desk.front, scope, names)
    lost = next((name for name in names if name not in fleet.agents and name not in fleet.tasks), None)
    desk.say(f"there is no agent and no task {lost!r}" if lost else "name agents or tasks, not both", bad=True)
    return None


def _of_roles(desk: Desk, names: list[str]) -> list[str]:
    """Return the names, in the place of a role all agents that have it."""
    agents = desk.model.fleet.agents
    of_role = {name: [each for each in sorted(agents) if agents[each].role == name] for name in names}
    found = (each for name in names for each in (of_role[name] if of_role[name] and name not in agents else [name]))
    return list(dict.fromkeys(found))


def _filter(desk: Desk, text: str) -> None:
    searchable = capability(desk.front, Searchable)
    if searchable is None or not searchable.set_filter(text):
        desk.say(Searchable.LACKS, bad=True)


def _keep_filter(desk: Desk, name: str) -> None:
    assert desk.front is not None
    context = desk.front.context()
    if (reason := desk.registry.actions["keep_filter"].why_not(context)) is not None:
        desk.say(reason, bad=True)
    else:
        keep_filter(desk, context.scope, name)


def _theme(desk: Desk, name: str) -> None:
    if name in themes.NAMES:
        desk.set_theme(name)
    else:
        desk.say(f"there is no theme {name!r}: {', '.join(themes.NAMES)}", bad=True)


def _publish(desk: Desk, text: str) -> None:
    """Open the form with a type and the fields that were given: `TYPE FIELD=VALUE …`."""
    assert desk.front is not None
    entry = _entry(desk, text)
    reason = desk.registry.actions["publish"].why_not(desk.front.context())
    if isinstance(entry, str) or reason is not None:
        desk.say(reason or str(entry), bad=True)
    else:
        desk.pages.open_form(entry)


def _entry(desk: Desk, text: str) -> dict[str, Any] | str:
    """Return what the form begins from; why it cannot, as a sentence."""
    try:
        words = [word for word in shlex.split(text) if word != "-p"]
    except ValueError as error:
        return f"{error}: close the quotes"
    if not words:
        return "which type? :publish TYPE FIELD=VALUE …"
    name, *given = words
    if wrong := next((word for word in given if "=" not in word), None):
        return f"{wrong!r} gives no field a value: write FIELD=VALUE"
    values = dict(word.split("=", 1) for word in given)
    known = {each.name: each for each in desk.source.facts.types}.get(name)
    fields = [each.name for each in fields_of(known.schema)] if known is not None else []
    if not fields:
        return {"type": name, "payload": values}
    if lost := next((field for field in values if field not in fields), None):
        return f"{name} has no field {lost!r}: it has {', '.join(fields)}"
    return {"type": name, "values": values}


def _sort(desk: Desk, column: str) -> None:
    sortable = capability(desk.front, Sortable)
    if (reason := Sortable.LACKS if sortable is None else sortable.sort(column)) is not None:
        desk.say(reason, bad=True)


def _group(desk: Desk, name: str) -> None:
    groupable = capability(desk.front, Groupable)
    if (reason := Groupable.LACKS if groupable is None else groupable.group(name)) is not None:
        desk.say(reason, bad=True)


def _open(desk: Desk, name: str, *, quiet: bool = False) -> bool:
    """Open the page of an agent or a task; False when there is none of that name."""
    if name in desk.model.fleet.agents:
        desk.pages.open_agent(name)
    elif name in desk.model.fleet.tasks:
        desk.pages.open_task(name)
    else:
        if not quiet:
            desk.say(f"there is no agent and no task {name!r}", bad=True)
        return False
    return True


def _swarm(desk: Desk, name: str) -> None:
    """Turn the screen to another swarm, or say that there is none of that name."""
    neighbours, shown = desk.source.neighbours, desk.source.facts.swarm
    if neighbours is None or name == shown:
        desk.say("this is a recording: there is no other swarm" if neighbours is None else f"this is {shown}", bad=True)
        return

    def found(there: bool) -> None:
        if there:
            desk.open_swarm(name)
        else:
            known = ", ".join(each for each in neighbours.names() if each != shown) or "no other"
            desk.say(f"no swarm {name!r} is heard of here or on this broker: there is {known}", bad=True)

    desk.say(f"looking for the swarm {name}")
    desk.in_thread(lambda: neighbours.find(name), found)


#: What takes the rest of the line as it stands.
TAKES: dict[str, Callable[[Desk, str], object]] = {
    "filter": _filter,
    "find": _filter,
    "filters": apply_filter,
    "keep_filter": _keep_filter,
    "publish": _publish,
    "theme": _theme,
    "sort": _sort,
    "group": _group,
    "swarms": _swarm,
    "open": _open,
}


def _explained(word: str) -> bool:
    """Tell whether help says what the word means."""
    low = word.lower()
    return low in WORDS or any(low == state.value for state in (*AgentState, *TaskState))


def _unknown(desk: Desk, word: str, name: str) -> None:
    key = desk.registry.told("help")
    if _explained(word):
        desk.say(f"{word} is a word, no act: {key} explains it, at the end of help", bad=True)
        return
    names = [*(known for known, act in desk.registry.actions.items() if act.palette), *TOGGLES]
    near = [
        known
        for known in dict.fromkeys(names)
        if known.startswith(name if known in _EXITS else name[:3])  # Nobody is to leave by a slip.
    ]
    hint = f"; did you mean {', '.join(near[:4])}?" if near else f": {key} lists the acts"
    desk.say(f"no act, agent or task is named {word!r}{hint}", bad=True)
