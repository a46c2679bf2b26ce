"""The `:` line: an act by its name, with the agents or tasks it is to take, a panel, a filter, a theme, or an id."""

from typing import TYPE_CHECKING

from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.ui.acts.toggles import TOGGLES
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.context import Context, Named
from swarm_tui.ui.look import theme as themes
from swarm_tui.ui.look.words import WORDS

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp

_OTHER_NAMES = {"q": "leave", "quit": "leave", "new": "publish", "down": "bring_down"}
_EXITS = frozenset({"leave", "bring_down"})
_PANELS = ("agents", "tasks", "stream", "pane")


def run_command(app: "SwarmApp", text: str) -> None:
    """Do what was typed, or say what could have been."""
    word, _, rest = text.strip().partition(" ")
    if not word or app.front is None:
        return
    name, rest = word.lower().replace("-", "_"), rest.strip()
    way = TOGGLES.get(name)
    action = app.registry.actions.get(way.act if way else _OTHER_NAMES.get(name, name))
    if name in ("filter", "find") and rest:
        _filter(app, rest)
    elif name == "theme" and rest:
        _theme(app, rest)
    elif name == "open" and rest:
        _open(app, rest)
    elif action is not None and action.palette:
        _act(app, word, action, rest)
    elif rest:
        _unknown(app, word, name)
    elif name in _PANELS:
        app.to_main()
        app.main.focus_panel(name)
    elif not _open(app, word, quiet=True):
        _unknown(app, word, name)


def _act(app: "SwarmApp", word: str, action: Action, rest: str) -> None:
    context = _context(app, action, rest)
    if context is None:
        return
    way = TOGGLES.get(word.lower())
    if way is not None and action.why_not(context) is None and (reason := way.why_not(context)):
        app.say(reason, bad=True)
    else:
        app.perform(action, context)


def _context(app: "SwarmApp", action: Action, rest: str) -> Context | None:
    """What the act is about: exactly those named, else what is at hand; None when that was said to be wrong."""
    assert app.front is not None
    names, fleet = rest.split(), app.model.fleet
    if not names:
        return app.front.context()
    if not (action.group in ("agents", "tasks") or action.name in ("logs", "seen")):
        app.say(f"{action.label} is about no agent and no task: leave {rest!r} out", bad=True)
        return None
    for scope, known in (("agents", fleet.agents.keys()), ("tasks", fleet.tasks.keys())):
        if known >= set(names):
            return Named(app, app.front, scope, names)
    lost = next((name for name in names if name not in fleet.agents and name not in fleet.tasks), None)
    app.say(f"there is no agent and no task {lost!r}" if lost else "name agents or tasks, not both", bad=True)
    return None


def _filter(app: "SwarmApp", text: str) -> None:
    if app.front is None or not app.front.set_filter(text):
        app.say("there is no list here to filter", bad=True)


def _theme(app: "SwarmApp", name: str) -> None:
    if name in themes.NAMES:
        app.set_theme(name)
    else:
        app.say(f"there is no theme {name!r}: {', '.join(themes.NAMES)}", bad=True)


def _open(app: "SwarmApp", name: str, *, quiet: bool = False) -> bool:
    """Open the page of an agent or a task; False when there is none of that name."""
    if name in app.model.fleet.agents:
        app.open_agent(name)
    elif name in app.model.fleet.tasks:
        app.open_task(name)
    else:
        if not quiet:
            app.say(f"there is no agent and no task {name!r}", bad=True)
        return False
    return True


def _explained(word: str) -> bool:
    """Whether help says what the word means."""
    low = word.lower()
    return low in WORDS or any(low == state.value for state in (*AgentState, *TaskState))


def _unknown(app: "SwarmApp", word: str, name: str) -> None:
    key = app.registry.told("help")
    if _explained(word):
        app.say(f"{word} is a word, no act: {key} explains it, at the end of help", bad=True)
        return
    names = [*(known for known, act in app.registry.actions.items() if act.palette), *TOGGLES]
    near = [
        known
        for known in dict.fromkeys(names)
        if known.startswith(name if known in _EXITS else name[:3])  # Nobody is to leave by a slip.
    ]
    hint = f"; did you mean {', '.join(near[:4])}?" if near else f": {key} lists the acts"
    app.say(f"no act, agent or task is named {word!r}{hint}", bad=True)
