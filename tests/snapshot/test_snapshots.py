"""The screens as pictures: calm, trouble, broker lost, empty, the pages, the form, the wall, help."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui import scenes
from tests.ui.fake import Clock
from tests.ui.harness import UiDriver
from tests.ui.picture import DrawnApp

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}

FORM = ("n", "r", "e", "v", "enter", "s", "r", "c")

SCENES: dict[str, tuple[str, tuple[str, ...]]] = {
    "calm": ("calm", ()),
    "trouble": ("trouble", ()),
    "lost": ("lost", ()),
    "empty": ("empty", ()),
    "task": ("trouble", ("tab", "enter")),
    "agent": ("trouble", ("4", "enter")),
    "form": ("calm", FORM),
    "wall": ("calm", ("w",)),
    "help": ("calm", ("question_mark",)),
}
SMALL_ONLY: dict[str, tuple[str, tuple[str, ...]]] = {
    "problems": ("trouble", ("p", "x")),
    "confirm": ("calm", ("9", "r")),
    "palette": ("calm", ("ctrl+p", "r", "e", "s")),
}
CASES = {
    **{f"{name}-{size}": (*scene, SIZES[size]) for name, scene in SCENES.items() for size in SIZES},
    **{f"{name}-small": (*scene, SIZES["small"]) for name, scene in SMALL_ONLY.items()},
}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("name", CASES)
def test_snapshot(name: str, snap_compare: Callable[..., bool]) -> None:
    scene, keys, size = CASES[name]
    clock = Clock()
    source = scenes.build(clock)
    app = DrawnApp(source, clock=clock, timers=False)

    async def told(pilot: Pilot[Any]) -> None:
        ui = UiDriver(app, pilot, source, clock)
        getattr(scenes, scene)(source, clock)
        await ui.settle()
        await ui.pass_(12.0 if scene == "lost" else 1.0)
        await ui.press(*keys)

    assert snap_compare(app, terminal_size=size, run_before=told)
