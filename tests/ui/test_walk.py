"""Each act's key, pressed on each screen of a full and of an empty swarm, does something to be seen or says why not."""

from collections.abc import Callable

import pytest

from swarm_tui.ui.acts import ALL
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.keymap import types
from swarm_tui.ui.screens.form import FormScreen
from swarm_tui.ui.widgets.prompt import Prompt
from tests.ui.harness import Seat, seated

PANELS = ("agents", "tasks", "stream", "pane")
MOVES = ("down", "up", "top", "bottom", "page_down", "page_up")
PAGES: dict[str, Callable[[Seat], object]] = {
    "agent": lambda seat: seat.app.pages.open_agent("testing-01"),
    "task": lambda seat: seat.app.pages.open_task("task_d3adbf"),
    "log": lambda seat: seat.app.main.act("logs"),
    "message": lambda seat: seat.app.pages.open_message(seat.app.model.stream.all[-1]),
    "wall": lambda seat: seat.app.pages.open_wall(),
    "form": lambda seat: seat.app.pages.open_form(),
    "help": lambda seat: seat.app.pages.open_help("agents"),
    "notices": lambda seat: seat.app.pages.open_notices(),
    "refused": lambda seat: seat.app.pages.open_refusals(),
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
    async with seated(scene, (80, 24)) as seat:
        left: list[bool] = []
        seat.app.leave = lambda down=False: left.append(down)  # type: ignore[method-assign]
        seat.source.panes.screens["%0"] = [f"line {n}" for n in range(100)]
        seat.source.logs["testing-01"] = [f"2026-01-01T00:00:{n:02d}Z line {n}" for n in range(60)]
        dead: list[str] = []
        for act in ALL:
            if place == "form" and "form" not in act.scopes:
                continue
            await go(seat, place)
            if act.name in MOVES and not can_move(seat):
                continue
            before = seen(seat, left)
            await seat.pilot.press(key_of(seat, act, place))
            seat.app.updates.drain()
            await seat.pilot.pause()
            if seen(seat, left) == before:
                await seat.settle()  # A pane's history is read on a thread.
            if seen(seat, left) == before:
                dead.append(act.name)
        assert dead == []


def key_of(seat: Seat, act: Action, place: str) -> str:
    keys = seat.app.registry.keys(act.name)
    return next(key for key in keys if place != "form" or not types(key))


def can_move(seat: Seat) -> bool:
    """Whether there is a list whose cursor stands in the middle; at an end of it the place of the bar says enough."""
    assert seat.app.front is not None
    lines = seat.app.front.lines
    return lines is not None and (lines.count() == 0 or lines.count() > (2 if lines.CURSOR else 2 * lines.room))


def seen(seat: Seat, left: list[bool]) -> object:
    """All that a person sees or hears, or that leaves the screen, but for the keys in the last line."""
    app, source = seat.app, seat.source
    told = [notice.text for notice in app.notices.all]
    shown = app.notices.current()
    lines = app.front.lines if app.front is not None else None
    at = (lines.cursor, lines.top) if lines is not None else None
    out = len(source.acts), len(source.cleared), len(left)
    return seat.text()[:-1], at, id(app.screen), id(app.focused), told, shown, out


async def go(seat: Seat, place: str) -> None:
    """To the place as it is when it was opened, with nothing marked or narrowed, the cursor in the middle."""
    app = seat.app
    for prompt in [each for screen in app.pages.screens() for each in screen.query(Prompt)]:
        if prompt.display:
            prompt.close()
    while app.screen is not app.main:
        app.pop_screen()
        await seat.pilot.pause()
    main = app.main
    main.arranged.zoomed, main.arranged.sizes = False, {}
    main._unmark(main.agents, main.tasks)
    main.set_problems(False)
    main.tasks.set_tab(0)
    if app.model.stream.paused:
        main.narrow_stream(lambda: app.model.stream.pause(False))
    main.focus_panel(place if place in PANELS else "agents")
    main.agents.select("testing-01" if place in PAGES else "api-gateway-01")
    await seat.pilot.pause()
    if place in PAGES:
        PAGES[place](seat)
    await seat.settle()
    assert place == "form" or not isinstance(app.screen, FormScreen)
    app.notices.clear()
    if app.front is not None and (lines := app.front.lines) is not None and place != "form":
        lines.go(lines.count() // 2)
        lines.tail = False
    await seat.pilot.pause()
