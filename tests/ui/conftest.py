"""What the screen's tests leave out, since it costs most of their time and says nothing there.

Keys are pressed without Textual's wait for an idle processor, 40 ms each; and frames that nobody looks at are not
painted: `Seat.text` paints what it reads. A test that is about the painting itself is marked `drawn`.
"""

import asyncio

import pytest
import textual.app
import textual.pilot
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual.screen import Screen


@pytest.fixture(autouse=True)
def brisk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    async def brief(*_: object, **__: object) -> None:
        await asyncio.sleep(0)

    def unseen(
        self: Compositor, full: bool = False, screen_stack: list[Screen[object]] | None = None, simplify: bool = False
    ) -> None:
        visible_screen_stack.set(screen_stack or [])
        self._dirty_regions.clear()

    for module in (textual.app, textual.pilot):
        monkeypatch.setattr(module, "wait_for_idle", brief)
    if request.node.get_closest_marker("drawn") is None:
        monkeypatch.setattr(Compositor, "render_update", unseen)
