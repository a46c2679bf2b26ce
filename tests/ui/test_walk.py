"""Each act's key, pressed on each screen of a full and of an empty swarm, does something to be seen or says why not."""

from collections.abc import Callable

import pytest

from swarm_tui.protocol.bodies import Queued
from swarm_tui.protocol.run_bodies import RunEnded, RunNew, RunStarted
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.keymap import types
from swarm_tui.ui.screens.form import FormScreen
from swarm_tui.ui.widgets.prompt import Prompt
from tests.ui.harness import UiDriver, open_ui


def say_a_run(ui: UiDriver) -> None:
    """A run with a step that failed, as the bus would say it."""
    steps = {"a": {"type": "noop"}, "b": {"type": "noop", "needs": ["a"]}, "c": {"type": "noop", "needs": ["b"]}}
    ui.source.say("op", Kind.RUN_NEW, RunNew(run_id="r1", workflow={"workflow": "w", "steps": steps}))
    ui.source.say("tm", Kind.RUN_STARTED, RunStarted(run_id="r1", workflow="w", steps=dict.fromkeys(steps, "noop")))
    ui.source.say("tm", Kind.TASK_QUEUED, Queued(task_id="r1.a", type="noop", run_id="r1"))
    states = {"a": "failed", "b": "skipped", "c": "skipped"}
    ui.source.say("tm", Kind.RUN_ENDED, RunEnded(run_id="r1", workflow="w", outcome="failed", steps=states))
    ui.app.updates.drain()


PANELS = ("agents", "tasks", "stream", "pane")
MOVES = ("down", "up", "top", "bottom", "page_down", "page_up")
PAGES: dict[str, Callable[[UiDriver], object]] = {
    "agent": lambda ui: ui.app.pages.open_agent("testing-01"),
    "task": lambda ui: ui.app.pages.open_task("task_d3adbf"),
    "log": lambda ui: ui.app.main.act("logs"),
    "message": lambda ui: ui.app.pages.open_message(ui.app.model.stream.all[-1]),
    "wall": lambda ui: ui.app.pages.open_wall(),
    "form": lambda ui: ui.app.pages.open_form(),
    "help": lambda ui: ui.app.pages.open_help(ui.app.main.context()),
    "notices": lambda ui: ui.app.pages.open_notices(),
    "changes": lambda ui: ui.app.pages.open_changes(),
    "swarms": lambda ui: ui.app.pages.open_swarms(),
    "shards": lambda ui: ui.app.pages.open_shards(),
    "runs": lambda ui: (say_a_run(ui), ui.app.pages.open_runs()),
    "run": lambda ui: (say_a_run(ui), ui.app.pages.open_run("r1")),
    "refused": lambda ui: ui.app.pages.open_refusals(),
}
#: There is nothing to open, or it is the same page.
NOT_WITHOUT_ANYBODY = ("log", "message", "refused", "help", "notices")
CASES = [
    (scene, place)
    for scene in ("trouble", "empty")
    for place in (*PANELS, *PAGES)
    if scene == "trouble" or place not in NOT_WITHOUT_ANYBODY
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("scene", "place"), CASES)
async def test_every_key_does_something_or_says_why_not(scene: str, place: str) -> None:
    async with open_ui(scene, (80, 24)) as ui:
        left: list[bool] = []
        ui.app.leave = lambda down=False: left.append(down)  # type: ignore[method-assign]
        ui.source.panes.screens["%0"] = [f"line {n}" for n in range(100)]
        ui.source.logs["testing-01"] = [f"2026-01-01T00:00:{n:02d}Z line {n}" for n in range(60)]
        dead: list[str] = []
        for act in ALL:
            if place == "form" and "form" not in act.scopes:
                continue
            await go(ui, place)
            if act.name in MOVES and not can_move(ui):
                continue
            before = seen(ui, left)
            await ui.pilot.press(key_of(ui, act, place))
            ui.app.updates.drain()
            await ui.pilot.pause()
            if seen(ui, left) == before:
                await ui.settle()  # A pane's history is read on a thread.
            if seen(ui, left) == before:
                dead.append(act.name)
        assert dead == []


def key_of(ui: UiDriver, act: Action, place: str) -> str:
    keys = ui.app.registry.keys(act.name)
    return next(key for key in keys if place != "form" or not types(key))


def can_move(ui: UiDriver) -> bool:
    """Whether there is a list whose cursor stands in the middle; at an end of it the place of the bar says enough."""
    assert ui.app.front is not None
    lines = ui.app.front.lines
    return lines is not None and (lines.count() == 0 or lines.count() > (2 if lines.CURSOR else 2 * lines.room))


def seen(ui: UiDriver, left: list[bool]) -> object:
    """All that a person sees or hears, or that leaves the screen, but for the keys in the last line."""
    app, source = ui.app, ui.source
    told = [notice.text for notice in app.notices.all]
    shown = app.notices.current()
    lines = app.front.lines if app.front is not None else None
    at = (lines.cursor, lines.top) if lines is not None else None
    out = len(source.acts), len(source.cleared), len(left)
    return ui.text()[:-1], at, id(app.screen), id(app.focused), told, shown, out


async def go(ui: UiDriver, place: str) -> None:
    """To the place as it is when it was opened, with nothing marked or narrowed, the cursor in the middle."""
    app = ui.app
    for prompt in [each for screen in app.pages.screens() for each in screen.query(Prompt)]:
        if prompt.display:
            prompt.close()
    while app.screen is not app.main:
        app.pop_screen()
        await ui.pilot.pause()
    main = app.main
    main.arranged.zoomed, main.arranged.sizes = False, {}
    main._unmark(main.agents, main.tasks)
    main.set_problems(False)
    main.tasks.set_tab(0)
    if app.model.stream.paused:
        main.narrow_stream(lambda: app.model.stream.pause(False))
    main.focus_panel(place if place in PANELS else "agents")
    main.agents.select("testing-01" if place in PAGES else "api-gateway-01")
    await ui.pilot.pause()
    if place in PAGES:
        PAGES[place](ui)
    await ui.settle()
    assert place == "form" or not isinstance(app.screen, FormScreen)
    app.notices.clear()
    if app.front is not None and (lines := app.front.lines) is not None and place != "form":
        lines.go(lines.count() // 2)
        lines.tail = False
    await ui.pilot.pause()
