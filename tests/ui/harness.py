"""Open the screen on a scene, press keys, read what it shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from swarm_tui.config.user import UserConfig
from swarm_tui.ui.app import SwarmApp
from tests.ui import scenes
from tests.ui.fake import Clock, FakeSource


class UiDriver:
    """Drive the screen as a person does, and read what it shows."""

    def __init__(self, app: SwarmApp, pilot: Pilot[Any], source: FakeSource, clock: Clock) -> None:
        self.app, self.pilot, self.source, self.clock = app, pilot, source, clock

    async def settle(self) -> None:
        """Let all that was said be drawn."""
        for _ in range(2):
            self.app.updates.drain()
            await self.pilot.pause()
        await self.answered()

    async def answered(self) -> None:
        """Let all that was asked be answered, and what an answer leads to."""
        quiet = 0
        while quiet < 2:
            quiet = 0 if list(self.app.workers) or self.app.time.busy else quiet + 1
            # A screen that closes drops what it asked.
            with suppress(WorkerCancelled):
                await self.app.workers.wait_for_complete()
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            await self.pilot.press(key)
        await self.settle()

    async def type(self, text: str) -> None:
        """Type text into a line."""
        await self.pilot.press(*[{" ": "space"}.get(c, c) for c in text])
        await self.settle()

    async def pass_(self, seconds: float) -> None:
        """Let time pass, a second at a time."""
        whole = int(seconds)
        for step in [1.0] * whole + ([seconds - whole] if seconds > whole else []):
            self.clock.pass_(step)
            self.app.updates.tick()
        await self.settle()

    def text(self) -> list[str]:
        """The screen's lines."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    def has(self, *words: str) -> bool:
        """Whether one line of the screen holds all the words."""
        return any(all(word in line for word in words) for line in self.text())

    @property
    def footer(self) -> str:
        return self.text()[-1]


@asynccontextmanager
async def open_ui(
    scene: str = "calm",
    size: tuple[int, int] = (120, 40),
    config: UserConfig | None = None,
    **options: Any,
) -> AsyncIterator[UiDriver]:
    """The screen of a scene."""
    clock = Clock()
    source = scenes.build(clock)
    app = SwarmApp(source, config=config, clock=clock, timers=False, **options)
    async with app.run_test(size=size) as pilot:
        ui = UiDriver(app, pilot, source, clock)
        getattr(scenes, scene)(source, clock)
        await ui.settle()
        app.updates.tick()
        await ui.settle()
        yield ui
