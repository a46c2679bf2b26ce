"""The `:` line: an act by its name, a panel, a filter, an agent's or a task's id."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm_tui.ui.app import SwarmApp


def run_command(app: "SwarmApp", text: str) -> None:
    """Do what was typed, or say what could have been."""
    word, _, rest = text.strip().partition(" ")
    if not word or app.front is None:
        return
    name = word.lower().replace("-", "_")
    model = app.model
    action = app.registry.actions.get({"q": "leave", "quit": "leave", "new": "publish"}.get(name, name))
    if action is not None:
        if rest and not _select(app, rest):
            app.say(f"there is no agent and no task {rest!r}", bad=True)
            return
        app.perform(action, app.front.context())
    elif name in ("agents", "tasks", "stream", "pane"):
        app.to_main()
        app.main.focus_panel(name)
    elif word in model.fleet.agents:
        app.open_agent(word)
    elif word in model.fleet.tasks:
        app.open_task(word)
    else:
        near = [known for known in app.registry.actions if known.startswith(name[:3])]
        hint = f"; did you mean {', '.join(near[:4])}?" if near else ": ? lists the acts"
        app.say(f"no act, agent or task is named {word!r}{hint}", bad=True)


def _select(app: "SwarmApp", name: str) -> bool:
    name = name.strip()
    if name in app.model.fleet.agents:
        app.to_main()
        app.main.focus_panel("agents")
        return app.main.agents.select(name)
    if name in app.model.fleet.tasks:
        app.to_main()
        app.main.focus_panel("tasks")
        return app.main.tasks.select(name)
    return False
