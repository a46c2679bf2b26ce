"""What the screen's tests leave out, since it costs most of their time and says nothing there.

Styles are parsed once for all apps. Keys are pressed without Textual's wait for an idle processor, 40 ms each; and
frames that nobody looks at are not painted: `UiDriver.text` paints what it reads. A test that is about the painting
itself is marked `drawn`.
"""

import asyncio

import pytest
import textual.app
import textual.pilot
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation
from textual.screen import Screen

_PARSED: dict[object, list[RuleSet]] = {}
_parse_rules = Stylesheet._parse_rules


def _parsed_once(self: Stylesheet, css: str, read_from: CSSLocation, *how: object, **named: object) -> list[RuleSet]:
    """The rules of a text under the same variables, parsed for whichever app came first."""
    key = (css, read_from, how, *named.items(), frozenset(self._variables.items()))
    if key not in _PARSED:
        _PARSED[key] = _parse_rules(self, css, read_from, *how, **named)  # type: ignore[arg-type]
    return _PARSED[key]


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
    monkeypatch.setattr(Stylesheet, "_parse_rules", _parsed_once)
    if request.node.get_closest_marker("drawn") is None:
        monkeypatch.setattr(Compositor, "render_update", unseen)
