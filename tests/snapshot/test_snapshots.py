"""The screens as pictures: calm, trouble, broker lost, empty, the pages, the form, the wall, help."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui import scenes
from tests.ui.fake import Clock
from tests.ui.harness import Seat
from tests.ui.picture import DrawnApp

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 50)

FORM = ("n", "r", "e", "v", "enter", "s", "r", "c")

CASES: dict[str, tuple[str, tuple[int, int], tuple[str, ...]]] = {
    "calm-small": ("calm", SMALL, ()),
    "calm-middle": ("calm", MIDDLE, ()),
    "calm-large": ("calm", LARGE, ()),
    "trouble-small": ("trouble", SMALL, ()),
    "trouble-middle": ("trouble", MIDDLE, ()),
    "trouble-large": ("trouble", LARGE, ()),
    "lost-small": ("lost", SMALL, ()),
    "lost-middle": ("lost", MIDDLE, ()),
    "empty-small": ("empty", SMALL, ()),
    "empty-large": ("empty", LARGE, ()),
    "task-small": ("trouble", SMALL, ("tab", "enter")),
    "task-middle": ("trouble", MIDDLE, ("tab", "enter")),
    "agent-small": ("trouble", SMALL, ("4", "enter")),
    "agent-middle": ("trouble", MIDDLE, ("4", "enter")),
    "form-small": ("calm", SMALL, FORM),
    "form-middle": ("calm", MIDDLE, FORM),
    "wall-small": ("calm", SMALL, ("w",)),
    "wall-large": ("calm", LARGE, ("w",)),
    "help-small": ("calm", SMALL, ("question_mark",)),
    "help-middle": ("calm", MIDDLE, ("question_mark",)),
    "problems-small": ("trouble", SMALL, ("p", "x")),
    "confirm-small": ("calm", SMALL, ("9", "r")),
    "palette-small": ("calm", SMALL, ("ctrl+p", "r", "e", "s")),
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("name", CASES)
def test_snapshot(name: str, snap_compare: Callable[..., bool]) -> None:
    scene, size, keys = CASES[name]
    clock = Clock()
    source = scenes.build(clock)
    app = DrawnApp(source, clock=clock, timers=False)

    async def told(pilot: Pilot[Any]) -> None:
        seat = Seat(app, pilot, source, clock)
        getattr(scenes, scene)(source, clock)
        await seat.settle()
        await seat.pass_(12.0 if scene == "lost" else 1.0)
        await seat.press(*keys)

    assert snap_compare(app, terminal_size=size, run_before=told)
