"""Acts on filters that are kept by name: keep, apply, forget."""

from swarm_tui.ui.desk.actions import LISTS, Action
from swarm_tui.ui.desk.capabilities import Searchable, capability
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.desk import Desk

_FILTERED = ("agents", "tasks", "stream")


def keep_filter(desk: Desk, panel: str, name: str) -> None:
    """Keep the panel's filter under a name, and say so."""
    text, name = desk.state.filters.get(panel, ""), name.strip()
    if not name:
        return
    before = desk.filters.read()[0].get(name)
    if (reason := desk.filters.keep(name, panel, text)) is not None:
        desk.say(reason, bad=True)
        return
    instead = "" if before is None or before.text == text else f" instead of /{before.text}"
    desk.say(f"kept as {name}: /{text} of the {panel}{instead}; {desk.registry.told('filters')} lists all")


def apply_filter(desk: Desk, name: str) -> None:
    """Narrow the panel that it is of by a kept filter, and go there; or say that there is none of that name."""
    found, mistakes = desk.filters.read()
    if (kept := found.get(name)) is None:
        known = f": {', '.join(sorted(found)[:8])}" if found else f": {desk.registry.told('keep_filter')} keeps one"
        desk.say(mistakes[0] if mistakes else f"no filter is kept as {name!r}{known}", bad=True)
        return
    desk.pages.to_main()
    if desk.main.only_problems:
        desk.main.set_problems(False)
    desk.main.focus_panel(kept.panel)
    if (panel := capability(desk.front, Searchable)) is not None:
        panel.set_filter(kept.text)
    desk.say(f"{name}: /{kept.text} of the {kept.panel}")


def _keeps(context: Context) -> str | None:
    told = context.desk.registry.told("filter")
    return None if context.desk.state.filters.get(context.scope) else f"nothing to keep: {told} filters first"


def _keep(context: Context) -> None:
    panel = context.scope
    context.screen.ask(f"keep the {panel}' filter as:", "", lambda name: keep_filter(context.desk, panel, name))


FILTER_ACTS = (
    Action(
        name="keep_filter",
        keys=("K",),
        label="keep filter",
        group="view",
        scopes=_FILTERED,
        can=_keeps,
        run=_keep,
        help="Keep the panel's filter under a name, for every swarm; `:keep_filter NAME` too.",
    ),
    Action(
        name="filters",
        keys=("F",),
        label="filters",
        group="view",
        scopes=tuple(scope for scope in LISTS if scope != "run"),
        run=lambda c: c.desk.pages.open_filters(),
        help="The filters that are kept by name: apply one, or forget it; `:filters NAME` applies one.",
    ),
)
